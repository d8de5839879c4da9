"""Judging checkpoints by rollouts while they are trained."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from etude.cli.drawing import Spread, draw_cases, make_draw
from etude.cli.executing import WorkerOptions, make_executor
from etude.core import Case, Executor, Rate, Task, derive_seed
from etude.loop.progress import Progress


@dataclass(frozen=True, kw_only=True)
class Exam:
    """The cases that every checkpoint of a training is judged by: the same each time.

    Attributes:
        task: Where.
        cases: What.
        execute: Actions of a chunk to execute before the policy looks again.
    """

    task: Task
    cases: tuple[Case, ...]
    execute: int

    @staticmethod
    def draw(task: str, *, episodes: int, space: Spread, execute: int, seed: int) -> "Exam":
        """Draw the cases.

        Raises:
            UnknownNameError: No such task.
        """
        from etude.sim import make_task

        made = make_task(task)
        cases = draw_cases(make_draw(made.space, space, ()), episodes, derive_seed(seed, "rollouts while training"))
        return Exam(task=made, cases=tuple(cases), execute=execute)

    def judge(self, executor: Executor, progress: Progress) -> Callable[[Path], Rate]:
        """What takes a checkpoint and gives its success."""
        from etude.loop.stages import evaluate
        from etude.policies import CheckpointPolicy

        def success(checkpoint: Path) -> Rate:
            policy = CheckpointPolicy(str(checkpoint), execute=self.execute)
            outcomes = evaluate(self.task, policy, self.cases, executor=executor, progress=progress, title="rollouts")
            return Rate.of([outcome.success for outcome in outcomes])

        return success


def executor_for(exam: Exam | None, options: WorkerOptions) -> AbstractContextManager[Executor | None]:
    """Where the episodes run; nothing without any."""
    return nullcontext() if exam is None else make_executor(options)
