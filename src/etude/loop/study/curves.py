"""Success against what it cost: mean curves over replicates, and what is read off them."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import inf

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.statistics import paired_t
from etude.loop.study.record import Replicate

type Matrix = Float64[NDArray[np.float64], "R T"]
"""One row per replicate, one column per examined round, the first before any practice."""

_DRAWS = 2000


@dataclass(frozen=True)
class CurvePoint:
    """A mean over replicates.

    Attributes:
        cost: Mean cost so far.
        success: Mean success.
        low: Lower end of its interval over replicates (t); the mean itself with one replicate.
        high: Upper end.
    """

    cost: float
    success: float
    low: float
    high: float


@dataclass(frozen=True)
class Needed:
    """How many demonstrations an arm takes to reach what another ends with.

    Attributes:
        demonstrations: On the mean curve; infinite where it does not get there.
        fewer: How many times fewer than the other's; 0 where it does not get there.
        interval: Of `fewer`, by drawing replicates again; None with fewer than two.
    """

    demonstrations: float
    fewer: float
    interval: tuple[float, float] | None


def costs(replicates: Sequence[Replicate], arm: str, cost: str) -> Matrix:
    """What an arm had cost at each of its points; `cost` is one of COSTS."""
    return np.array([[float(getattr(p, cost)) for p in each.arms[arm].points] for each in replicates])


def successes(replicates: Sequence[Replicate], arm: str, test: str) -> Matrix:
    """Success rates of an arm at each of its points."""
    return np.array([[p.rate(test).value for p in each.arms[arm].points] for each in replicates])


def mean_curve(replicates: Sequence[Replicate], arm: str, cost: str, test: str, level: float) -> list[CurvePoint]:
    """Mean success of an arm after every examined round, against its mean cost."""
    x, y = costs(replicates, arm, cost).mean(axis=0), successes(replicates, arm, test)
    points: list[CurvePoint] = []
    for index, column in enumerate(y.T):
        low, high = paired_t(column, level=level) if len(column) > 1 else (column.mean(), column.mean())
        points.append(CurvePoint(float(x[index]), float(column.mean()), max(0.0, float(low)), min(1.0, float(high))))
    return points


def demonstrations_needed(
    replicates: Sequence[Replicate], arm: str, other: str, test: str, rng: np.random.Generator, *, level: float = 0.95
) -> Needed:
    """Demonstrations after which an arm's mean curve reaches what another arm ends with, by straight lines between
    rounds.

    Args:
        replicates: All of the study.
        arm: Whose demonstrations are counted.
        other: Who sets the mark.
        test: On which test.
        rng: For drawing replicates again.
        level: Of the interval.
    """
    x, y = costs(replicates, arm, "demonstrations"), successes(replicates, arm, test)
    mark, spent = successes(replicates, other, test)[:, -1], costs(replicates, other, "demonstrations")[:, -1]

    def fewer(rows: NDArray[np.int64]) -> float:
        needed = first_reach(x[rows].mean(axis=0), y[rows].mean(axis=0), float(mark[rows].mean()))
        return float(spent[rows].mean()) / needed if needed else inf

    count = len(replicates)
    everyone = np.arange(count)
    needed = first_reach(x.mean(axis=0), y.mean(axis=0), float(mark.mean()))
    if count < 2:
        return Needed(needed, fewer(everyone), None)
    drawn = np.sort([fewer(rng.integers(count, size=count)) for _ in range(_DRAWS)])
    # Order statistics, not their average: some draws never reach the mark, or are there at once.
    low, high = drawn[round((1 - level) / 2 * (_DRAWS - 1))], drawn[round((1 + level) / 2 * (_DRAWS - 1))]
    return Needed(needed, fewer(everyone), (float(low), float(high)))


def first_reach(
    cost: Float64[NDArray[np.float64], " T"], success: Float64[NDArray[np.float64], " T"], mark: float
) -> float:
    """Cost at which a curve of straight lines first reaches a mark; infinite where it never does."""
    if success[0] >= mark:
        return float(cost[0])
    for i in range(1, len(success)):
        if success[i] >= mark:
            share = (mark - success[i - 1]) / (success[i] - success[i - 1])
            return float(cost[i - 1] + share * (cost[i] - cost[i - 1]))
    return inf


def gain_at_equal_cost(replicates: Sequence[Replicate], arm: str, other: str, cost: str, test: str) -> list[float]:
    """Success of an arm less that of another, in every replicate, at the cost that the cheaper of them ends with."""
    pairs = [[(costs([each], a, cost)[0], successes([each], a, test)[0]) for a in (arm, other)] for each in replicates]
    gains: list[float] = []
    for (x, y), (other_x, other_y) in pairs:
        end = min(x[-1], other_x[-1])
        gains.append(float(np.interp(end, x, y) - np.interp(end, other_x, other_y)))
    return gains
