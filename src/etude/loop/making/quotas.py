"""Equal numbers of demonstrations from all parts of a space, whatever share of the attempts succeeds in each."""

from collections.abc import Mapping, Sequence
from itertools import pairwise, product

import numpy as np

from etude.core import ConfigError, PerturbationSpace, Rate

MOST_FACTORS = 2
"""Whose ranges are divided together: parts multiply, and each needs its share of attempts."""

_ENOUGH, _HOPE = 50, 1 / 20  # of parts with a lower yield no more is expected

type Ranges = Mapping[str, tuple[float, float]]
"""Factor -> least and largest value of a part, physical units."""


def divide(space: PerturbationSpace, bins: Mapping[str, int]) -> list[Ranges]:
    """Divide the ranges of one factor or two into equal bins; of two factors all combinations are parts.

    Args:
        space: What can vary.
        bins: Factor -> into how many, at least 2.

    Raises:
        UnknownNameError: There is no such factor.
        ConfigError: Too many factors, or too few bins.
    """
    if not 1 <= len(bins) <= MOST_FACTORS:
        raise ConfigError(f"{len(bins)} factors ({', '.join(bins)}) to divide by: name one or {MOST_FACTORS}.")
    for name, count in bins.items():
        if count < 2:
            raise ConfigError(f"{count} bins of {name}: choose at least 2.")
    edges = {name: np.linspace(space[name].low, space[name].high, count + 1).tolist() for name, count in bins.items()}
    return [dict(zip(edges, chosen, strict=True)) for chosen in product(*(pairwise(row) for row in edges.values()))]


class Quotas:
    """How many attempts were made in every part, what came of them, and which part still wants more.

    Attempt i is made in part i modulo the number of parts, or not at all where that part wants none. A part wants no
    more when it has its demonstrations, or when next to nothing succeeds in it: that is a hole. With one part there is
    no such end.

    Args:
        parts: How many parts.
        each: Demonstrations wanted of each; None for as many as succeed.
        without: Parts in which nothing can be attempted.
    """

    def __init__(self, parts: int, each: int | None, *, without: Sequence[int] = ()) -> None:
        self._each = each
        self._accepted, self._attempts = [0] * parts, [0] * parts
        self._open = {part for part in range(parts) if part not in without and each != 0}

    @property
    def rates(self) -> tuple[Rate, ...]:
        """Accepted of attempted, of every part."""
        return tuple(Rate(k, n) for k, n in zip(self._accepted, self._attempts, strict=True))

    @property
    def attempts(self) -> int:
        """Made in all parts."""
        return sum(self._attempts)

    @property
    def over(self) -> bool:
        """Whether no part wants more."""
        return not self._open

    def part(self, attempt: int) -> int:
        """The part that an attempt is made in."""
        return attempt % len(self._attempts)

    def wants(self, attempt: int) -> bool:
        """Whether an attempt is to be made: once refused, a part is always."""
        return self.part(attempt) in self._open

    def add(self, attempt: int, *, success: bool) -> None:
        """Count an attempt that was wanted."""
        part = self.part(attempt)
        self._attempts[part] += 1
        self._accepted[part] += success
        if not self._wants_more(part):
            self._open.discard(part)

    def _wants_more(self, part: int) -> bool:
        accepted, attempts = self._accepted[part], self._attempts[part]
        if self._each is not None and accepted >= self._each:
            return False
        return len(self._attempts) == 1 or attempts < _ENOUGH or accepted >= attempts * _HOPE
