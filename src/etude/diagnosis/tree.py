"""A shallow decision tree over failures; its leaves where failures gather are boxes."""

from collections.abc import Iterator

import numpy as np

from etude.core import Bounds, PerturbationSpace
from etude.diagnosis.episodes import Flags, Points

type _Sides = dict[int, tuple[float, float]]
"""Factor index -> (low, high) in the unit cube."""


def tree_boxes(
    space: PerturbationSpace, points: Points, failed: Flags, *, depth: int = 3, min_leaf: int = 8
) -> list[Bounds]:
    """The leaves in which failures are more frequent than overall, as boxes.

    Args:
        space: The factors.
        points: Episodes in the unit cube, shape (N, D).
        failed: Which of them failed, shape (N,).
        depth: Splits on the way to a leaf, at most: a box bounds at most so many factors.
        min_leaf: Fewest episodes in a leaf.
    """
    overall = float(failed.mean()) if len(failed) else 0.0
    leaves = _grow(points, failed, {}, depth, min_leaf)
    low, span = space.low, space.high - space.low
    return [
        {
            space.names[d]: (float(low[d] + a * span[d]), float(low[d] + b * span[d]))
            for d, (a, b) in sorted(sides.items())
        }
        for sides, rate in leaves
        if sides and rate > overall
    ]


def _grow(points: Points, failed: Flags, sides: _Sides, depth: int, min_leaf: int) -> Iterator[tuple[_Sides, float]]:
    """The leaves below a node: their sides and failure rates."""
    split = _split(points, failed, min_leaf) if depth else None
    if split is None:
        yield sides, float(failed.mean()) if len(failed) else 0.0
        return
    factor, edge = split
    low, high = sides.get(factor, (0.0, 1.0))
    below = points[:, factor] <= edge
    for chosen, interval in ((below, (low, edge)), (~below, (edge, high))):
        yield from _grow(points[chosen], failed[chosen], {**sides, factor: interval}, depth - 1, min_leaf)


def _split(points: Points, failed: Flags, min_leaf: int) -> tuple[int, float] | None:
    """The factor and edge that lower the Gini impurity most; None where none does."""
    n, k = len(failed), int(failed.sum())
    if n < 2 * min_leaf or not 0 < k < n:
        return None
    best, found = k * (n - k) / n + 1e-9, None
    for factor in range(points.shape[1]):
        order = np.argsort(points[:, factor], kind="stable")
        x, left_k = points[order, factor], failed[order].cumsum()[:-1]
        left_n = np.arange(1, n)
        right_n, right_k = n - left_n, k - left_k
        impurity = left_k * (left_n - left_k) / left_n + right_k * (right_n - right_k) / right_n
        impurity[(left_n < min_leaf) | (right_n < min_leaf) | (x[1:] == x[:-1])] = np.inf
        at = int(impurity.argmin())
        if impurity[at] < best:
            best, found = float(impurity[at]), (factor, float((x[at] + x[at + 1]) / 2))
    return found
