"""Boxes of few factors in which failures gather: beam search over intervals, then one box after another.

A box is judged as in a scan statistic (Kulldorff 1997): by how much likelier the failures become with one rate inside
and one outside, instead of one rate for all,

    gain = k ln(k/n) + (n-k) ln(1-k/n) + the same outside - the same for all samples   [nats],

less a price: the logarithm of how many boxes there are of so many factors. By chance alone the best of all boxes seldom
gains more than its price, however many factors the space has. Still it is not a test, because the samples come from a
search that prefers failing regions: `confirm_pockets` rolls out afresh before anything is called a pocket.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import comb, log
from types import MappingProxyType

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from etude.core import Bounds, ConfigError, Perturbation, PerturbationSpace, Rate, holds
from etude.search.places import same_place

type _Intervals = dict[int, tuple[float, float]]
"""Factor index -> (low, high) in the unit cube."""

_BEAM = 12
_KEPT_PER_FACTOR = 3
_NEAR_END, _EDGE = 0.05, 1.0  # of a factor's range; worth of an edge that a box can do without [nats]
_COARSE, _FINE = 12, 80  # cells per factor: while searching, and while trimming the edges


@dataclass(frozen=True, kw_only=True)
class BoxConfig:
    """What counts as a box.

    Attributes:
        max_boxes: At most so many.
        max_factors: Factors per box.
        min_support: Fewest samples inside.
        min_score: Smallest gain, its price paid [nats].
        factor_price: Price of an interval [nats]: the logarithm of how many clearly different ones a factor has.
    """

    max_boxes: int = 8
    max_factors: int = 4
    min_support: int = 5
    min_score: float = 1.0
    factor_price: float = 4.5

    def __post_init__(self) -> None:
        if min(self.max_boxes, self.max_factors, self.min_support) < 1:
            raise ConfigError("max_boxes, max_factors and min_support must be >= 1.")


@dataclass(frozen=True, kw_only=True)
class Box:
    """A box as the search sees it, before it is confirmed.

    Attributes:
        bounds: Factor name -> (low, high), physical units.
        failures: Failures among the samples inside: optimistic, because the box was chosen for them.
        score: Gain less its price [nats].
    """

    bounds: Bounds
    failures: Rate
    score: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "bounds", MappingProxyType(dict(self.bounds)))

    def contains(self, theta: Perturbation, space: PerturbationSpace) -> bool:
        """Whether θ lies inside; unset factors stand at their nominal value."""
        return holds(self.bounds, theta, space)

    def distance(
        self, points: Float64[NDArray[np.float64], "N D"], space: PerturbationSpace
    ) -> Float64[NDArray[np.float64], " N"]:
        """Distance of points of the unit cube to the box, shape (N,): max-norm over its factors, 0 inside."""
        distance = np.zeros(len(points))
        for name, (low, high) in self.bounds.items():
            d = space.names.index(name)
            a, b = (np.array([low, high]) - space.low[d]) / (space.high[d] - space.low[d])
            distance = np.maximum(distance, np.maximum(a - points[:, d], points[:, d] - b))
        return distance


def find_boxes(
    space: PerturbationSpace,
    points: Float64[NDArray[np.float64], "N D"],
    failures: Bool[NDArray[np.bool_], " N"],
    config: BoxConfig = BoxConfig(),
) -> list[Box]:
    """Find boxes of failures, the clearest first; each is looked for among the samples outside those before.

    Two boxes are never the same place (see `same_place`): such a pair becomes one, whichever of the two or the box
    around both says most.

    Args:
        space: The space of the samples.
        points: Samples in the unit cube, shape (N, D).
        failures: Which of them count as failures, shape (N,).
        config: What counts as a box.
    """
    found: list[_Intervals] = []
    left = np.ones(len(points), dtype=bool)
    judge = _Judge(points, failures, config)
    for _ in range(config.max_boxes):
        intervals = _best(points[left], failures[left], config)
        if intervals is None:
            break
        left &= ~_mask(points, intervals)
        twin = next(
            (other for other in found if same_place(_bounds(space, other), _bounds(space, intervals), space)), None
        )
        if twin is None:
            found.append(intervals)
        else:
            found[found.index(twin)] = max((twin, intervals, _around(twin, intervals)), key=judge.score)
    boxes = [_box(space, intervals, judge) for intervals in found]
    return sorted(boxes, key=lambda box: -box.score)


def fit_inside(
    space: PerturbationSpace,
    box: Box,
    points: Float64[NDArray[np.float64], "N D"],
    failures: Bool[NDArray[np.bool_], " N"],
    config: BoxConfig,
) -> Box | None:
    """The clearest smaller box inside a box, with edges in other factors where these tell more; None without one.

    Args:
        space: The space of the samples.
        box: Where to look.
        points: Samples in the unit cube, shape (N, D).
        failures: Which of them count as failures, shape (N,).
        config: What counts as a box.
    """
    within = box.distance(points, space) <= 0
    points, failures = points[within], failures[within]
    intervals = _best(points, failures, config)
    if intervals is None:
        return None
    found = _box(space, intervals, _Judge(points, failures, config))
    both = {
        name: (
            max(found.bounds.get(name, (-np.inf, np.inf))[0], box.bounds.get(name, (-np.inf, np.inf))[0]),
            min(found.bounds.get(name, (-np.inf, np.inf))[1], box.bounds.get(name, (-np.inf, np.inf))[1]),
        )
        for name in space.names
        if name in found.bounds or name in box.bounds
    }
    return Box(bounds=both, failures=found.failures, score=found.score)


def _best(
    points: Float64[NDArray[np.float64], "N D"], failures: Bool[NDArray[np.bool_], " N"], config: BoxConfig
) -> _Intervals | None:
    """The best box over all numbers of factors, its edges trimmed; None without a clear one."""
    if not config.min_support <= len(points) or not 0 < failures.sum() < len(points):
        return None
    judge = _Judge(points, failures, config)
    beam: list[tuple[float, _Intervals]] = [(0.0, {})]
    best: tuple[float, _Intervals] = (0.0, {})
    for _ in range(min(config.max_factors, points.shape[1])):
        grown = {_key(b): (score, b) for _, parent in beam for score, b in judge.extensions(parent)}
        beam = sorted(grown.values(), key=lambda scored: -scored[0])[:_BEAM]
        if not beam:
            break
        trimmed = max((judge.trim(b) for _, b in beam[:3]), key=lambda scored: scored[0])
        best = max(best, trimmed, key=lambda scored: scored[0])
    score, intervals = best
    return judge.snap(intervals) if intervals and score >= config.min_score else None


class _Judge:
    """Scores boxes on one set of samples."""

    def __init__(
        self, points: Float64[NDArray[np.float64], "N D"], failures: Bool[NDArray[np.bool_], " N"], config: BoxConfig
    ) -> None:
        self._points, self._failures, self._config = points, failures, config
        self._total = (float(len(points)), float(failures.sum()))
        count = points.shape[1]
        most = min(config.max_factors, count)
        self._prices = [log(comb(count, m)) + m * config.factor_price for m in range(most + 1)]
        self._cells = {cells: np.minimum((points * cells).astype(int), cells - 1) for cells in (_COARSE, _FINE)}

    def count(self, box: _Intervals) -> Rate:
        """Failures inside."""
        inside = _mask(self._points, box)
        return Rate(int(self._failures[inside].sum()), int(inside.sum()))

    def score(self, box: _Intervals) -> float:
        """Gain less price."""
        rate = self.count(box)
        return float(self._gain(np.array([float(rate.k)]), np.array([float(rate.n)]))[0]) - self._prices[len(box)]

    def extensions(self, box: _Intervals) -> Iterator[tuple[float, _Intervals]]:
        """The box with one more factor, in the few best intervals of each."""
        mask = _mask(self._points, box)
        for factor in range(self._points.shape[1]):
            if factor not in box:
                scored = self._intervals(mask, factor, _COARSE, len(box) + 1)
                for score, interval in scored[:_KEPT_PER_FACTOR]:
                    yield score, {**box, factor: interval}

    def trim(self, box: _Intervals) -> tuple[float, _Intervals]:
        """Move the edges, one factor after another, to where the score is best."""
        score = -np.inf
        for _ in range(2):
            for factor in list(box):
                others = {f: interval for f, interval in box.items() if f != factor}
                scored = self._intervals(_mask(self._points, others), factor, _FINE, len(box))
                if scored and scored[0][0] > score:
                    score, box = scored[0][0], {**box, factor: scored[0][1]}
        return float(score), box

    def snap(self, box: _Intervals) -> _Intervals:
        """Move edges near the end of a factor's range there, unless that costs more than an edge is worth."""
        for factor in box:
            for end in (0, 1):
                low, high = box[factor]
                wider = (0.0, high) if end == 0 else (low, 1.0)
                moved = {**box, factor: wider}
                near = wider != (0.0, 1.0) and wider[1] - wider[0] <= high - low + _NEAR_END
                if near and self.score(moved) > self.score(box) - _EDGE:
                    box = moved
        return box

    def _intervals(
        self, mask: Bool[NDArray[np.bool_], " N"], factor: int, cells: int, factors: int
    ) -> list[tuple[float, tuple[float, float]]]:
        """Intervals of one factor among the masked samples, the best first."""
        column = self._cells[cells][mask, factor]
        n = np.concatenate([[0.0], np.bincount(column, minlength=cells).cumsum()])
        k = np.concatenate([[0.0], np.bincount(column, weights=self._failures[mask], minlength=cells).cumsum()])
        first, last = np.triu_indices(cells + 1, k=1)
        inside, failed = n[last] - n[first], k[last] - k[first]
        valid = (inside >= self._config.min_support) & (last - first < cells)
        first, last, inside, failed = first[valid], last[valid], inside[valid], failed[valid]
        scores = self._gain(failed, inside) - self._prices[factors]
        order = np.argsort(-scores, kind="stable")[:_KEPT_PER_FACTOR].tolist()
        return [(float(scores[i]), (float(first[i] / cells), float(last[i] / cells))) for i in order]

    def _gain(
        self, failed: Float64[NDArray[np.float64], " M"], inside: Float64[NDArray[np.float64], " M"]
    ) -> Float64[NDArray[np.float64], " M"]:
        """Log-likelihood gained by a rate of their own for boxes with so many failures of so many samples."""
        n, k = self._total
        gain = _likelihood(failed, inside) + _likelihood(k - failed, n - inside) - _likelihood(np.array(k), np.array(n))
        return np.where(failed * n > k * inside, gain, -np.inf)


