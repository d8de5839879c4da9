"""The stages of a round after its training, each usable alone: evaluate, freeze suites, sit them."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path

from etude.core import (
    Case,
    Executor,
    Outcome,
    Pocket,
    PolicyFactory,
    Rate,
    Roll,
    Suite,
    Task,
    stream,
)
from etude.core.files import read_json, write_json
from etude.evaluation import Expert, Runner, write_outcomes
from etude.evaluation.runner import OnCalls
from etude.loop.progress import Progress, silent
from etude.search import SuiteConfig, SuiteReport, build_suites

ARCHIVE, POCKETS = "archive.parquet", "pockets.json"
BUILDING = "building.json"
KEPT = "rollouts"
"""Folder of what a stage under way has rolled out, see `Arena.policy`."""
TESTS = {"exam": "exam.json", "uniform_test": "uniform.json", "nominal": "nominal.json"}
"""What every policy sits -> file of the suite."""


def evaluate(
    task: Task,
    policy: PolicyFactory,
    cases: Sequence[Case],
    *,
    executor: Executor,
    progress: Progress = silent,
    title: str = "evaluate",
    journal: Path | None = None,
    on_calls: OnCalls | None = None,
) -> list[Outcome]:
    """Run a policy on every case.

    Args:
        task: Where.
        policy: Who.
        cases: What.
        executor: Where the episodes run; it does not change the outcomes.
        progress: Shows how far it is.
        title: What the progress is called.
        journal: File that keeps finished cases, so that a killed evaluation goes on.
        on_calls: Told how long the policy's network took.

    Returns:
        Outcomes in the order of the cases.
    """
    with progress(title, len(cases)) as update:

        def tell(outcomes: Sequence[Outcome]) -> None:
            update(len(outcomes), f"{sum(o.success for o in outcomes)}/{len(outcomes)} succeed")

        return Runner(task, policy, executor).run(cases, progress=tell, journal=journal, on_calls=on_calls)


@dataclass(frozen=True)
class Arena:
    """Where policies are tried: a task, what its episodes run on, and who is told how far they are.

    Attributes:
        task: Where.
        executor: Where the episodes run; it does not change the outcomes.
        progress: Shows how far it is.
    """

    task: Task
    executor: Executor
    progress: Progress = silent

    def evaluate(
        self, policy: PolicyFactory, cases: Sequence[Case], *, title: str = "", journal: Path | None = None
    ) -> list[Outcome]:
        """Run a policy on every case; without a title nobody is told how far it is."""
        progress = self.progress if title else silent
        executor = self.executor
        return evaluate(self.task, policy, cases, executor=executor, progress=progress, title=title, journal=journal)

    def policy(self, policy: PolicyFactory, title: str = "", *, keep: Path | None = None) -> Roll:
        """The function that runs cases with a policy.

        Args:
            policy: Who.
            title: What the progress is called; later calls have their number beside it.
            keep: Folder for a journal of every call, so that who makes the same calls after a kill repeats no rollout.
        """
        calls = count()

        def roll(cases: Sequence[Case]) -> list[Outcome]:
            call = next(calls)
            journal = keep / f"{call:04d}.jsonl" if keep else None
            numbered = f"{title}, batch {call + 1}" if title and call else title
            return self.evaluate(policy, cases, title=numbered, journal=journal)

        return roll

    def expert(self, title: str = "", *, keep: Path | None = None) -> Roll:
        """The same for the task's expert."""
        return self.policy(Expert(self.task), title, keep=keep)


def freeze_suites(
    arena: Arena,
    policy: PolicyFactory,
    pockets: Sequence[Pocket],
    out: Path,
    *,
    sizes: SuiteConfig,
    seed: int,
    title: str = "freeze the exam",
) -> SuiteReport:
    """Draw exam, dev, uniform and nominal suites from a baseline and its pockets, and write them to `out` for good.

    One that was killed goes on; one that is finished is read.
    """
    if (out / BUILDING).exists():
        return SuiteReport.from_json(read_json(out / BUILDING))
    keep = out / KEPT
    suites = build_suites(
        arena.task.space,
        arena.task.name,
        pockets,
        arena.policy(policy, title, keep=keep / "policy"),
        arena.expert(keep=keep / "expert"),
        sizes,
        stream(seed, "suites"),
    )
    suites.save(out)
    write_json(out / BUILDING, suites.report.to_json())
    shutil.rmtree(keep, ignore_errors=True)
    return suites.report


def load_pockets(search: Path) -> tuple[Pocket, ...]:
    """The confirmed pockets that a search left in its folder."""
    return tuple(Pocket.from_json(record) for record in read_json(search / POCKETS)["pockets"])


def sit_suites(
    arena: Arena, policy: PolicyFactory, suites: Path, out: Path, *, title: str = "evaluate"
) -> dict[str, Rate]:
    """Run a policy on the exam, the uniform and the nominal test found in `suites`; outcomes go to `out`.

    Raises:
        MismatchError: A suite that was changed, or of another space.
    """
    tests = {test: load_suite(suites / file, arena.task) for test, file in TESTS.items()}
    cases = [case for suite in tests.values() for case in suite.cases]
    journal = out / "journal.jsonl"
    outcomes = arena.evaluate(policy, cases, title=title, journal=journal)
    rates: dict[str, Rate] = {}
    for test, suite in tests.items():
        own, outcomes = outcomes[: len(suite.cases)], outcomes[len(suite.cases) :]
        write_outcomes(out / f"{test}.parquet", own)
        rates[test] = Rate.of([outcome.success for outcome in own])
    journal.unlink(missing_ok=True)
    return rates


def load_suite(path: Path, task: Task) -> Suite:
    """Read a suite and check that it is of the task.

    Raises:
        MismatchError: A suite that was changed, or of another task or space.
    """
    suite = Suite.load(path)
    suite.require(task.name, task.space)
    return suite
