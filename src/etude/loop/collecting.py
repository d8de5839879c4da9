"""Make demonstrations in many processes, with a task's expert or another maker, into one dataset."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import numpy as np

from etude.core import Case, ConfigError, EtudeError, Executor, Outcome, Perturbation, Task, derive_seed, stream
from etude.data import DatasetSpec, DatasetWriter
from etude.loop.failures import Failures
from etude.loop.making import ExpertMaker, Made, Maker

FAILED = "failed"
"""Where in a dataset's folder the failures are kept, as a dataset."""

type Draw = Callable[[np.random.Generator], Perturbation]
"""Draws the perturbation of one attempt."""
type OnSaved = Callable[[int, Outcome], None]
type OnAttempt = Callable[[int, Made], None]


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
    accepted: int | None = None,
    attempts: int | None = None,
    draw: Draw,
    seed: int,
    executor: Executor,
    maker: Maker | None = None,
    generator: str = "expert",
    keep_failed: bool = False,
    on_saved: OnSaved | None = None,
    on_attempt: OnAttempt | None = None,
) -> Collected:
    """Add successes to the dataset at `out` until it holds `accepted` episodes, or until `attempts` have been made.

    Attempt i is fixed by (seed, i), so a collection that was killed goes on where it stopped and ends with the same
    dataset.

    Args:
        task: The world.
        out: Dataset folder: new, or one that a call with the same arguments left unfinished.
        accepted: Episodes wanted in all; None for as many as succeed.
        attempts: How often to try in all; None for as often as it takes.
        draw: Draws the perturbation of each attempt.
        seed: Root of the attempts' randomness.
        executor: Where the episodes run.
        maker: Who makes an attempt; the task's expert if None.
        generator: Name of the maker, for the dataset's sidecar.
        keep_failed: Whether failures go to a dataset of their own, FAILED in `out`.
        on_saved: Called with (episode index, outcome) once an episode is safely on disk.
        on_attempt: Called with (number of the attempt, what became of it), in order and before it counts; after a stop
            again with those since the last episode.

    Raises:
        ConfigError: The dataset holds more episodes already, or nothing says when to stop.
        StageFailedError: Almost nothing succeeds on what `draw` draws, or nothing did in all `attempts`; the message
            says where attempts fail, and where a film of one is.
    """
    if accepted is None and attempts is None:
        raise ConfigError("say how many demonstrations are wanted, or how many attempts to make.")
    maker = maker or ExpertMaker()
    with ExitStack() as stack:
        writer = stack.enter_context(_writer(out, task))
        failed = stack.enter_context(_writer(out / FAILED, task)) if keep_failed else None
        if accepted is not None and writer.episodes > accepted:
            raise ConfigError(f"'{out}' holds {writer.episodes} episodes already, more than the {accepted} asked for.")
        made = max(_attempts_behind(w, seed) for w in (writer, failed) if w)
        jobs = (_Job(task, case, maker, generator, keep_failed) for case in _cases(draw, seed, made, attempts))
        results = executor.map(_make, jobs)
        stack.callback(getattr(results, "close", lambda: None))
        failures, film = Failures(task, maker), out.with_name(f"{out.name}-failed.mp4")
        while (accepted is None or writer.episodes < accepted) and (result := next(results, None)) is not None:
            if on_attempt is not None:
                on_attempt(made, result)
            made += 1
            if result.episode is not None:
                index = (writer if result.outcome.success else failed or writer).commit(result.episode)
                if on_saved is not None and result.outcome.success:
                    on_saved(index, result.outcome)
            if not result.outcome.success:
                failures.add(result)
                failures.require_hope(writer.episodes, made, film=film)
        if not writer.episodes:
            failures.require_hope(0, made, film=film, over=True)
        return Collected(attempts=made, accepted=writer.episodes, frames=writer.frames)


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
class _Job:
    task: Task
    case: Case
    maker: Maker
    name: str
    keep_failed: bool


def _make(job: _Job) -> Made:
    return job.maker.make(job.task, job.case, name=job.name, keep_failed=job.keep_failed)


def _writer(root: Path, task: Task) -> DatasetWriter:
    spec = dataset_spec(task)
    return DatasetWriter.resume(root, spec) if (root / "meta").exists() else DatasetWriter.create(root, spec)


def _cases(draw: Draw, seed: int, first: int, end: int | None) -> Iterator[Case]:
    for index in count(first) if end is None else range(first, end):
        yield Case(draw(attempt_stream(seed, index)), derive_seed(seed, "attempt", index))


def _attempts_behind(writer: DatasetWriter, seed: int) -> int:
    """How many attempts a resumed dataset has used: its last episode's seed says which attempt it was."""
    last = writer.last_seed
    if last is None:
        return 0
    for index in range(100 * writer.episodes + 10_000):
        if derive_seed(seed, "attempt", index) == last:
            return index + 1
    raise EtudeError(f"dataset '{writer.root}' was not collected with seed {seed}: use the seed it was begun with.")
