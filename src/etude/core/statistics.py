"""Rates with intervals, paired comparison of two policies, and the tail: small, exact, pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import comb, exp, log, sqrt
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

    def __str__(self) -> str:
        return f"{self.k}/{self.n} ({self.low:.0%}–{self.high:.0%})"


@dataclass(frozen=True)
class Paired:
    """Two policies on the same cases: how often only the first, or only the second, succeeded.

    Attributes:
        wins: Cases where only the first succeeded.
        losses: Cases where only the second succeeded.
        ties: Cases where both did the same.
    """

    wins: int
    losses: int
    ties: int = 0

    @staticmethod
    def of(first: Sequence[bool], second: Sequence[bool]) -> "Paired":
        """Compare success case by case; both sequences follow the same cases."""
        pairs = list(zip(first, second, strict=True))
        wins = sum(a and not b for a, b in pairs)
        losses = sum(b and not a for a, b in pairs)
        return Paired(wins, losses, len(pairs) - wins - losses)

    @property
    def p(self) -> float:
        """Exact two-sided McNemar p-value: under equality, wins are Binomial(wins + losses, 1/2)."""
        n = self.wins + self.losses
        tail = sum(comb(n, i) for i in range(min(self.wins, self.losses) + 1)) / 2**n
        return min(1.0, 2 * tail)

    @property
    def e_value(self) -> float:
        """Anytime-valid evidence that the first is better; stop at 20 for a 5 % error whenever one looks.

        E = ∫_{1/2}^{1} 2^(w+l) q^w (1−q)^l · 2 dq: a uniform mixture over q > ½, exact through the binomial identity of
        the incomplete beta function, I_{1/2}(w+1, l+1) = P(Bin(w+l+1, ½) > w).
        """
        w, l = self.wins, self.losses
        n = w + l + 1
        upper_half = sum(comb(n, i) for i in range(w + 1)) / 2**n  # 1 − I_{1/2}(w+1, l+1)
        log_beta = -log(n) - log(comb(w + l, w))
        return 2 * exp((w + l) * log(2) + log_beta) * upper_half

    @property
    def difference(self) -> float:
        """Success rate of the first less that of the second."""
        n = self.wins + self.losses + self.ties
        return (self.wins - self.losses) / n if n else float("nan")


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


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's step-down adjusted p-values, in the order given (Holm 1979)."""
    order = np.argsort(p_values)
    adjusted, running = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order.tolist()):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = running
    return adjusted
