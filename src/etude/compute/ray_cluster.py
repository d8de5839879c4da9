"""Jobs on a Ray cluster: one of this machine that lives as long as the executor, or one that is there already.

Every worker is an actor that holds one processor of the cluster. Ray retries nothing: an actor that dies, by itself or
with its machine, is replaced here and its job run again, exactly as with processes. An actor is sent jobs only when it
runs, so that one that waits for a free processor keeps no job from the others.
"""

import logging
import os
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from types import TracebackType
from typing import Any

from etude.compute.pool import Job, WorkerDiedError, WorkerPool
from etude.compute.processes import environment
from etude.compute.worker import ONE_THREAD, reply_to
from etude.core import ConfigError, MissingDependencyError, StageFailedError

_REACHED_S = 5.0  # until an address must take a connection
_ANSWERED_S = 20.0  # until Ray must answer there
_STARTED_S = 300.0  # until one worker must have found a free processor
_STILLBORN = 3  # workers that die before their first job, one after the other


class RayExecutor(WorkerPool["_Actor"]):
    """Runs jobs in Ray actors, each with one processor and one computing thread; results come in the order of the jobs.

    An error that a job raises is raised here when its turn comes, as the same error. A worker that dies is replaced
    and its job run again, up to three times. Leaving the `with` block ends the workers, and the cluster if it was
    started here; a cluster that was joined is left running. Ray prints nothing: its logs are under /tmp/ray.

    What jobs name on disk, such as a checkpoint, every machine of the cluster must find at the same path.

    Args:
        processes: How many workers; they start with the first job.
        address: Cluster to join, as HOST:PORT, or "auto" for the one on this machine; None starts one on this machine.
        held: Jobs that a worker holds at once, as of every pool.

    Raises:
        MissingDependencyError: Ray is not installed.
        ConfigError: No cluster answers at the address.
    """

    def __init__(self, processes: int = 2, address: str | None = None, *, held: int = 2) -> None:
        super().__init__(processes, held=held)
        if find_spec("ray") is None:
            raise MissingDependencyError("running on Ray needs its library: pip install 'etude[ray]'.")
        if address not in (None, "auto"):
            _require_answer(address)
        self._stillborn = 0
        self._connected_here = _connect(processes, address)

    def close(self) -> None:
        """End all workers; a later `map` starts new ones."""
        import ray

        if ray.is_initialized():
            super().close()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        import ray

        self.close()
        if self._connected_here:
            ray.shutdown()

    def _hire(self) -> "_Actor":
        return _Actor()

    def _answering(self, workers: Sequence["_Actor"], *, block: bool) -> Sequence["_Actor"]:
        import ray

        awaited = {worker.awaited[0]: worker for worker in workers if worker.awaited}
        if not awaited:
            return []
        some_run = any(worker.ready for worker in workers)
        timeout_s = (None if some_run else _STARTED_S) if block else 0.0
        come, _ = ray.wait(list(awaited), num_returns=1, timeout=timeout_s)
        if block and not come:
            raise StageFailedError(f"no worker could start within {_STARTED_S:g} s: {_capacity()}.")
        return [awaited[reference] for reference in come]

    def _bury(self, worker: "_Actor") -> None:
        super()._bury(worker)
        self._stillborn = 0 if worker.ready else self._stillborn + 1
        if self._stillborn >= _STILLBORN:
            raise StageFailedError(f"no worker can start on the Ray cluster: {worker.how}.")


class _Actor:
    """A Ray actor, what is awaited of it, and the jobs it holds, oldest first."""

    def __init__(self) -> None:
        import ray

        variables = {**ONE_THREAD, **{k: v for k, v in os.environ.items() if k in ("MUJOCO_GL", "LP_NUM_THREADS")}}
        kind: Any = ray.remote(num_cpus=1, max_restarts=0, max_task_retries=0)(_Servant)
        self._actor = kind.options(runtime_env={"env_vars": variables}).remote(list(sys.path))
        self.held: deque[Job] = deque()
        self.ready = False
        self.how = "it did not die"
        self.awaited: deque[Any] = deque([self._actor.greet.remote()])  # its start, or replies to the jobs it holds

    def send(self, job: Job) -> None:
        self.awaited.append(self._actor.reply_to.remote(job.message))

    def receive(self) -> None:
        import ray
        from ray.exceptions import RayError

        try:
            reply: Any = ray.get(self.awaited[0])
        except (RayError, RuntimeError) as error:  # whatever it was, nothing more is to be had from this one
            self.how = _in_short(error)
            raise WorkerDiedError from error
        self.awaited.popleft()
        if self.ready:
            self.held.popleft().reply = reply
        self.ready = True

    def end(self) -> str:
        import ray

        ray.kill(self._actor)
        return self.how


class _Servant:
    """What an actor runs.

    Args:
        path: Where this process finds modules: the actor looks there too, after its own places.
    """

    def __init__(self, path: Sequence[str]) -> None:
        sys.path.extend(folder for folder in path if folder not in sys.path)

    def greet(self) -> None:
        """Answer, once it runs."""

    def reply_to(self, message: bytes) -> bytes:
        """Run a job."""
        return reply_to(message)


def _connect(processes: int, address: str | None) -> bool:
    """Start or join a cluster, unless this process has one already; whether it had none."""
    import ray

    if ray.is_initialized():
        return False
    logging.getLogger("ray").setLevel(logging.ERROR)
    # Else it prints at every worker's death, and to stdout; its argument log_to_driver does not cover that.
    setattr(import_module("ray._private.worker"), "_worker_logs_enabled", False)  # noqa: B010
    local = {"address": "local", "num_cpus": processes, "include_dashboard": False}
    settings: dict[str, Any] = local if address is None else {"address": address}
    # No statistics are sent to anybody, and a worker without a share of a GPU is not made blind to it.
    variables = {"RAY_USAGE_STATS_ENABLED": "0", "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0"}
    try:
        with environment(variables):
            ray.init(**settings, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise ConfigError(
            f"cannot {'start' if address is None else 'join'} a Ray cluster: {_in_short(error)}."
        ) from error
    return True


def _require_answer(address: str) -> None:
    """Raise unless a Ray cluster answers; Ray itself would try for minutes, and then end this process."""
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or "/" in host:
        raise ConfigError(f"Ray address '{address}': must be HOST:PORT of a cluster, such as 10.0.0.1:6379, or auto.")
    try:
        socket.create_connection((host, int(port)), _REACHED_S).close()
        ask = [sys.executable, "-c", "from ray.scripts.scripts import main; main()", "health-check"]
        subprocess.run([*ask, "--address", address], timeout=_ANSWERED_S, check=True, capture_output=True)
    except (OSError, OverflowError, subprocess.SubprocessError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "what listens there is not Ray"
        raise ConfigError(
            f"Ray address '{address}': no cluster answers there ({why}); start one with `ray start --head`, "
            "or leave --ray-address out to use this machine."
        ) from error


def _capacity() -> str:
    import ray

    whole, free = ray.cluster_resources().get("CPU", 0), ray.available_resources().get("CPU", 0)
    return f"the Ray cluster has {whole:g} processors, of which {free:g} are free"


def _in_short(error: BaseException) -> str:
    """The first line of what Ray says, without the period."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:300].rstrip(".:") if lines else type(error).__name__