def _likelihood(
    k: Float64[NDArray[np.float64], "*M"], n: Float64[NDArray[np.float64], "*M"]
) -> Float64[NDArray[np.float64], "*M"]:
    """Of k failures in n samples at the rate k / n."""
    return _xlogx(k) + _xlogx(n - k) - _xlogx(n)


def _xlogx(x: Float64[NDArray[np.float64], "*M"]) -> Float64[NDArray[np.float64], "*M"]:
    return x * np.log(np.maximum(x, 1.0))  # counts: 0 and 1 both give 0


def _around(a: _Intervals, b: _Intervals) -> _Intervals:
    """The smallest box around two, over the factors that both bound."""
    return {factor: (min(a[factor][0], b[factor][0]), max(a[factor][1], b[factor][1])) for factor in a if factor in b}


def _mask(points: Float64[NDArray[np.float64], "N D"], box: _Intervals) -> Bool[NDArray[np.bool_], " N"]:
    mask = np.ones(len(points), dtype=bool)
    for factor, (low, high) in box.items():
        mask &= (points[:, factor] >= low) & (points[:, factor] <= high)
    return mask


def _key(box: _Intervals) -> tuple[tuple[int, tuple[float, float]], ...]:
    return tuple(sorted(box.items()))


def _bounds(space: PerturbationSpace, intervals: _Intervals) -> Bounds:
    low, span = space.low, space.high - space.low
    return {
        space.names[d]: (float(low[d] + a * span[d]), float(low[d] + b * span[d]))
        for d, (a, b) in sorted(intervals.items())
    }


def _box(space: PerturbationSpace, intervals: _Intervals, judge: _Judge) -> Box:
    return Box(bounds=_bounds(space, intervals), failures=judge.count(intervals), score=judge.score(intervals))
