"""What executors with workers share: jobs go out as workers come free, and results come back in the jobs' order.

A worker answers the jobs it holds one after the other, so the first is the one it is busy with, or whose reply is on
its way: the one that counts an attempt when the worker dies.
"""

import pickle
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import Any, Protocol, Self

from etude.core import ConfigError, EtudeError, StageFailedError

_HELD = 2  # jobs a worker holds by default: one it runs, and one so that it need not wait for us
_AHEAD = 4  # jobs begun per worker beyond the one whose result is due: bounds what waits in memory
_ATTEMPTS = 3


class WorkerDiedError(Exception):
    """A worker that was to be written to, or read from, is gone."""


class Job:
    """One call, as bytes that can be sent again, and its reply when there is one."""

    def __init__(self, function: Callable[[Any], Any], job: Any) -> None:
        self.job, self.message = job, pickle.dumps((function, job))
        name = repr(job)
        self.name = f"job {name if len(name) <= 200 else name[:200] + '…'}"
        self.attempts = 0
        self.reply: bytes | None = None
        self.lost: StageFailedError | None = None

    def result(self) -> Any:
        """What the job returned; raises what it raised."""
        assert self.reply is not None
        succeeded, value = pickle.loads(self.reply)
        if not succeeded:
            raise value
        return value


class Worker(Protocol):
    """Somebody who runs jobs, one at a time.

    Attributes:
        held: Jobs sent and not answered, oldest first.
    """

    held: deque[Job]

    @property
    def ready(self) -> bool:
        """Whether it can be sent jobs."""
        ...

    def send(self, job: Job) -> None:
        """Send one more job.

        Raises:
            WorkerDiedError: The worker is gone.
        """
        ...

    def receive(self) -> None:
        """Take in the one thing that has come: the reply to its first job.

        Raises:
            WorkerDiedError: The worker is gone.
        """
        ...

    def end(self) -> str:
        """Make sure that the worker is gone; what is known of how it ended."""
        ...


class WorkerPool[W: Worker](ABC):
    """Runs jobs on workers and yields results in the order of the jobs.

    An error that a job raises is raised here when its turn comes, as the same error. A worker that dies is replaced
    and its job run again, up to three times. Leaving the `with` block ends the workers, whatever they are doing.

    Args:
        processes: How many workers; they start with the first job.
        held: Jobs that a worker holds at once; 1 for long jobs, so that none waits for a worker while another is idle.
    """

    def __init__(self, processes: int = 2, *, held: int = _HELD) -> None:
        if processes < 1:
            raise ConfigError(f"processes = {processes}: needs at least 1.")
        self.processes, self._held = processes, held
        self._workers: list[W] = []
        self._waiting: deque[Job] = deque()

    def map[J, R](
        self, function: Callable[[J], R], jobs: Iterable[J], *, on_lost: Callable[[J, EtudeError], R] | None = None
    ) -> Iterator[R]:
        """Run `function` on every job and yield the results in order; jobs are drawn as workers come free.

        Args:
            function: What to do.
            jobs: With what.
            on_lost: Gives the result of a job that ended its worker three times.

        Raises:
            StageFailedError: A job ended its worker three times, and `on_lost` is not given.
        """
        upcoming = (Job(function, job) for job in jobs)
        begun: deque[Job] = deque()
        try:
            while True:
                for job in islice(upcoming, _AHEAD * self.processes - len(begun)):
                    begun.append(job)
                    self._waiting.append(job)
                if not begun:
                    return
                self._advance(block=False)
                while begun[0].reply is None:
                    self._advance(block=True)
                job = begun.popleft()
                yield on_lost(job.job, job.lost) if on_lost and job.lost else job.result()
        finally:
            for job in begun:  # the caller stopped early: what no worker holds yet is not begun
                if job in self._waiting:
                    self._waiting.remove(job)

    def close(self) -> None:
        """End all workers; a later `map` starts new ones."""
        workers, self._workers = self._workers, []
        for worker in workers:
            worker.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @abstractmethod
    def _hire(self) -> W:
        """Start one more worker."""

    @abstractmethod
    def _answering(self, workers: Sequence[W], *, block: bool) -> Sequence[W]:
        """Those of `workers` that have something to receive, waiting for one if `block`."""

    def _advance(self, *, block: bool) -> None:
        """Hand out waiting jobs and take in what has come back, waiting for something if `block`."""
        self._hand_out()
        for worker in self._answering(self._workers, block=block):
            try:
                worker.receive()
            except WorkerDiedError:
                self._bury(worker)
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            while len(self._workers) < min(self.processes, len(self._workers) + len(self._waiting)):
                self._workers.append(self._hire())
            free = [worker for worker in self._workers if self._may_send(worker, self._waiting[0])]
            if not free:
                return
            worker = min(free, key=lambda w: len(w.held))
            job = self._waiting.popleft()
            worker.held.append(job)
            try:
                worker.send(job)
            except WorkerDiedError:
                self._bury(worker)

    def _may_send(self, worker: W, job: Job) -> bool:
        """Whether a worker can hold one more job; one that may have ended a worker is alone in the next.

        A worker that dies may take the last reply of the job before with it, which is then blamed in its place: once.
        """
        suspected = any(each.attempts for each in (job, *worker.held))
        return worker.ready and len(worker.held) < (1 if suspected else self._held)

    def _bury(self, worker: W) -> None:
        """Give a dead worker's jobs back; the first, which it was running, has had one attempt."""
        self._workers.remove(worker)
        how = worker.end()
        if not worker.held:
            return
        worker.held[0].attempts += 1
        if worker.held[0].attempts >= _ATTEMPTS:
            job = worker.held.popleft()
            times = f"{job.name} ended its worker process {_ATTEMPTS} times"
            job.lost = StageFailedError(f"{times} ({how}); is memory short?")
            job.reply = pickle.dumps((False, job.lost))
        self._waiting.extendleft(reversed(worker.held))
