"""Datasets made of the episodes of others: some of one, all of several, with their features brought into one form."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from etude.core import ConfigError
from etude.data.editing.aligning import align, common_spec
from etude.data.encoding import EncodedEpisode, encode
from etude.data.mapping import FeatureMapping
from etude.data.metadata import DatasetMeta
from etude.data.reading import read_encoded, read_episode, spec_of
from etude.data.spec import DatasetSpec, Storage
from etude.data.writer import DatasetWriter

if TYPE_CHECKING:
    from etude.data.hdf5.remainder import Manifest

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
    without = tuple(without)
    spec = common_spec([(s.meta.root, spec_of(s.meta), s.mapping) for s in selections], without, storage)
    manifest = None if without else _common_manifest(selections)
    saved = 0
    with DatasetWriter.create(out, spec) as writer:
        if manifest is not None:
            manifest.save(out)
        for selection in selections:
            for index in selection.indices:
                episode = _read(selection, index, spec)
                if manifest is not None:
                    keep_remainder(out, selection.meta, index, writer.episodes, episode.origin)
                writer.commit(episode)
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


def _common_manifest(selections: Sequence[Selection]) -> "Manifest | None":
    """What datasets that were imported from HDF5 keep for an export, where all keep the same."""
    from etude.data.hdf5.remainder import Manifest  # h5py, which few need

    manifests = [Manifest.load(s.meta.root) if s.mapping is None else None for s in selections]
    return manifests[0] if all(m is not None and m == manifests[0] for m in manifests) else None


def keep_remainder(out: Path, meta: DatasetMeta, index: int, new_index: int, origin: str) -> None:
    """Give an episode what was kept beside it, under its new number."""
    from etude.data.hdf5.remainder import Remainder

    kept = Remainder.load(meta.root, index, origin=meta.episodes[index].origin)
    if kept.origin:
        replace(kept, origin=origin).save(out, new_index)
