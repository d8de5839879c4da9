"""A dataset of demonstrations made into one that new demonstrations can be made from, episode by episode.

Those of Etude's own worlds are replayed; those that cannot be are annotated by what they recorded.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from etude.core import Environment, EtudeError, Executor, MismatchError, StageFailedError, Task
from etude.data import ACTION, STATE, DatasetMeta
from etude.data.episode import read_typed
from etude.generation.annotated import AnnotatedWriter
from etude.generation.annotation import TOLERANCE, Annotation, Parted, Result, Skipped, annotate_episode
from etude.generation.cutting import segment_plan
from etude.generation.loading import require_same_actions
from etude.generation.recorded import Recording, annotate_recorded
from etude.generation.source import Signal

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
    output = AnnotatedWriter(meta, out, task, replayed=by_recording is None)
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
        return annotate_recorded(meta, job.episode, segment_plan(job.task), job.recording, environment=environment)
    assert record is not None
    assert record.case is not None
    rows = read_typed(meta, job.episode, [ACTION, STATE])
    actions, states = rows[ACTION].astype("f4"), rows[STATE].astype("f4")
    result = annotate_episode(_world(job.task), actions, record.case, states=states, tolerance=job.tolerance)
    return replace(result, recorded=record.success is False) if isinstance(result, Parted) else result


@lru_cache(maxsize=1)
def _world(task: Task) -> Environment:
    return task.environment(lazy_images=True)


@lru_cache(maxsize=1)
def _meta(dataset: str) -> DatasetMeta:
    return DatasetMeta.open(Path(dataset))
