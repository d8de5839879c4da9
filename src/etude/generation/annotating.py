"""A dataset of demonstrations made into one that new demonstrations can be made from, episode by episode.

Those of Etude's own worlds are replayed; those that cannot be are annotated by what they recorded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path

from etude.core import Environment, EtudeError, Executor, MismatchError, Segmented, SegmentPlan, StageFailedError, Task
from etude.core.files import read_json, write_json
from etude.data import ACTION, STATE, DatasetMeta, DatasetSpec, DatasetWriter, EncodedEpisode, encode, spec_of
from etude.data.datagen import datagen_feature, find_datagen
from etude.data.editing.pieces import Piece, part
from etude.data.episode import read_typed
from etude.data.reading import read_encoded, read_episode
from etude.generation.annotation import TOLERANCE, Annotation, Result, Skipped, annotate_episode
from etude.generation.recorded import Recording, annotate_recorded
from etude.generation.source import Signal, require_same_actions

LEFT_OUT = Path("meta/etude/left_out.json")
"""File of an annotated dataset that lists the episodes of the source that it does not have, with the reasons."""

type OnEpisode = Callable[[int, Result], None]
"""(episode of the source, what came of it)."""
type Marker = Callable[[int, int], Mapping[str, Signal] | None]
"""(episode, its frames) -> the signals that a person marked, or None to leave it out; raises MarkingStopped to stop."""


class MarkingStopped(EtudeError):
    """Somebody wants to go on another time."""

    def __init__(self) -> None:
        super().__init__("marking was stopped; go on with --resume.")


@dataclass(frozen=True, kw_only=True)
class Annotated:
    """What came of a dataset's episodes.

    Attributes:
        kept: How many are in the annotated dataset.
        left_out: Episode -> why it is not, of the others.
        stopped: Whether somebody stopped before the last one.
    """

    kept: int
    left_out: Mapping[int, str]
    stopped: bool = False


def annotate_dataset(
    meta: DatasetMeta,
    out: Path,
    task: Task,
    *,
    executor: Executor,
    episodes: Sequence[int] | None = None,
    recording: Recording | None = None,
    marker: Marker | None = None,
    tolerance: float = TOLERANCE,
    on_episode: OnEpisode = lambda _episode, _result: None,
) -> Annotated:
    """Write the episodes that can be annotated, with their annotations, as a dataset; images are copied as they are.

    A run that was stopped goes on where it stopped, if called again with the same arguments.

    Args:
        meta: The demonstrations.
        out: Folder of the annotated dataset.
        task: The world they were made in, or whose kind they are.
        executor: Where replays run.
        episodes: Which, ascending; None for all.
        recording: What things are called in episodes that cannot be replayed.
        marker: Asks a person for the signals; None takes those of the replay or the recording.
        tolerance: How far a number of the state may be off before a replay counts as parted.
        on_episode: Called for every episode once it is safely on disk, or listed.

    Raises:
        MismatchError: They are of another robot, action space or perturbation space, or lack what a source needs.
        StageFailedError: None could be annotated.
    """
    require_same_actions(meta, task)
    by_recording = None if is_replayable(meta, task) else recording or Recording()
    wanted = list(range(meta.total_episodes)) if episodes is None else list(episodes)
    output = _Output(meta, out, task, by_recording)
    jobs = [
        _Job(task, str(meta.root), episode, tolerance, by_recording, bool(marker)) for episode in wanted[output.done :]
    ]
    stopped = False
    try:
        for job, result in zip(jobs, executor.map(_annotate, jobs), strict=True):
            result = _marked(result, marker, job.episode) if marker else result
            output.add(job.episode, result)
            on_episode(job.episode, result)
    except MarkingStopped:
        stopped = True
    except BaseException:
        output.close()
        raise
    output.finish()
    if not output.kept and not stopped:
        first = next(iter(output.left_out.items()), None)
        told = f": episode {first[0]} {first[1]}" if first else ""
        raise StageFailedError(f"no demonstration of '{meta.root}' could be annotated for {task.name}{told}.")
    return Annotated(kept=output.kept, left_out=output.left_out, stopped=stopped)


def is_replayable(meta: DatasetMeta, task: Task) -> bool:
    """Whether a dataset's episodes can be replayed in a task's world: they say at which (θ, seed) they were made.

    Raises:
        MismatchError: They do, but of another world.
    """
    known = bool(meta.episodes) and all(record.case is not None for record in meta.episodes) and meta.space_hash != ""
    if known and meta.space_hash != task.space.hash:
        raise MismatchError(
            f"dataset '{meta.root}' was recorded in {meta.task or 'another world'} (space {meta.space_hash}), and "
            f"{task.name} has space {task.space.hash}: annotate it in its own task."
        )
    return known


def plan_of(task: Task) -> SegmentPlan:
    """How a task's demonstrations are cut.

    Raises:
        EtudeError: It does not say.
    """
    plan = task.segments if isinstance(task, Segmented) else None
    if plan is None:
        raise EtudeError(
            f"task '{task.name}' does not say how its demonstrations are cut: none can be made from others."
        )
    return plan


def read_left_out(root: Path) -> dict[int, str]:
    """Episode of the source -> why an annotated dataset does not have it."""
    kept = read_json(root / LEFT_OUT) if (root / LEFT_OUT).exists() else {}
    return {int(episode): str(record["why"]) for episode, record in kept.items()}


class _Output:
    """The annotated dataset, which appears with its first episode; it and what is left out say how far it came."""

    def __init__(self, meta: DatasetMeta, out: Path, task: Task, recording: Recording | None) -> None:
        self._meta, self._out, self._task, self._replayed = meta, out, task, recording is None
        self._writer = DatasetWriter.resume(out) if (out / "meta/info.json").exists() else None
        self._records = read_json(out / LEFT_OUT) if (out / LEFT_OUT).exists() else {}

    @property
    def kept(self) -> int:
        return self._writer.episodes if self._writer else 0

    @property
    def left_out(self) -> dict[int, str]:
        return {int(episode): record["why"] for episode, record in self._records.items()}

    @property
    def done(self) -> int:
        """How many episodes were seen: one after the other, in the order wanted."""
        return self.kept + len(self._records)

    def add(self, episode: int, result: Result) -> None:
        if not isinstance(result, Annotation):
            self._records[str(episode)] = {"why": str(result), **asdict(result)}
        elif self._writer is None:
            self._writer = DatasetWriter.create(self._out, self._spec(result))
        if self._writer is not None:
            write_json(self._out / LEFT_OUT, self._records)  # before the commit: the two together count what was seen
        if self._writer is not None and isinstance(result, Annotation):
            self._writer.commit(annotated_episode(self._meta, episode, result))

    def finish(self) -> None:
        if self._writer is not None:
            self._writer.finalize()

    def close(self) -> None:
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


def _marked(result: Result, marker: Marker, episode: int) -> Result:
    if not isinstance(result, Annotation):
        return result
    marks = marker(episode, result.length)
    return Skipped("was skipped by hand") if marks is None else replace(result, signals={**result.signals, **marks})


@dataclass(frozen=True)
class _Job:
    task: Task
    dataset: str
    episode: int
    tolerance: float
    recording: Recording | None
    marked: bool


def _annotate(job: _Job) -> Result:
    meta = _meta(job.dataset)
    record = meta.episodes[job.episode] if meta.episodes else None
    if job.recording is not None:
        if record is not None and record.success is False:
            return Skipped("was recorded as a failure")
        environment = None if job.marked else _world(job.task)
        return annotate_recorded(meta, job.episode, plan_of(job.task), job.recording, environment=environment)
    assert record is not None
    assert record.case is not None
    rows = read_typed(meta, job.episode, [ACTION, STATE])
    actions, states = rows[ACTION].astype("f4"), rows[STATE].astype("f4")
    return annotate_episode(_world(job.task), actions, record.case, states=states, tolerance=job.tolerance)


@lru_cache(maxsize=1)
def _world(task: Task) -> Environment:
    return task.environment(lazy_images=True)


@lru_cache(maxsize=1)
def _meta(dataset: str) -> DatasetMeta:
    return DatasetMeta.open(Path(dataset))
