"""How far an episode has come: sub-tasks that are reached in order, progress between them, success that lasts."""

from collections.abc import Mapping, Sequence

_ALMOST = 0.99  # the most that progress says before success


class StageTracker:
    """A Monitor for worlds whose sub-tasks come one after the other.

    Progress is (sub-tasks reached + share of the next) / number of sub-tasks: the furthest the episode has come.
    """

    def __init__(self, subtasks: Sequence[str], hold_steps: int) -> None:
        """Start an episode.

        Args:
            subtasks: Names, in order.
            hold_steps: Control steps that the goal has to hold to be a success.
        """
        self._names, self._hold_steps = tuple(subtasks), hold_steps
        self._reached = self._held = 0
        self._progress, self._failure_mode = 0.0, ""

    @property
    def subtasks(self) -> Mapping[str, bool]:
        """Sub-task -> whether it was ever reached."""
        return {name: i < self._reached for i, name in enumerate(self._names)}

    @property
    def stage(self) -> str:
        """The last sub-task that was ever reached; "" before the first."""
        return self._names[self._reached - 1] if self._reached else ""

    @property
    def success(self) -> bool:
        """Whether the goal has held for long enough, and holds now."""
        return self._held >= self._hold_steps

    @property
    def progress(self) -> float:
        """The furthest the episode has come, in [0, 1]; 1 exactly with success."""
        return 1.0 if self.success else min(self._progress, _ALMOST)

    @property
    def failure_mode(self) -> str:
        """How it fails if the episode ends now; "" with success."""
        return "" if self.success else self._failure_mode

    def update(self, *, reached: int, share: float, goal: bool, failure_mode: str) -> None:
        """Judge the next moment.

        Args:
            reached: How many sub-tasks, in order, are reached now; the most there ever were counts.
            share: How far the next one has come, in [0, 1].
            goal: Whether the goal is reached at this moment.
            failure_mode: How it would have failed, if this were the end.
        """
        self._reached = max(self._reached, len(self._names) if goal else reached)
        self._progress = max(self._progress, (reached + share) / len(self._names))
        self._held = self._held + 1 if goal else 0
        self._failure_mode = failure_mode
