"""Make demonstrations in many processes, with a task's expert or another maker, into one dataset."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from shutil import rmtree

import numpy as np

from etude.core import Case, ConfigError, EtudeError, Executor, Outcome, Perturbation, Rate, Task, derive_seed, stream
from etude.data import DatasetMeta, DatasetSpec, DatasetWriter
from etude.loop.making.failures import Failures
from etude.loop.making.maker import ExpertMaker, Made, Maker
from etude.loop.making.quotas import Quotas

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
        failed: Failures that were kept, in a dataset of their own.
        parts: Accepted of attempted in every part of the space, where it was divided.
    """

    attempts: int
    accepted: int
    frames: int
    failed: int = 0
    parts: tuple[Rate, ...] = ()


def collect(
    task: Task,
    out: Path,
    *,
    accepted: int | None = None,
    attempts: int | None = None,
    draw: Draw | Sequence[Draw | None],
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
        draw: Draws the perturbation of each attempt; several for as many parts of the space, which get equal numbers of
            `accepted`, None where a part has no feasible world. A part where next to nothing succeeds stays a hole.
        seed: Root of the attempts' randomness.
        executor: Where the episodes run.
        maker: Who makes an attempt; the task's expert if None.
        generator: Name of the maker, for the dataset's sidecar.
        keep_failed: Whether failures go to a dataset of their own, FAILED in `out`.
        on_saved: Called with (episode index, outcome) once an episode is safely on disk.
        on_attempt: Called with (number of the attempt, what became of it), in order and before it counts; after a stop
            again with those since the last episode.

    Raises:
        ConfigError: The dataset holds more episodes already, nothing says when to stop, or `accepted` is not divisible
            by the number of parts.
        StageFailedError: Almost nothing succeeds on what `draw` draws, or nothing did in all `attempts`; the message
            says where attempts fail, and where a film of one is.
    """
    if accepted is None and attempts is None:
        raise ConfigError("say how many demonstrations are wanted, or how many attempts to make.")
    maker, draws = maker or ExpertMaker(), [draw] if callable(draw) else list(draw)
    quotas = _quotas(draws, accepted)
    with ExitStack() as stack:
        writer = stack.enter_context(_writer(out, task))
        failed = stack.enter_context(_writer(out / FAILED, task)) if keep_failed else None
        if accepted is not None and writer.episodes > accepted:
            raise ConfigError(f"'{out}' holds {writer.episodes} episodes already, more than the {accepted} asked for.")
        cases = _cases(draws, quotas, seed, _count_again(quotas, writer, failed, seed), attempts)
        results = executor.map(_make, (_Job(i, task, case, maker, generator, keep_failed) for i, case in cases))
        stack.callback(getattr(results, "close", lambda: None))
        failures, film = Failures(task, maker), out.with_name(f"{out.name}-failed.mp4")
        while not quotas.over and (job_result := next(results, None)) is not None:
            attempt, result = job_result
            if not quotas.wants(attempt):  # its part was not yet full, or hopeless, when it was begun
                continue
            if on_attempt is not None:
                on_attempt(quotas.attempts, result)
            quotas.add(attempt, success=result.outcome.success)
            if result.episode is not None:
                index = (writer if result.outcome.success else failed or writer).commit(result.episode)
                if on_saved is not None and result.outcome.success:
                    on_saved(index, result.outcome)
            if not result.outcome.success:
                failures.add(result)
                if len(draws) == 1 or not writer.episodes:
                    failures.require_hope(writer.episodes, quotas.attempts, film=film)
        if not writer.episodes:
            failures.require_hope(0, quotas.attempts, film=film, over=True)
    if failed and not failed.episodes:
        rmtree(failed.root)
    return Collected(
        attempts=quotas.attempts,
        accepted=writer.episodes,
        frames=writer.frames,
        failed=failed.episodes if failed else 0,
        parts=quotas.rates if len(draws) > 1 else (),
    )


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
    attempt: int
    task: Task
    case: Case
    maker: Maker
    name: str
    keep_failed: bool


def _make(job: _Job) -> tuple[int, Made]:
    return job.attempt, job.maker.make(job.task, job.case, name=job.name, keep_failed=job.keep_failed)


def _writer(root: Path, task: Task) -> DatasetWriter:
    spec = dataset_spec(task)
    return DatasetWriter.resume(root, spec) if (root / "meta").exists() else DatasetWriter.create(root, spec)


def _quotas(draws: Sequence[Draw | None], accepted: int | None) -> Quotas:
    parts = len(draws)
    if parts > 1 and (accepted is None or accepted % parts):
        raise ConfigError(f"{accepted} demonstrations are not divisible into {parts} equal parts.")
    without = [part for part, draw in enumerate(draws) if draw is None]
    return Quotas(parts, None if accepted is None else accepted // parts, without=without)


def _cases(
    draws: Sequence[Draw | None], quotas: Quotas, seed: int, first: int, end: int | None
) -> Iterator[tuple[int, Case]]:
    for attempt in count(first) if end is None else range(first, end):
        if quotas.over:
            return
        draw = draws[quotas.part(attempt)]
        if draw is not None and quotas.wants(attempt):
            yield attempt, Case(draw(attempt_stream(seed, attempt)), derive_seed(seed, "attempt", attempt))


def _count_again(quotas: Quotas, writer: DatasetWriter, failed: DatasetWriter | None, seed: int) -> int:
    """Count again the attempts that a resumed dataset has used: the number of the first that is still to be made.

    The episodes' seeds say which they were. Numbers of parts that want no more are passed over, however many: there may
    be thousands to an attempt.

    Raises:
        EtudeError: The episodes are not of this seed.
    """
    writers = [writer, failed] if failed else [writer]
    last, unseen = writer.last_seed, {w.last_seed for w in writers} - {None}
    saved = {episode.case.seed for episode in DatasetMeta.open(writer.root).episodes if episode.case} if unseen else {}
    most = 100 * sum(w.episodes for w in writers) + 100 * len(quotas.rates) + 10_000
    for attempt in count():
        if not unseen or (quotas.over and last not in {None, *unseen}):
            return attempt
        if quotas.over:
            break
        if quotas.wants(attempt):
            made = derive_seed(seed, "attempt", attempt)
            quotas.add(attempt, success=made in saved)
            unseen.discard(made)
            if quotas.attempts > most:
                break
    raise EtudeError(f"dataset '{writer.root}' was not collected with seed {seed}: use the seed it was begun with.")
