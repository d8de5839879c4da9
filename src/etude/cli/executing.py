"""Where a command's episodes run: options that every such command has, and what they stand for."""

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import arg

from etude.cli.usage import require_at_least
from etude.core import ConfigError, Executor

type ExecutorName = Literal["auto", "serial", "processes", "ray"]


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """Where episodes run; none of it changes a result.

    Attributes:
        executor: Where episodes run: here (serial), in processes of this machine, or on a Ray cluster; auto is
            processes, or serial where there is one.
        processes: How many processes run episodes; they do not change the result.
        ray_address: Ray cluster to join, as HOST:PORT or auto; by default a local one is started.
    """

    executor: ExecutorName = "auto"
    processes: int = 2
    ray_address: Annotated[str | None, arg(metavar="ADDRESS")] = None

    def __post_init__(self) -> None:
        require_at_least(1, processes=self.processes)
        if self.ray_address and self.executor != "ray":
            raise ConfigError(f"--ray-address {self.ray_address}: goes with --executor ray.")


def make_executor(options: WorkerOptions, *, held: int = 2) -> AbstractContextManager[Executor]:
    """What the options name; the results are the same.

    Args:
        options: What a person asked for.
        held: Jobs that a worker holds at once; 1 for long jobs.
    """
    from etude.compute import ProcessExecutor, RayExecutor, SerialExecutor

    if options.executor == "ray":
        return RayExecutor(options.processes, options.ray_address, held=held)
    serial = options.executor == "serial" or (options.executor == "auto" and options.processes == 1)
    return SerialExecutor() if serial else ProcessExecutor(options.processes, held=held)
