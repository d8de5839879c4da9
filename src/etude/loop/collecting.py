"""Make demonstrations with a task's expert, in many processes, into one dataset."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from etude.core import (
    Case,
    ConfigError,
    Environment,
    EtudeError,
    Executor,
    Outcome,
    Perturbation,
    Policy,
    StageFailedError,
    Task,
    derive_seed,
    rollout,
    stream,
)
from etude.data import DatasetSpec, DatasetWriter, EncodedEpisode, EpisodeRecorder, encode

type Draw = Callable[[np.random.Generator], Perturbation]
"""Draws the perturbation of one attempt."""


@dataclass(frozen=True, kw_only=True)
class Collected:
    """What a collection spent and kept.

    Attributes:
        attempts: Episodes tried, the failed ones included.
        accepted: Demonstrations in the dataset.
        frames: Control steps in the dataset.
    """

    attempts: int
    accepted: int
    frames: int


def collect(
    task: Task,
    out: Path,
    *,
    accepted: int,
    draw: Draw,
    seed: int,
    executor: Executor,
    generator: str = "expert",
    on_saved: Callable[[int, Outcome], None] | None = None,
) -> Collected:
    """Add the expert's successes to the dataset at `out` until it holds `accepted` episodes.

    Attempt i is fixed by (seed, i), so a collection that was killed goes on where it stopped and ends with the same
    dataset.

    Args:
        task: The world.
        out: Dataset folder: new, or one that a call with the same arguments left unfinished.
        accepted: Episodes wanted in all.
        draw: Draws the perturbation of each attempt.
        seed: Root of the attempts' randomness.
        executor: Where the episodes run.
        generator: Name of the maker, for the dataset's sidecar.
        on_saved: Called with (episode index, outcome) once an episode is safely on disk.

    Raises:
        ConfigError: The dataset holds more episodes already.
        StageFailedError: The expert almost never succeeds on what `draw` draws.
    """
    begun, spec = (out / "meta").exists(), dataset_spec(task)
    with DatasetWriter.resume(out, spec) if begun else DatasetWriter.create(out, spec) as writer:
        if writer.episodes > accepted:
            raise ConfigError(f"'{out}' holds {writer.episodes} episodes already, more than the {accepted} asked for.")
        attempts = _attempts_behind(writer, seed)
        jobs = (_Attempt(task, case, generator) for case in _cases(draw, seed, attempts))
        results = executor.map(demonstrate, jobs)
        try:
            while writer.episodes < accepted:
                episode = next(results)
                attempts += 1
                if isinstance(episode, EncodedEpisode):
                    index = writer.commit(episode)
                    if on_saved is not None and episode.outcome is not None:
                        on_saved(index, episode.outcome)
                else:
                    _require_hope(task, writer.episodes, attempts)
        finally:
            close = getattr(results, "close", None)
            if close is not None:
                close()
        return Collected(attempts=attempts, accepted=writer.episodes, frames=writer.frames)


def dataset_spec(task: Task) -> DatasetSpec:
    """The dataset features that a task's episodes have."""
    return DatasetSpec(
        fps=task.fps,
        cameras=task.cameras,
        image_size=task.image_size,
        state_names=task.state_names,
        action_names=task.action_names,
        subtasks=task.subtasks,
        robot_type=task.name.partition("-")[0],
        task=task.name,
        space_hash=task.space.hash,
    )


def attempt_stream(seed: int, index: int) -> np.random.Generator:
    """The stream that draws the perturbation of one attempt."""
    return stream(seed, "theta", index)


@dataclass(frozen=True)
class _Attempt:
    task: Task
    case: Case
    generator: str


def demonstrate(attempt: _Attempt) -> EncodedEpisode | Outcome:
    """Run the expert once: the encoded episode if it succeeded, else only the outcome."""
    environment, expert = _world(attempt.task)
    recorder = EpisodeRecorder(attempt.task.cameras, generator=attempt.generator)
    outcome = rollout(environment, expert, attempt.case, [recorder])
    return encode(recorder.episode, attempt.task.fps) if outcome.success else outcome


@lru_cache(maxsize=1)
def _world(task: Task) -> tuple[Environment, Policy]:
    return task.environment(lazy_images=True, object_state=True), task.expert()


def _cases(draw: Draw, seed: int, first: int) -> Iterator[Case]:
    index = first
    while True:
        yield Case(draw(attempt_stream(seed, index)), derive_seed(seed, "attempt", index))
        index += 1


def _require_hope(task: Task, accepted: int, attempts: int) -> None:
    if attempts >= 100 and accepted < attempts / 50:
        raise StageFailedError(
            f"the expert succeeded in only {accepted} of {attempts} attempts on {task.name}; "
            "narrow the ranges it is asked to work in."
        )


def _attempts_behind(writer: DatasetWriter, seed: int) -> int:
    """How many attempts a resumed dataset has used: its last episode's seed says which attempt it was."""
    last = writer.last_seed
    if last is None:
        return 0
    for index in range(100 * writer.episodes + 10_000):
        if derive_seed(seed, "attempt", index) == last:
            return index + 1
    raise EtudeError(f"dataset '{writer.root}' was not collected with seed {seed}: use the seed it was begun with.")
