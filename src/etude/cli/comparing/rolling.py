"""Both sides' outcomes: run, or read where they are kept, so that a killed comparison goes on where it was."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from etude.cli.comparing.contest import Contest, Side
from etude.core import Case, Executor, Outcome, PolicyFactory, Roll, Task
from etude.loop.progress import Progress

if TYPE_CHECKING:
    from etude.evaluation.comparison import Look, Stopping

type Outcomes = Sequence[Sequence[Outcome]]
"""Of each policy of a side."""

_CASES_PER_JOB = 8  # half a batch, so that two processes have something to do


def known_outcomes(contest: Contest, folder: Path) -> tuple[Outcomes, Outcomes] | None:
    """What the sides came with, or what is kept whole in the folder already."""
    from etude.evaluation import read_outcomes

    sides = (contest.a, contest.b)
    if all(side.outcomes for side in sides):
        return contest.a.outcomes, contest.b.outcomes
    tables = [[folder / side.file(i) for i in range(len(side.names))] for side in sides]
    if not all(path.exists() for paths in tables for path in paths):
        return None
    a, b = ([read_outcomes(path) for path in paths] for paths in tables)
    return a, b


def keep(contest: Contest, outcomes: tuple[Outcomes, Outcomes], folder: Path) -> None:
    """Write the tables of outcomes; their journals are of no more use."""
    from etude.evaluation import write_outcomes

    for side, of_side in zip((contest.a, contest.b), outcomes, strict=True):
        for index, of_one in enumerate(of_side):
            write_outcomes(folder / side.file(index), of_one)
    for journal in folder.glob("journal-*.jsonl"):
        journal.unlink()


@dataclass(frozen=True, kw_only=True)
class Rolling:
    """Where episodes run.

    Attributes:
        task: The task.
        executor: On what.
        folder: Keeps the journals.
        progress: Shows how far it is.
    """

    task: Task
    executor: Executor
    folder: Path
    progress: Progress

    def all(self, contest: Contest) -> tuple[Outcomes, Outcomes]:
        """Every policy on every case."""
        return self._side(contest.a, contest.cases), self._side(contest.b, contest.cases)

    def in_turns(self, contest: Contest, stopping: "Stopping") -> tuple[Outcomes, Outcomes]:
        """One policy a side, some cases at a time, until it can be said which is better."""
        from etude.evaluation.comparison import compare_in_turns, e_text

        with self.progress("compare", len(contest.cases)) as update:

            def on_look(look: "Look") -> None:
                paired = look.paired
                evidence = f"{e_text(paired.two_sided_e_value)}, {1 / stopping.alpha:.0f} decides"
                update(paired.n, f"A won {paired.wins}, B {paired.losses}, {evidence}")

            first, second = (self._roll(side.label, side.policies[0]) for side in (contest.a, contest.b))
            a, b = compare_in_turns(contest.cases, first, second, stopping, on_look)
        return [a], [b]

    def _side(self, side: Side, cases: Sequence[Case]) -> Outcomes:
        from etude.loop.stages import evaluate

        return [
            evaluate(
                self.task,
                policy,
                cases,
                executor=self.executor,
                progress=self.progress,
                title=f"{side.label.upper()}: {name}",
                journal=self.folder / f"journal-{side.label}-{index}.jsonl",
            )
            for index, (name, policy) in enumerate(zip(side.names, side.policies, strict=True))
        ]

    def _roll(self, label: str, policy: PolicyFactory) -> "Roll":
        """Runs a side's next batch; every batch has a journal of its own."""
        from etude.evaluation import Runner

        runner = Runner(self.task, policy, self.executor, cases_per_job=_CASES_PER_JOB)
        batches = count()
        return lambda cases: runner.run(cases, journal=self.folder / f"journal-{label}-{next(batches)}.jsonl")
