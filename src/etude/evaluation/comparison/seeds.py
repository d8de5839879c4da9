"""Do training seeds agree? The unit is the policy that one seed gave, and all of them sat the same cases."""

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from etude.core import ConfigError

type Successes = Bool[NDArray[np.bool_], "R n"]
"""Of R policies that differ in their training seed, on the same n cases."""

type Interval = tuple[float, float]

_DRAWS, _CHUNK = 10_000, 500


@dataclass(frozen=True, kw_only=True)
class AcrossSeeds:
    """The difference of two ways of training, by the policies that their seeds gave.

    Attributes:
        difference: Mean success of the first less that of the second.
        t: Its interval over training seeds, with the cases as they are: paired t where there are as many of each
            (the i-th with the i-th), Welch's where not.
        bootstrap: Its interval over training seeds and cases; too narrow where the seeds are few.
        paired: Whether the i-th belongs to the i-th.
    """

    difference: float
    t: Interval
    bootstrap: Interval
    paired: bool

    @property
    def interval(self) -> Interval:
        """What both allow: the lower of the two lows to the higher of the two highs."""
        return min(self.t[0], self.bootstrap[0]), max(self.t[1], self.bootstrap[1])

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**vars(self), "t": list(self.t), "bootstrap": list(self.bootstrap)}


def across_seeds(first: Successes, second: Successes, rng: np.random.Generator, *, level: float = 0.95) -> AcrossSeeds:
    """Compare two ways of training, several seeds each.

    Args:
        first: Of the one, shape (R₁, n).
        second: Of the other, shape (R₂, n), on the same cases.
        rng: For the bootstrap.
        level: Of the intervals.

    Raises:
        ConfigError: Fewer than two seeds of either.
    """
    if min(len(first), len(second)) < 2:
        raise ConfigError(
            f"training seeds vary only among several: got {len(first)} and {len(second)} policies; name at least "
            "two of each, or one of each."
        )
    return AcrossSeeds(
        difference=float(first.mean() - second.mean()),
        t=_t_interval(first.mean(axis=1), second.mean(axis=1), level),
        bootstrap=hierarchical_bootstrap(first, second, rng, level=level),
        paired=len(first) == len(second),
    )


def hierarchical_bootstrap(
    first: Successes, second: Successes, rng: np.random.Generator, *, level: float = 0.95, draws: int = _DRAWS
) -> Interval:
    """Percentile interval of the difference in mean success: policies are drawn again, then cases, the same for all.

    Args:
        first: Of the one, shape (R₁, n).
        second: Of the other, shape (R₂, n); where R₁ = R₂ the i-th is drawn together with the i-th.
        rng: For the draws.
        level: Of the interval.
        draws: How many.
    """
    n, differences = first.shape[1], np.empty(draws)
    for start in range(0, draws, _CHUNK):
        count = min(_CHUNK, draws - start)
        weights = _weights(rng, len(first), count)
        others = weights if len(first) == len(second) else _weights(rng, len(second), count)
        drawn = weights @ first - others @ second  # (count, n): the difference at every case
        differences[start : start + count] = (_weights(rng, n, count) * drawn).sum(axis=1)
    low, high = np.quantile(differences, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def _weights(rng: np.random.Generator, size: int, count: int) -> Float64[NDArray[np.float64], "count size"]:
    """How much each weighs after as many draws with replacement; every row sums to 1."""
    return rng.multinomial(size, np.full(size, 1 / size), count) / size


def _t_interval(
    first: Float64[NDArray[np.float64], " R"], second: Float64[NDArray[np.float64], " S"], level: float
) -> Interval:
    from scipy.stats import t

    if len(first) == len(second):
        spread, freedom = float((first - second).var(ddof=1)) / len(first), float(len(first) - 1)
    else:
        spread, freedom = _welch(first, second)
    centre = float(first.mean() - second.mean())
    half = float(t.ppf((1 + level) / 2, freedom)) * sqrt(spread)
    return centre - half, centre + half


def _welch(
    first: Float64[NDArray[np.float64], " R"], second: Float64[NDArray[np.float64], " S"]
) -> tuple[float, float]:
    """Variance of the difference of two means, and its degrees of freedom (Welch 1947)."""
    a, b = (float(values.var(ddof=1)) / len(values) for values in (first, second))
    if a + b == 0:
        return 0.0, 1.0
    return a + b, (a + b) ** 2 / (a * a / (len(first) - 1) + b * b / (len(second) - 1))
