"""A maker with the expert behind it: what the generator cannot make at a case, the expert is asked for."""

from dataclasses import dataclass

from etude.core import Case, PolicyFactory, Task
from etude.loop.making.maker import ExpertMaker, Made, Maker

BY_EXPERT = "-expert"
"""Behind the maker's name in the sidecar of a demonstration that the expert made."""


@dataclass(frozen=True)
class OrExpert:
    """Makes an attempt with one maker and, where that fails, with the task's expert at the same case.

    Segments of the first demonstrations cannot show what none of them does, such as a grasp from the side because a
    neighbour blocks the usual one: there another maker never succeeds, however often it tries.
    """

    maker: Maker

    @property
    def title(self) -> str:
        """What it is called."""
        return f"{self.maker.title}, or else the expert,"

    @property
    def remedy(self) -> str:
        """What helps them."""
        return self.maker.remedy

    def make(self, task: Task, case: Case, *, name: str, keep_failed: bool = False) -> Made:
        """Make one attempt, and a second one if it fails."""
        made = self.maker.make(task, case, name=name)
        if made.outcome.success:
            return made
        return ExpertMaker().make(task, case, name=f"{name}{BY_EXPERT}", keep_failed=keep_failed)

    def again(self, task: Task, made: Made) -> PolicyFactory | None:
        """What the expert did."""
        return ExpertMaker().again(task, made)
