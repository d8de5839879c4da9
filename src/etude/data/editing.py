"""Datasets made of the episodes of others: some of one, all of several, with their features brought into one form."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from etude.core import ConfigError
from etude.data.aligning import align, common_spec
from etude.data.encoding import EncodedEpisode, encode
from etude.data.mapping import FeatureMapping
from etude.data.metadata import DatasetMeta
from etude.data.reading import read_encoded, read_episode, spec_of
from etude.data.spec import DatasetSpec, Storage
from etude.data.writer import DatasetWriter

type OnSaved = Callable[[int], None]
"""(episodes saved)."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Episodes of one dataset.

    Attributes:
        meta: The dataset.
        episodes: Their indices in the order wanted; None for all.
        mapping: What its features become, or None.
    """

    meta: DatasetMeta
    episodes: Sequence[int] | None = None
    mapping: FeatureMapping | None = None

    @property
    def indices(self) -> tuple[int, ...]:
        """Indices of the episodes."""
        return tuple(range(self.meta.total_episodes) if self.episodes is None else self.episodes)


def write_selections(
    out: Path,
    selections: Sequence[Selection],
    *,
    without: Iterable[str] = (),
    storage: Storage | None = None,
    on_saved: OnSaved | None = None,
) -> DatasetSpec:
    """Write episodes of one or several datasets as one LeRobot v3 dataset, each with its origin.

    Videos and image files are copied as they are, unless they have to be stored otherwise.

    Args:
        out: The new dataset; not there yet, or empty.
        selections: The episodes.
        without: Columns to leave out.
        storage: How to keep images; by default as they are, and one by one where the datasets differ.
        on_saved: Called after every episode.

    Returns:
        What the new dataset holds.

    Raises:
        MismatchError: The datasets' features cannot be aligned; the message names them and what to do.
        EtudeError: An episode cannot be read.
    """
    if not any(selection.indices for selection in selections):
        raise ConfigError("no episodes are left to write: choose at least one.")
    spec = common_spec([(s.meta.root, spec_of(s.meta), s.mapping) for s in selections], tuple(without), storage)
    saved = 0
    with DatasetWriter.create(out, spec) as writer:
        for selection in selections:
            for index in selection.indices:
                writer.commit(_read(selection, index, spec))
                saved += 1
                if on_saved is not None:
                    on_saved(saved)
    return spec


def _read(selection: Selection, index: int, spec: DatasetSpec) -> EncodedEpisode:
    """One episode in the form of the new dataset."""
    meta, found = selection.meta, spec_of(selection.meta)
    if found.storage == spec.storage:
        episode = read_encoded(meta, index)
    else:
        episode = encode(read_episode(meta, index), meta.fps, storage=spec.storage)
    return align(episode, replace(found, storage=spec.storage), spec, selection.mapping, meta.root)
