"""Many factors on a sheet of paper: the two directions along which the pockets lie furthest apart.

Principal components of failures would show the wrong thing: failures are spread out *most* along the factors that have
nothing to do with them. Fisher's discriminants ask how far the pockets' centres lie apart, measured by how wide the
pockets are, so a factor that bounds a pocket tightly counts most. The map is linear, so its axes can be named. Only
factors that bound a pocket enter: over all of them few failures would be told apart by chance.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import PerturbationSpace
from etude.loop.report.drawing.wording import factor_title

type Points = Float64[NDArray[np.float64], "N D"]
"""Points of the unit cube, shape (N, D)."""

_NAMED = 3  # factors in an axis's name
_SMALL = 0.2  # a factor with less than this part of an axis's largest weight is not named
_FLOOR = 1e-3  # added to the variance within pockets: a part of a factor's range, squared


@dataclass(frozen=True)
class Embedding:
    """A linear map from the unit cube to the plane.

    Attributes:
        space: Of the points.
        axes: Two rows of length 1, shape (2, D).
    """

    space: PerturbationSpace
    axes: Float64[NDArray[np.float64], "2 D"]

    def __call__(self, points: Points) -> Float64[NDArray[np.float64], "N 2"]:
        """Where points land, shape (N, 2)."""
        return (points - 0.5) @ self.axes.T

    def title(self, axis: int) -> str:
        """An axis in words, its leading factors first: "0.8 light intensity − 0.5 front camera yaw"."""
        weights = self.axes[axis]
        order = np.argsort(-np.abs(weights), kind="stable")[:_NAMED].tolist()
        leading = [i for i in order if abs(weights[i]) > _SMALL * np.abs(weights).max()]
        if len(leading) == 1:
            return factor_title(self.space.factors[leading[0]])
        named = [(weights[i] < 0, abs(weights[i]), factor_title(self.space.factors[i])) for i in leading]
        return " ".join(f"{'−' if negative else '+'} {size:.1f} {name}" for negative, size, name in named)[2:]


def embed(
    space: PerturbationSpace, groups: Sequence[Points], active: Sequence[str], ranked: Sequence[str]
) -> Embedding:
    """The plane along whose axes groups of points lie furthest apart, compared with how wide they are.

    Args:
        space: Of the points.
        groups: E.g. the failures in each pocket, and everything else; empty ones say nothing.
        active: Factors to use; without any the plane is that of the two first of `ranked`.
        ranked: All factors, those that matter most first: they complete the plane where groups differ along one line.
    """
    columns = [space.names.index(name) for name in active]
    directions = _discriminants([group[:, columns] for group in groups if len(group)])
    axes = [_row(space, columns, direction) for direction in directions[:2]]
    for name in ranked:
        if len(axes) < min(2, len(space.factors)) and not any(abs(a[space.names.index(name)]) > 0.5 for a in axes):
            axes.append(_row(space, [space.names.index(name)], np.ones(1)))
    while len(axes) < 2:  # a space of one factor
        axes.append(np.zeros(len(space.factors)))
    return Embedding(space, np.stack(axes))


def _discriminants(groups: Sequence[Points]) -> list[Float64[NDArray[np.float64], " A"]]:
    """Directions of length 1 along which groups' centres lie apart, the clearest first; each group counts equally."""
    if len(groups) < 2 or not groups[0].shape[1]:
        return []
    centres = np.stack([group.mean(axis=0) for group in groups])
    within = np.mean([np.cov(group.T, bias=True).reshape(centres.shape[1], -1) for group in groups], axis=0)
    # Directions v with Sb v = λ Sw v, through the inverse root of Sw.
    sizes, vectors = np.linalg.eigh(within + _FLOOR * np.eye(len(within)))
    root = vectors / np.sqrt(sizes) @ vectors.T
    _, spread, rows = np.linalg.svd((centres - centres.mean(axis=0)) @ root, full_matrices=False)
    found = [row @ root for row, size in zip(rows, spread, strict=True) if size > 1e-6]
    return [direction / np.linalg.norm(direction) for direction in found]


def _row(
    space: PerturbationSpace, columns: Sequence[int], direction: Float64[NDArray[np.float64], " A"]
) -> Float64[NDArray[np.float64], " D"]:
    """A direction among all factors, turned so that its leading factor grows."""
    axis = np.zeros(len(space.factors))
    axis[list(columns)] = direction
    return axis * (1.0 if axis[np.abs(axis).argmax()] > 0 else -1.0)
