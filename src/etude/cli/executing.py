"""Where a command's episodes run."""

from contextlib import AbstractContextManager

from etude.core import Executor


def make_executor(processes: int) -> AbstractContextManager[Executor]:
    """This process for one, others for more; the results are the same."""
    from etude.compute import ProcessExecutor, SerialExecutor

    return SerialExecutor() if processes == 1 else ProcessExecutor(processes)
