"""The simplest executor: one job after another, here."""

from collections.abc import Callable, Iterable, Iterator
from types import TracebackType

from etude.core import EtudeError


class SerialExecutor:
    """Runs every job in this process, when its result is asked for."""

    def map[J, R](
        self, function: Callable[[J], R], jobs: Iterable[J], *, on_lost: Callable[[J, EtudeError], R] | None = None
    ) -> Iterator[R]:
        """Run `function` on every job and yield the results in order; a job cannot be lost without this process."""
        del on_lost
        return (function(job) for job in jobs)

    def __enter__(self) -> "SerialExecutor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None
