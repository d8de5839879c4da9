"""Many factors on a sheet of paper: the two directions in which failures are most spread out, among factors that matter.

Plain principal components of failures would show the wrong thing: failures are spread out *most* along factors that have
nothing to do with them. So every factor is first scaled by how much it matters, which leaves those out. A linear map,
because its axes can be named, and two points that are near each other in a pocket's factors stay so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import Factor, PerturbationSpace, Pocket
from etude.loop.report.drawing.wording import factor_title

_NAMED = 3  # factors in an axis's name
_SMALL = 0.2  # a factor with less than this part of the axis's largest weight is not named


@dataclass(frozen=True)
class Embedding:
    """A linear map from the unit cube to the plane.

    Attributes:
        centre: Point of the unit cube that lands on the origin, shape (D,).
        axes: Its rows, shape (2, D).
        explained: Share of the scaled failures' variance along each axis.
    """

    centre: Float64[NDArray[np.float64], " D"]
    axes: Float64[NDArray[np.float64], "2 D"]
    explained: tuple[float, float]

    def __call__(self, points: Float64[NDArray[np.float64], "N D"]) -> Float64[NDArray[np.float64], "N 2"]:
        """Where points of the unit cube land, shape (N, 2)."""
        return (points - self.centre) @ self.axes.T

    def title(self, axis: int, factors: Sequence[Factor]) -> str:
        """An axis in words, its leading factors first: "0.8 light intensity − 0.5 front camera yaw"."""
        weights = self.axes[axis]
        largest = float(np.abs(weights).max())
        leading = [i for i in np.argsort(-np.abs(weights), kind="stable") if abs(weights[i]) > _SMALL * largest]
        words = ""
        for i in leading[:_NAMED]:
            sign = "−" if weights[i] < 0 else "+"
            words += f" {sign} {abs(weights[i]):.1f} {factor_title(factors[i])}"
        return words.removeprefix(" + ").strip() or "nothing"


def embed(failures: Float64[NDArray[np.float64], "N D"], weights: Float64[NDArray[np.float64], " D"]) -> Embedding:
    """Principal components of failures whose factors are scaled by weights.

    Args:
        failures: Points of the unit cube, shape (N, D).
        weights: How much each factor matters, at least 0, shape (D,).
    """
    size = len(weights)
    centre = failures.mean(axis=0) if len(failures) else np.full(size, 0.5)
    scaled = (failures - centre) * weights
    _, spread, directions = np.linalg.svd(np.vstack([scaled, np.zeros((2, size))]), full_matrices=False)
    axes = np.zeros((2, size))
    rank = min(2, len(directions))
    axes[:rank] = directions[:rank]
    axes *= np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)] + 1e-300)[:, None]  # the leading factor grows
    total = float((spread**2).sum())
    shares = [float(s * s / total) if total else 0.0 for s in spread[:2]] + [0.0]
    return Embedding(centre, axes * weights, (shares[0], shares[1]))


def factor_weights(
    space: PerturbationSpace, pockets: Sequence[Pocket], ranked: Sequence[str]
) -> Float64[NDArray[np.float64], " D"]:
    """How much each factor matters, shape (D,): how tightly a pocket bounds it; without pockets, its rank among the first.

    Args:
        space: Of the factors.
        pockets: Confirmed pockets.
        ranked: All factors, those that explain most of the severity first.
    """
    weights = np.zeros(len(space.factors))
    for pocket in pockets:
        for name, (low, high) in pocket.bounds.items():
            factor, index = space[name], space.names.index(name)
            weights[index] = max(weights[index], 1 - (high - low) / (factor.high - factor.low))
    if not weights.any():
        for rank, name in enumerate(ranked[:4]):
            weights[space.names.index(name)] = 1 / (1 + rank)
    elif np.count_nonzero(weights) == 1:  # a plane needs a second factor
        other = next((name for name in ranked if not weights[space.names.index(name)]), None)
        if other is not None:
            weights[space.names.index(other)] = weights.max() / 4
    return weights
