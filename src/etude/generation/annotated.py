"""An annotated dataset: the demonstrations' own columns and images, with what an annotation adds."""

from dataclasses import asdict, replace
from pathlib import Path

from etude.core import Task
from etude.core.files import read_json, write_json
from etude.data import DatasetMeta, DatasetSpec, DatasetWriter, EncodedEpisode, encode, spec_of
from etude.data.datagen import datagen_feature, find_datagen
from etude.data.editing.pieces import Piece, part
from etude.data.editing.selecting import keep_remainder
from etude.data.hdf5.remainder import Manifest
from etude.data.reading import read_encoded, read_episode
from etude.generation.annotation import Annotation, Result

LEFT_OUT = Path("meta/etude/left_out.json")
"""File of an annotated dataset that lists the episodes of the source that it does not have, with the reasons."""


class AnnotatedWriter:
    """The annotated dataset, which appears with its first episode; it and what is left out say how far it came.

    Args:
        meta: The demonstrations.
        out: Folder of the annotated dataset; one that was begun is gone on with.
        task: What its episodes are sources for.
        replayed: Whether they were replayed in the task's own world: then they have its space and its actions' names.
    """

    def __init__(self, meta: DatasetMeta, out: Path, task: Task, *, replayed: bool) -> None:
        self._meta, self._out, self._task, self._replayed = meta, out, task, replayed
        self._writer = DatasetWriter.resume(out) if (out / "meta/info.json").exists() else None
        self._manifest = None if replayed else Manifest.load(meta.root)  # what an export gives back
        self._records = read_json(out / LEFT_OUT) if (out / LEFT_OUT).exists() else {}

    @property
    def kept(self) -> int:
        """Episodes in the dataset."""
        return self._writer.episodes if self._writer else 0

    @property
    def left_out(self) -> dict[int, str]:
        """Episode of the source -> why it is not in the dataset."""
        return {int(episode): record["why"] for episode, record in self._records.items()}

    @property
    def done(self) -> int:
        """How many episodes were seen: one after the other, in the order wanted."""
        return self.kept + len(self._records)

    def add(self, episode: int, result: Result) -> None:
        """Write an episode, or list it."""
        if not isinstance(result, Annotation):
            self._records[str(episode)] = {"why": str(result), **asdict(result)}
        elif self._writer is None:
            self._writer = DatasetWriter.create(self._out, self._spec(result))
            if self._manifest is not None:
                self._manifest.save(self._out)
        if self._writer is not None:
            write_json(self._out / LEFT_OUT, self._records)  # before the commit: the two together count what was seen
        if self._writer is not None and isinstance(result, Annotation):
            encoded = annotated_episode(self._meta, episode, result)
            if self._manifest is not None:
                keep_remainder(self._out, self._meta, episode, self._writer.episodes, encoded.origin)
            self._writer.commit(encoded)

    def finish(self) -> None:
        """Make the dataset whole."""
        if self._writer is not None:
            self._writer.finalize()

    def close(self) -> None:
        """Let others write it."""
        if self._writer is not None:
            self._writer.close()

    def _spec(self, annotation: Annotation) -> DatasetSpec:
        spec = annotated_spec(self._meta, annotation)
        space = {"space_hash": self._task.space.hash, "action_names": self._task.action_names} if self._replayed else {}
        return replace(spec, task=self._task.name, **space)


def annotated_spec(meta: DatasetMeta, annotation: Annotation) -> DatasetSpec:
    """What an annotated dataset holds: the source's columns, with an annotation's in place of older ones."""
    found = spec_of(meta)
    extras = {name: feature for name, feature in found.extras.items() if not _is_older(name)}
    new = {column.column: datagen_feature(column.kind) for column in find_datagen(annotation.columns())}
    return replace(found, subtasks=tuple(annotation.signals), extras=extras | new)


def annotated_episode(meta: DatasetMeta, index: int, annotation: Annotation) -> EncodedEpisode:
    """An episode with its annotation, its images as they are; cut where the annotation ends before it."""
    length = meta.lengths[index]
    if annotation.length < length:
        piece = Piece(episode=index, first=0, end=annotation.length, length=length)
        episode = encode(part(read_episode(meta, index), piece), meta.fps, storage=spec_of(meta).storage)
    else:
        episode = read_encoded(meta, index)
    extras = {name: values for name, values in episode.extras.items() if not _is_older(name)}
    return replace(episode, subtasks=annotation.signals, extras=extras | annotation.columns())


def _is_older(column: str) -> bool:
    """Whether a column is of another annotation."""
    return bool(find_datagen([column])) or ".subtask_term_signals." in f".{column}"
