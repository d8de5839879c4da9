"""Jobs in other processes of this machine: ordered, streaming, and none of them survives this one.

Every worker hangs on one pipe. Jobs go down it and replies come back, in order, so a worker needs no ticket numbers:
the first job it holds is the one it is busy with. The other end of the pipe closing, for whatever reason, ends a worker
at once; a worker's end closing gives its jobs to another.
"""

import os
import pickle
import signal
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from types import TracebackType
from typing import Any

from etude.compute.worker import serve
from etude.core import ConfigError, EtudeError, StageFailedError

_HELD = 2  # jobs a worker holds: one it runs, and one so that it need not wait for us
_AHEAD = 4  # jobs begun per process beyond the one whose result is due: bounds what waits in memory
_ATTEMPTS = 3
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS")


class ProcessExecutor:
    """Runs jobs in spawned processes, each with one computing thread, and yields results in the order of the jobs.

    An error that a job raises is raised here when its turn comes, as the same error. A worker that dies is replaced
    and its job run again, up to three times. Leaving the `with` block ends the workers, whatever they are doing.

    Args:
        processes: How many workers; they start with the first job.
    """

    def __init__(self, processes: int = 2) -> None:
        if processes < 1:
            raise ConfigError(f"processes = {processes}: needs at least 1.")
        self.processes = processes
        self._workers: list[_Worker] = []
        self._waiting: deque[_Job] = deque()

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
        upcoming = (_Job(function, job) for job in jobs)
        begun: deque[_Job] = deque()
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
            worker.connection.close()
        for worker in workers:
            worker.end()

    def __enter__(self) -> "ProcessExecutor":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _advance(self, *, block: bool) -> None:
        """Hand out waiting jobs and take in what has come back, waiting for something if `block`."""
        self._hand_out()
        busy = {worker.connection: worker for worker in self._workers if worker.held}
        for connection in wait(list(busy), timeout=None if block else 0.0):
            worker = busy[connection]  # pyright: ignore[reportArgumentType]
            try:
                worker.held[0].reply = worker.connection.recv_bytes()
            except (EOFError, OSError):
                self._bury(worker)
            else:
                worker.held.popleft()
        self._hand_out()

    def _hand_out(self) -> None:
        while self._waiting:
            while len(self._workers) < min(self.processes, len(self._workers) + len(self._waiting)):
                self._workers.append(_Worker())
            worker = min(self._workers, key=lambda w: len(w.held))
            if len(worker.held) >= _HELD:
                return
            job = self._waiting.popleft()
            worker.held.append(job)
            try:
                worker.connection.send_bytes(job.message)
            except OSError:
                self._bury(worker)

    def _bury(self, worker: "_Worker") -> None:
        """Give a dead worker's jobs back; the first, which it was running, has had one attempt."""
        self._workers.remove(worker)
        exit_code = worker.end()
        worker.held[0].attempts += 1
        if worker.held[0].attempts >= _ATTEMPTS:
            job = worker.held.popleft()
            job.lost = StageFailedError(
                f"{job.name} ended its worker process {_ATTEMPTS} times (exit code {exit_code}); is memory short?"
            )
            job.reply = pickle.dumps((False, job.lost))
        self._waiting.extendleft(reversed(worker.held))


class _Job:
    """One call, as bytes that can be sent again, and its reply when there is one."""

    def __init__(self, function: Callable[[Any], Any], job: Any) -> None:
        self.job, self.message = job, pickle.dumps((function, job))
        name = repr(job)
        self.name = f"job {name if len(name) <= 200 else name[:200] + '…'}"
        self.attempts = 0
        self.reply: bytes | None = None
        self.lost: StageFailedError | None = None

    def result(self) -> Any:
        assert self.reply is not None
        succeeded, value = pickle.loads(self.reply)
        if not succeeded:
            raise value
        return value


class _Worker:
    """A spawned process, our end of its pipe, and the jobs it holds, oldest first."""

    def __init__(self) -> None:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        self.connection: Connection[Any, Any] = ours
        self.held: deque[_Job] = deque()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        with _one_thread(), _interrupts_blocked():
            self._process.start()
        theirs.close()

    def end(self) -> int | None:
        """Make sure that the process is gone; its exit code."""
        self.connection.close()
        self._process.join(timeout=2.0)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        return self._process.exitcode


@contextmanager
def _one_thread() -> Generator[None]:
    """Let processes that start now compute with one thread each: numeric libraries read this as they load."""
    before = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def _interrupts_blocked() -> Generator[None]:
    """Let processes that start now never see Ctrl-C, which a terminal sends to all: this process ends them."""
    resource_tracker.ensure_running()  # starting together with the first process, it would unblock the signal again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
