"""A dataset of demonstrations made into one that new demonstrations can be made from: every episode replayed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from etude.core import Environment, EtudeError, Executor, MismatchError, StageFailedError, Task
from etude.core.files import read_json, write_json
from etude.data import ACTION, STATE, DatasetMeta, DatasetSpec, DatasetWriter, EncodedEpisode, encode, spec_of
from etude.data.datagen import datagen_feature, find_datagen
from etude.data.editing.pieces import Piece, part
from etude.data.episode import read_typed
from etude.data.reading import read_encoded, read_episode
from etude.generation.annotation import TOLERANCE, Annotation, Parted, annotate_episode
from etude.generation.source import require_same_actions

PARTED = Path("meta/etude/parted.json")
"""File of an annotated dataset that lists the episodes whose replays did not succeed."""

type OnEpisode = Callable[[int, Annotation | Parted], None]
"""(episode of the source, what came of it)."""


@dataclass(frozen=True, kw_only=True)
class Annotated:
    """What came of a dataset's episodes.

    Attributes:
        kept: How many are in the annotated dataset.
        parted: Episode -> where its replay parted, of the others.
    """

    kept: int
    parted: Mapping[int, Parted]


def annotate_dataset(
    meta: DatasetMeta,
    out: Path,
    task: Task,
    *,
    executor: Executor,
    episodes: Sequence[int] | None = None,
    tolerance: float = TOLERANCE,
    on_episode: OnEpisode = lambda _episode, _result: None,
) -> Annotated:
    """Replay episodes and write those that succeed, with what was seen, as a dataset; images are copied as they are.

    A run that was stopped goes on where it stopped, if called again with the same arguments.

    Args:
        meta: The demonstrations.
        out: Folder of the annotated dataset.
        task: The world they were made in.
        executor: Where replays run.
        episodes: Which, ascending; None for all.
        tolerance: How far a number of the state may be off before a replay counts as parted.
        on_episode: Called for every episode once it is safely on disk, or listed.

    Raises:
        EtudeError: The episodes do not say at which (θ, seed) they were made.
        MismatchError: They are of another robot, action space or perturbation space.
        StageFailedError: No replay succeeded.
    """
    require_replayable(meta, task)
    wanted = list(range(meta.total_episodes)) if episodes is None else list(episodes)
    parted = {int(episode): Parted(**record) for episode, record in read_parted(out).items()}
    writer = DatasetWriter.resume(out) if (out / "meta/info.json").exists() else None
    done = len(parted) + (writer.episodes if writer else 0)  # one after the other, in the order wanted
    jobs = [_Replay(task, str(meta.root), episode, tolerance) for episode in wanted[done:]]
    try:
        for job, result in zip(jobs, executor.map(_replay, jobs), strict=True):
            if isinstance(result, Parted):
                parted[job.episode] = result
            else:
                writer = writer or DatasetWriter.create(out, annotated_spec(meta, task, result))
            if writer:
                _write_parted(out, parted)  # before the commit: the two together say how far it came
            if writer and not isinstance(result, Parted):
                writer.commit(annotated_episode(meta, job.episode, result))
            on_episode(job.episode, result)
        if writer:
            writer.finalize()
    finally:
        if writer:
            writer.close()
    if not writer:
        first = next(iter(parted.items()), None)
        told = f": episode {first[0]} {first[1]}" if first else ""
        raise StageFailedError(f"no replay of '{meta.root}' in {task.name} succeeded{told}.")
    return Annotated(kept=writer.episodes, parted=parted)


def require_replayable(meta: DatasetMeta, task: Task) -> None:
    """Raise unless a dataset's episodes can be replayed in a task's world.

    Raises:
        EtudeError: The episodes do not say at which (θ, seed) they were made.
        MismatchError: They are of another robot, action space or perturbation space.
    """
    require_same_actions(meta, task)
    if not meta.episodes or any(record.case is None for record in meta.episodes):
        raise EtudeError(
            f"the episodes of '{meta.root}' do not say at which (theta, seed) they were recorded, as those of `etude "
            "collect` do, so they cannot be replayed: annotate what they recorded with --recorded, or with --manual."
        )
    if meta.space_hash != task.space.hash:
        raise MismatchError(
            f"dataset '{meta.root}' was recorded in {meta.task or 'another world'} (space {meta.space_hash}), and "
            f"{task.name} has space {task.space.hash}: annotate it in its own task."
        )


def read_parted(root: Path) -> dict[str, Any]:
    """Episode of the source -> how its replay parted, as JSON has it; empty where none did."""
    return read_json(root / PARTED) if (root / PARTED).exists() else {}


def annotated_spec(meta: DatasetMeta, task: Task, annotation: Annotation) -> DatasetSpec:
    """What an annotated dataset holds: the source's columns, with an annotation's in place of older ones."""
    found = spec_of(meta)
    extras = {name: feature for name, feature in found.extras.items() if not _is_older(name)}
    new = {column.column: datagen_feature(column.kind) for column in find_datagen(annotation.columns())}
    return replace(
        found,
        subtasks=tuple(annotation.signals),
        extras=extras | new,
        action_names=task.action_names,
        task=task.name,
        space_hash=task.space.hash,
    )


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


@dataclass(frozen=True)
class _Replay:
    task: Task
    dataset: str
    episode: int
    tolerance: float


def _replay(job: _Replay) -> Annotation | Parted:
    meta = _meta(job.dataset)
    case = meta.episodes[job.episode].case
    assert case is not None
    rows = read_typed(meta, job.episode, [ACTION, STATE])
    return annotate_episode(
        _world(job.task), rows[ACTION].astype("f4"), case, states=rows[STATE].astype("f4"), tolerance=job.tolerance
    )


@lru_cache(maxsize=1)
def _world(task: Task) -> Environment:
    return task.environment(lazy_images=True)


@lru_cache(maxsize=1)
def _meta(dataset: str) -> DatasetMeta:
    return DatasetMeta.open(Path(dataset))


def _write_parted(out: Path, parted: Mapping[int, Parted]) -> None:
    write_json(out / PARTED, {str(episode): asdict(result) for episode, result in parted.items()})
