"""Attribute paths: `unwrapped.model.geom('block').rgba[0]` names one place inside an environment.

A path is a chain of attributes, indices `[3]`, slices `[:3]`, keys `['block']` and look-ups by name `('block')`, as one
would write it in Python; nothing is evaluated.
"""

import re
from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np

from etude.core import ConfigError

_TOKEN = re.compile(
    r"(?:^|\.)(?P<attribute>[A-Za-z_]\w*)"
    r"|\[(?P<index>-?\d+)\]"
    r"|\[(?P<start>-?\d*):(?P<stop>-?\d*)\]"
    r"|\[['\"](?P<key>[^'\"]+)['\"]\]"
    r"|\(['\"](?P<name>[^'\"]+)['\"]\)"
)

type Step = tuple[str, Any]
"""("attribute" | "item" | "call", name, index, slice or key)."""


def parse(path: str) -> tuple[Step, ...]:
    """The steps of a path.

    Raises:
        ConfigError: Not a path.
    """
    steps: list[Step] = []
    position = 0
    while position < len(path):
        match = _TOKEN.match(path, position)
        if match is None:
            break
        steps.append(_step(match))
        position = match.end()
    if not steps or position < len(path):
        raise ConfigError(
            f"attribute path '{path}': '{path[position:]}' is not understood; "
            "write it like unwrapped.model.geom('block').rgba[0]."
        )
    return tuple(steps)


def _step(match: re.Match[str]) -> Step:
    part = match.groupdict()
    if part["attribute"]:
        return "attribute", part["attribute"]
    if part["name"]:
        return "call", part["name"]
    if part["key"]:
        return "item", part["key"]
    if part["index"]:
        return "item", int(part["index"])
    return "item", slice(*(int(part[end]) if part[end] else None for end in ("start", "stop")))


def follow(value: Any, steps: tuple[Step, ...]) -> Any:
    """What a path leads to."""
    for kind, key in steps:
        value = getattr(value, key) if kind == "attribute" else value[key] if kind == "item" else value(key)
    return value


@dataclass(frozen=True)
class Place:
    """One place that holds numbers, to be read and written.

    Attributes:
        path: How it was named.
        parent: What holds it.
        last: The step from there.
    """

    path: str
    parent: Any
    last: Step

    @staticmethod
    def find(root: Any, path: str) -> "Place":
        """Follow a path from `root`.

        Raises:
            ConfigError: The path leads nowhere, or not to numbers.
        """
        *first, last = parse(path)
        try:
            place = Place(path, follow(root, tuple(first)), last)
            value = follow(place.parent, (last,))
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ConfigError(f"'{path}' leads nowhere: {error!r}.") from error
        if not _numeric(value):
            raise ConfigError(f"'{path}' holds {type(value).__name__}, not numbers.")
        return place

    def read(self) -> Any:
        """A copy of the number or array there."""
        value = follow(self.parent, (self.last,))
        return value.copy() if isinstance(value, np.ndarray) else value

    def write(self, value: Any) -> None:
        """Put a number or array there, of the shape and kind that is there already.

        Raises:
            ConfigError: The place cannot be written.
        """
        present, (kind, key) = follow(self.parent, (self.last,)), self.last
        try:
            if isinstance(present, np.ndarray) and present.ndim:
                present[...] = value
            elif kind == "attribute":
                setattr(self.parent, key, _like(present, value))
            else:
                self.parent[key] = _like(present, value)
        except (AttributeError, TypeError, ValueError) as error:
            raise ConfigError(f"'{self.path}' cannot be written: {error!r}.") from error


def _numeric(value: Any) -> bool:
    if isinstance(value, np.ndarray):
        return value.dtype.kind in "fiu"
    return isinstance(value, Number) and not isinstance(value, bool | complex)


def _like(present: Any, value: Any) -> Any:
    return round(float(value)) if isinstance(present, int | np.integer) else value
