"""Receding horizon: execute the beginning of a chunk, look again, execute the beginning of the next.

With an overlap the next chunk is computed while this one still runs, as a robot must do whose network takes longer
than a control step. With execute = 4 and overlap = 1 (numbers are indices in their chunk, | is a look):

    chunk 0   | 0 1 2 3
    chunk 1         | · 1 2 3 4          · is where chunk 0 ran on while chunk 1 was computed
    chunk 2                 | · 1 2 3 4
"""

from dataclasses import dataclass

import numpy as np

from etude.core import ActionChunk, ConfigError, Policy
from etude.policies.execution.reworking import Reworking


@dataclass
class _Memory:
    rest: ActionChunk | None = None  # what still runs of the last chunk, (overlap, A)


class RecedingHorizon(Reworking[_Memory]):
    """A policy that executes a part of each chunk.

    Args:
        policy: Predicts the chunks, at least `execute + overlap` actions long.
        execute: Actions of each chunk that are executed.
        overlap: The last so many of them run while the next chunk is computed, which is used from this index on.
    """

    def __init__(self, policy: Policy, *, execute: int, overlap: int = 0) -> None:
        if not 0 <= overlap < execute:
            raise ConfigError(f"overlap = {overlap} must be at least 0 and less than execute = {execute}.")
        super().__init__(policy, _Memory)
        self._execute, self._overlap = execute, overlap

    def rework(self, memory: _Memory, chunk: ActionChunk) -> ActionChunk:
        """What runs from this look to the next: (execute, A), the first time (execute − overlap, A)."""
        if memory.rest is None:
            now = chunk[: self._execute - self._overlap]
            memory.rest = chunk[self._execute - self._overlap : self._execute]
        else:
            now = np.concatenate([memory.rest, chunk[self._overlap : self._execute]])
            memory.rest = chunk[self._execute : self._execute + self._overlap]
        return now.copy()
