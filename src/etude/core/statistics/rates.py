"""Rates with their intervals, and the mean of a tail."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from statistics import NormalDist

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.errors import ConfigError


@dataclass(frozen=True)
class Rate:
    """k successes in n trials, with its Wilson score interval.

    Source: Wilson 1927.
    """

    k: int
    n: int
    level: float = 0.95

    def __post_init__(self) -> None:
        if not 0 <= self.k <= self.n:
            raise ConfigError(f"a rate needs 0 <= k <= n, got k={self.k}, n={self.n}.")

    @staticmethod
    def of(successes: Sequence[bool]) -> "Rate":
        """Count a sequence of successes."""
        return Rate(sum(bool(s) for s in successes), len(successes))

    @property
    def value(self) -> float:
        """k / n; NaN without trials."""
        return self.k / self.n if self.n else float("nan")

    @cached_property
    def interval(self) -> tuple[float, float]:
        """Wilson interval (low, high); (0, 1) without trials."""
        if self.n == 0:
            return 0.0, 1.0
        z = NormalDist().inv_cdf(0.5 + self.level / 2)
        p, n = self.k / self.n, self.n
        centre = (p + z * z / (2 * n)) / (1 + z * z / n)
        half = z / (1 + z * z / n) * sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        # The bounds are exactly 0 and 1 at the ends; rounding must not say otherwise.
        return (0.0 if self.k == 0 else centre - half), (1.0 if self.k == n else centre + half)

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.interval[0]

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.interval[1]

    def to_json(self) -> dict[str, int | float]:
        """As {"k", "n", "low", "high"}."""
        return {"k": self.k, "n": self.n, "low": self.low, "high": self.high}

    def __str__(self) -> str:
        return f"{self.k}/{self.n} ({self.low:.0%}–{self.high:.0%})"


def cvar(values: Float64[NDArray[np.float64], " n"], fraction: float) -> float:
    """Mean of the worst (lowest) `fraction` of the values, the boundary value weighted so that it is exact.

    Args:
        values: E.g. progress per case.
        fraction: In (0, 1].
    """
    if not 0 < fraction <= 1 or values.size == 0:
        raise ConfigError(f"cvar needs values and a fraction in (0, 1], got n={values.size}, {fraction:g}.")
    mass = fraction * values.size
    weights = np.clip(mass - np.arange(values.size), 0.0, 1.0)
    return float(np.sort(values) @ weights / mass)
