"""Judging checkpoints by rollouts while they are trained."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from etude.cli.drawing import Spread, draw_cases, make_draw
from etude.core import Case, Executor, Rate, Task, derive_seed
from etude.loop.progress import Progress
from etude.policies.features import Features


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

    def require_fit(self, features: Features) -> None:
        """Raise unless the task gives what the policy is trained on.

        Raises:
            MismatchError: Names what is missing or of another size.
        """
        given = Features(
            cameras=self.task.cameras,
            image_size=(self.task.image_size, self.task.image_size),
            state_size=len(self.task.state_names),
            action_size=len(self.task.action_names),
        )
        features.check(given, f"task '{self.task.name}'")

    def judge(self, executor: Executor, progress: Progress) -> Callable[[Path], Rate]:
        """What takes a checkpoint and gives its success."""
        from etude.loop.stages import evaluate
        from etude.policies import CheckpointPolicy

        def success(checkpoint: Path) -> Rate:
            policy = CheckpointPolicy(str(checkpoint), execute=self.execute)
            outcomes = evaluate(self.task, policy, self.cases, executor=executor, progress=progress, title="rollouts")
            return Rate.of([outcome.success for outcome in outcomes])

        return success


def executor_for(exam: Exam | None, processes: int) -> AbstractContextManager[Executor | None]:
    """Where the episodes run; nothing without any."""
    from etude.cli.executing import make_executor

    return nullcontext() if exam is None else make_executor(processes)
