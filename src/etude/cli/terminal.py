"""What a person sees while they wait and when it is done: results on stdout, progress on stderr."""

import json
import sys
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from etude.loop.progress import Progress, Update

_QUIET_S, _EVERY_S, _EVERY_SHARE = 2.0, 10.0, 0.1
_NEXT: ContextVar[list[str] | None] = ContextVar("next", default=None)
"""What to do after the command under way, gathered until all else is shown."""


def show(*things: object) -> None:
    """Print results: text (with rich's markup off) or rich's tables."""
    # Without a terminal rich assumes 80 columns, and would break paths and tables in files and pipes.
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 120)
    for thing in things:
        console.print(thing, soft_wrap=isinstance(thing, str))


def show_next(*commands: str) -> None:
    """End a command with what to do next: at the end of `next_at_the_end`, or at once outside of it."""
    if (gathered := _NEXT.get()) is not None:
        gathered.extend(commands)
    else:
        show("", "Next:", *(f"  {command}" for command in commands))


@contextmanager
def next_at_the_end() -> Generator[None]:
    """What to do next is shown after everything else, such as the page that is written when a command is done."""
    gathered: list[str] = []
    token = _NEXT.set(gathered)
    try:
        yield
    finally:
        _NEXT.reset(token)
        if gathered:
            show_next(*gathered)


def show_json(value: Any) -> None:
    """Print one line that a program reads, at once."""
    print(json.dumps(value), flush=True)


def watch() -> Progress:
    """Progress as this terminal can show it: bars that move, or now and then a line."""
    if sys.stderr.isatty():
        return Bars(Console(stderr=True, highlight=False))
    return Lines(sys.stderr)


class Bars:
    """A bar with the time left for each piece of work under way, and a line for each that is done."""

    def __init__(self, console: Console) -> None:
        self._console, self._open = console, 0
        self._display = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}", markup=False),
            console=console,
            transient=True,
            # What is piped elsewhere must not come out here.
            redirect_stdout=sys.stdout.isatty(),
        )

    @contextmanager
    def __call__(self, title: str, total: int) -> Generator[Update]:
        """Show one piece of work of `total` units."""
        begun, last = time.monotonic(), ""
        if self._open == 0:
            self._display.start()
        self._open += 1
        bar = self._display.add_task(title, total=total, note="")

        def update(done: int, note: str) -> None:
            nonlocal last
            last = note
            self._display.update(bar, completed=done, note=note)

        try:
            yield update
            self._console.print(
                f"{title}  {duration(time.monotonic() - begun)}  {last}".rstrip(), markup=False, highlight=False
            )
        finally:
            self._display.remove_task(bar)
            self._open -= 1
            if self._open == 0:
                self._display.stop()


class Lines:
    """For logs: a line every tenth of the way, but never two in two seconds, or every ten seconds."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    @contextmanager
    def __call__(self, title: str, total: int) -> Generator[Update]:
        """Show one piece of work of `total` units."""
        begun = told = time.monotonic()
        told_done = 0
        first: tuple[int, float] | None = None  # the pace is counted from here: what was done before, or slow to start

        def update(done: int, note: str) -> None:
            nonlocal told, told_done, first
            now = time.monotonic()
            first = first or (done, now)
            further = done - told_done >= _EVERY_SHARE * total and now - told >= _QUIET_S
            if not (further or now - told >= _EVERY_S or (done == total and now - begun >= _QUIET_S)):
                return
            told, told_done = now, done
            since, seconds = done - first[0], now - first[1]
            left = f"{duration(seconds / since * (total - done))} left" if since else ""
            parts = (f"{title}: {done}/{total}", left if done < total else "done", note)
            print(", ".join(part for part in parts if part), file=self._stream, flush=True)

        yield update


def duration(seconds: float) -> str:
    """Seconds as "42 s", "3 min 05 s" or "2 h 10 min"."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
