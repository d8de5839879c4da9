"""What an arm has learned from so far, and what it was charged."""

from dataclasses import dataclass, replace
from pathlib import Path

DATASET = "dataset"
"""Folder of the demonstrations in a stage that made some."""


@dataclass(frozen=True, kw_only=True)
class Pupil:
    """What an arm has learned from so far.

    Attributes:
        train: Folder of its last training.
        collections: Folders of the demonstrations it learned from, oldest first.
        stages: Folders of every stage charged to it, in order.
    """

    train: Path
    collections: tuple[Path, ...]
    stages: tuple[Path, ...]

    def charged(self, *stages: Path) -> "Pupil":
        """The same, with more stages that it pays for; for each once."""
        return replace(self, stages=tuple(dict.fromkeys((*self.stages, *stages))))

    def given(self, collection: Path) -> "Pupil":
        """The same, with new demonstrations, which it pays for."""
        return replace(self.charged(collection), collections=(*self.collections, collection))
