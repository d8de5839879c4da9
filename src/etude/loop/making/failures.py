"""Attempts that fail: where, and when there is no hope that others will not."""

from collections import Counter
from pathlib import Path

from etude.core import StageFailedError, Task
from etude.evaluation import record_video
from etude.loop.making.maker import Made, Maker

_ENOUGH, _HOPE = 100, 1 / 50


class Failures:
    """Counts what fails and where.

    Args:
        task: The world.
        maker: Whose attempts they are.
    """

    def __init__(self, task: Task, maker: Maker) -> None:
        self._task, self._maker = task, maker
        self._places: Counter[str] = Counter()
        self._shown: Made | None = None
        self._late = False

    def add(self, made: Made) -> None:
        """Count one failure."""
        self._places[made.stuck] += 1
        self._late |= made.outcome.length >= self._task.max_steps  # whatever the task calls that
        if self._shown is None or (self._maker.again(self._task, self._shown) is None):
            self._shown = made

    def require_hope(self, accepted: int, attempts: int, *, film: Path, over: bool = False) -> None:
        """Raise when enough has been tried and next to nothing has succeeded.

        Args:
            accepted: Successes in all.
            attempts: Attempts in all.
            film: Where a film of one failure goes, if there is something to see.
            over: Whether no more will be made, so that what there is has to be enough.

        Raises:
            StageFailedError: There is no hope; the message says where attempts fail.
        """
        if not over and (attempts < _ENOUGH or accepted >= attempts * _HOPE):
            return
        places = ", ".join(f"{place} ({count})" for place, count in self._places.most_common(3))
        if places and self._places.total() < attempts - accepted:  # of earlier ones, before a stop, nothing is known
            places += f" of the last {self._places.total()} failures"
        time = f", or give it more time (max_steps={2 * self._task.max_steps} in the task)" if self._late else ""
        raise StageFailedError(
            f"{self._maker.title} succeeded in only {accepted} of {attempts} attempts on {self._task.name}"
            f"{f': {places}' if places else ''}; {self._maker.remedy}{time}.{self._film(film)}"
        )

    def _film(self, path: Path) -> str:
        policy = self._maker.again(self._task, self._shown) if self._shown and self._task.cameras else None
        if self._shown is None or policy is None:
            return ""
        record_video(self._task, policy, self._shown.outcome.case, path)
        return f" One of them, on film: {path}."
