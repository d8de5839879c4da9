"""Ctrl-C and SIGTERM during a training: they wait until a step is whole, so that nothing of it is lost."""

import signal
import threading
from collections.abc import Callable, Generator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def wait_for_the_step() -> Generator[Callable[[], bool]]:
    """Note that the person asked to stop; who asks a second time does not wait.

    Yields:
        Whether they asked.
    """
    asked: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        asked.append(number)
        if len(asked) > 1:
            raise KeyboardInterrupt

    with _handled(note):
        yield lambda: bool(asked)


@contextmanager
def stop_at_once() -> Generator[None]:
    """For what takes long between two steps: a signal ends it there."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled(stop):
        yield


@contextmanager
def _handled(handler: Callable[[int, FrameType | None], None]) -> Generator[None]:
    """Signals reach only the main thread; a training in another is stopped by whoever started it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, previous in before.items():
            signal.signal(number, previous)
