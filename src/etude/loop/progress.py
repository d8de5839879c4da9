"""How long work says how far it is; whoever wires the objects together decides what that looks like."""

from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager

type Update = Callable[[int, str], None]
"""(units done, a short note such as the loss)."""

type Progress = Callable[[str, int], AbstractContextManager[Update]]
"""(title, units in all) -> the update of one piece of work."""


@contextmanager
def silent(title: str, total: int) -> Generator[Update]:
    """Progress that nobody watches."""
    del title, total
    yield lambda done, note: None
