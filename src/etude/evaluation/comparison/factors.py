"""Does the difference between two policies depend on a factor of the world?

A factor's values are cut at their median into a lower and an upper half. Where the difference does not depend on the
factor, the cases' differences are exchangeable between the halves: a permutation test, Holm-corrected over factors.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from etude.core import Case, Paired, holm
from etude.evaluation.comparison.seeds import Interval, Successes, hierarchical_bootstrap

_LEAST, _SHUFFLES = 4, 9_999


@dataclass(frozen=True, kw_only=True)
class Half:
    """The difference on one side of a factor's median.

    Attributes:
        n: Cases.
        difference: Mean success of the first less that of the second.
        interval: Of the difference, 95 %.
    """

    n: int
    difference: float
    interval: Interval

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"n": self.n, "difference": self.difference, "low": self.interval[0], "high": self.interval[1]}


@dataclass(frozen=True, kw_only=True)
class Dependence:
    """How the difference between two policies changes along one factor.

    Attributes:
        factor: Its name.
        split: Median of its values, physical units; `lower` is at most that.
        lower: Where it is small.
        upper: Where it is large.
        p: Of the permutation test that both halves differ alike.
        p_holm: The same, corrected for all factors that were looked at.
    """

    factor: str
    split: float
    lower: Half
    upper: Half
    p: float
    p_holm: float

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**vars(self), "lower": self.lower.to_json(), "upper": self.upper.to_json()}


def dependences(
    cases: Sequence[Case], first: Successes, second: Successes, rng: np.random.Generator
) -> list[Dependence]:
    """Every factor that the cases vary, the least likely to be chance first.

    Args:
        cases: The n cases; those whose θ leaves a factor unset say nothing about it.
        first: Successes on them, shape (R₁, n).
        second: Successes of the other, shape (R₂, n).
        rng: For the permutations, and the intervals where there are several training seeds.
    """
    found: list[Dependence] = []
    for name in sorted({name for case in cases for name in case.theta.values}):
        kept = np.array([name in case.theta.values for case in cases])
        values = np.array([case.theta.values[name] for case in cases if name in case.theta.values])
        lower = values <= np.median(values)
        if min(lower.sum(), (~lower).sum()) >= _LEAST:
            found.append(_dependence(name, values, lower, first[:, kept], second[:, kept], rng))
    corrected = holm([each.p for each in found])
    holmed = [replace(each, p_holm=p) for each, p in zip(found, corrected, strict=True)]
    return sorted(holmed, key=lambda each: (each.p, each.factor))


def permutation_p(
    scores: Float64[NDArray[np.float64], " n"], lower: Bool[NDArray[np.bool_], " n"], rng: np.random.Generator
) -> float:
    """Two-sided p-value that scores of two groups have one mean, from 9,999 shuffles and the order observed.

    Args:
        scores: One per case.
        lower: Which cases are of the one group.
        rng: For the shuffles.
    """
    count, centred = int(lower.sum()), scores - scores.mean()
    observed = abs(float(centred[lower].sum()))
    shuffled = rng.permuted(np.tile(centred, (_SHUFFLES, 1)), axis=1)[:, :count].sum(axis=1)
    # Sums of the same numbers in another order may differ in the last digit.
    return (1 + int((np.abs(shuffled) >= observed - 1e-9).sum())) / (1 + _SHUFFLES)


def _dependence(
    name: str,
    values: Float64[NDArray[np.float64], " n"],
    lower: Bool[NDArray[np.bool_], " n"],
    first: Successes,
    second: Successes,
    rng: np.random.Generator,
) -> Dependence:
    p = permutation_p(first.mean(axis=0) - second.mean(axis=0), lower, rng)
    return Dependence(
        factor=name,
        split=float(np.median(values)),
        lower=_half(first[:, lower], second[:, lower], rng),
        upper=_half(first[:, ~lower], second[:, ~lower], rng),
        p=p,
        p_holm=p,
    )


def _half(first: Successes, second: Successes, rng: np.random.Generator) -> Half:
    if len(first) == len(second) == 1:
        interval = Paired.of(first[0].tolist(), second[0].tolist()).interval()
    else:
        interval = hierarchical_bootstrap(first, second, rng, draws=2_000)
    return Half(n=first.shape[1], difference=float(first.mean() - second.mean()), interval=interval)
