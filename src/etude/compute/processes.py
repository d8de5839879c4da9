"""Jobs in other processes of this machine: ordered, streaming, and none of them survives this one.

Every worker hangs on one pipe. Jobs go down it and replies come back, in order, so a worker needs no ticket numbers.
The other end of the pipe closing, for whatever reason, ends a worker at once; a worker's end closing gives its jobs to
another.
"""

import os
import signal
from collections import deque
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from multiprocessing import get_context, resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from etude.compute.pool import Job, WorkerDiedError, WorkerPool
from etude.compute.worker import ONE_THREAD, serve


class ProcessExecutor(WorkerPool["_Process"]):
    """Runs jobs in spawned processes, each with one computing thread, and yields results in the order of the jobs.

    An error that a job raises is raised here when its turn comes, as the same error. A worker that dies is replaced
    and its job run again, up to three times. Leaving the `with` block ends the workers, whatever they are doing.

    Args:
        processes: How many workers; they start with the first job.
    """

    def close(self) -> None:
        """End all workers; a later `map` starts new ones."""
        for worker in self._workers:
            worker.connection.close()  # all at once: then none has to be waited for long
        super().close()

    def _hire(self) -> "_Process":
        return _Process()

    def _answering(self, workers: Sequence["_Process"], *, block: bool) -> Sequence["_Process"]:
        busy = {worker.connection: worker for worker in workers if worker.held}
        ready = wait(list(busy), timeout=None if block else 0.0)
        return [busy[connection] for connection in ready]  # pyright: ignore[reportArgumentType]


class _Process:
    """A spawned process, our end of its pipe, and the jobs it holds, oldest first."""

    ready = True  # the pipe keeps jobs until it is

    def __init__(self) -> None:
        context = get_context("spawn")
        ours, theirs = context.Pipe()
        self.connection: Connection[Any, Any] = ours
        self.held: deque[Job] = deque()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        with environment(ONE_THREAD), _interrupts_blocked():
            self._process.start()
        theirs.close()

    def send(self, job: Job) -> None:
        try:
            self.connection.send_bytes(job.message)
        except OSError as error:
            raise WorkerDiedError from error

    def receive(self) -> None:
        try:
            self.held[0].reply = self.connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise WorkerDiedError from error
        self.held.popleft()

    def end(self) -> str:
        self.connection.close()
        self._process.join(timeout=2.0)
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()
        return f"exit code {self._process.exitcode}"


@contextmanager
def environment(variables: dict[str, str]) -> Generator[None]:
    """Let processes that start now find these variables in their environment."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
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
