"""How far replicates in other processes are: each writes it down now and then, and a thread here shows it."""

import json
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

from etude.loop.progress import Progress, Update, silent

WORKING = ".working.json"
_LOOK_S = 1.0


@contextmanager
def watched(folders: Mapping[str, Path], progress: Progress) -> Generator[None]:
    """While it is open, show the work under way in every folder.

    Args:
        folders: Name of a replicate -> its folder.
        progress: Shows it.
    """
    if progress is silent or not folders:
        yield
        return
    done = Event()
    thread = Thread(target=_watch, args=(folders, progress, done), daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def _watch(folders: Mapping[str, Path], progress: Progress, done: Event) -> None:
    with ExitStack() as stack:
        bars = {name: stack.enter_context(_Bar(name, progress)) for name in folders}
        while not done.wait(_LOOK_S):
            for name, folder in folders.items():
                bars[name].show(_read(folder / WORKING))


def _read(file: Path) -> Mapping[str, Any] | None:
    """What a replicate says; None where it says nothing, or is just replacing it."""
    try:
        return json.loads(file.read_text())
    except (OSError, json.JSONDecodeError):
        return None


class _Bar:
    """The progress of one replicate: one piece of work after the other."""

    def __init__(self, name: str, progress: Progress) -> None:
        self._name, self._progress = name, progress
        self._stack = ExitStack()
        self._told: Mapping[str, Any] | None = None
        self._update: Update | None = None

    def __enter__(self) -> "_Bar":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def show(self, told: Mapping[str, Any] | None) -> None:
        """Show what a replicate says now."""
        if told == self._told:
            return
        if told is None or self._told is None or told["title"] != self._told["title"]:
            self._stack.close()
            self._update = None
            if told:
                work = self._progress(f"{self._name}: {told['title']}", told["total"])
                self._update = self._stack.enter_context(work)
        self._told = told
        if told and self._update:
            self._update(told["done"], told["note"])
