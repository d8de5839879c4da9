"""Where the cubes lie on the table: which places exclude each other, and what the seed draws."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import cos, hypot, sin, sqrt

import numpy as np

from etude.core import InfeasibleError, Perturbation
from etude.sim.scene import CUBE_EDGE_M

NOMINAL_X_M = (0.4, 0.6)
NOMINAL_Y_M = (-0.1, 0.1)
NOMINAL_YAW_RAD = (-1.0, 1.0)
NOMINAL_SEPARATION_M = 0.1
"""Least distance between the centres of cubes that the seed places, as in Isaac Lab's stack task."""
LEAST_GAP_M = 0.001
"""Least gap between cubes that a perturbation places: as good as touching."""

_TRIES = 500
_NOMINAL = {"x_m": NOMINAL_X_M, "y_m": NOMINAL_Y_M, "yaw_rad": NOMINAL_YAW_RAD}


@dataclass(frozen=True)
class Placement:
    """A square on the table: centre [m] and turn about the vertical [rad]."""

    x: float
    y: float
    yaw: float


def gap_between(a: Placement, b: Placement, edge: float) -> float:
    """Least gap between two squares of the same edge along any of their face normals, [m]; negative if they overlap."""
    half, dx, dy = edge / 2, b.x - a.x, b.y - a.y
    # By the separating-axis theorem; the other square's shadow on a normal is half (|cos| + |sin|) of the turn between.
    turn = b.yaw - a.yaw
    reach = half + half * (abs(cos(turn)) + abs(sin(turn)))
    normals = ((cos(yaw), sin(yaw)) for yaw in (a.yaw, b.yaw))
    return max(max(abs(dx * c + dy * s), abs(dy * c - dx * s)) for c, s in normals) - reach


def rectangles_overlap(a: Placement, a_half: tuple[float, float], b: Placement, b_half: tuple[float, float]) -> bool:
    """Whether two rectangles overlap; half sides are along their own x and y, [m]."""
    dx, dy, turn = b.x - a.x, b.y - a.y, b.yaw - a.yaw
    c, s = abs(cos(turn)), abs(sin(turn))
    for yaw, own, other in ((a.yaw, a_half, b_half), (b.yaw, b_half, a_half)):
        along, across = dx * cos(yaw) + dy * sin(yaw), dy * cos(yaw) - dx * sin(yaw)
        if abs(along) > own[0] + other[0] * c + other[1] * s or abs(across) > own[1] + other[0] * s + other[1] * c:
            return False
    return True


def layout_conflict(theta: Perturbation, *, cubes: Sequence[str]) -> str | None:
    """Say which two cubes that θ places would overlap, or None.

    A cube whose yaw is left to the seed needs room for every yaw. Cubes with a coordinate left to the seed do not
    conflict: they find room.
    """
    edge = CUBE_EDGE_M * theta.get("cube.scale", 1.0)
    placed = [name for name in cubes if f"{name}.x_m" in theta.values and f"{name}.y_m" in theta.values]
    for i, first in enumerate(placed):
        for second in placed[i + 1 :]:
            if _too_close(theta, first, second, edge):
                gap = f"a gap of {LEAST_GAP_M * 1e3:g} mm"
                return f"{first} and {second} overlap (cubes of {edge * 1e3:.1f} mm need {gap})"
    return None


def _too_close(theta: Perturbation, first: str, second: str, edge: float) -> bool:
    a, b = (
        Placement(theta.values[f"{n}.x_m"], theta.values[f"{n}.y_m"], theta.get(f"{n}.yaw_rad", 0.0))
        for n in (first, second)
    )
    if all(f"{n}.yaw_rad" in theta.values for n in (first, second)):
        return gap_between(a, b, edge) < LEAST_GAP_M
    return hypot(a.x - b.x, a.y - b.y) < edge * sqrt(2) + LEAST_GAP_M


def draw_layout(theta: Perturbation, cubes: Sequence[str], rng: np.random.Generator) -> Mapping[str, Placement]:
    """Place the cubes: where θ says, else uniformly in the nominal ranges, NOMINAL_SEPARATION_M from one another.

    Where θ's own cubes leave no such place, half the separation has to do, and in the end no overlap. The numbers drawn
    do not depend on θ, so that a factor set back to its nominal value moves nothing else.

    Raises:
        InfeasibleError: No place was found.
    """
    edge = CUBE_EDGE_M * theta.get("cube.scale", 1.0)
    for separation in (NOMINAL_SEPARATION_M, NOMINAL_SEPARATION_M / 2, 0.0):
        for _ in range(_TRIES):
            layout = {name: _place(theta, name, rng.random(3).tolist()) for name in cubes}
            if _fits(theta, layout, separation, edge):
                return layout
    raise InfeasibleError(f"no free place for the cubes left to the seed in {3 * _TRIES} draws")


def _place(theta: Perturbation, name: str, unit: Sequence[float]) -> Placement:
    drawn = [low + u * (high - low) for u, (low, high) in zip(unit, _NOMINAL.values(), strict=True)]
    return Placement(*(theta.get(f"{name}.{key}", value) for key, value in zip(_NOMINAL, drawn, strict=True)))


def _fits(theta: Perturbation, layout: Mapping[str, Placement], separation: float, edge: float) -> bool:
    names = list(layout)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            a, b = layout[first], layout[second]
            if gap_between(a, b, edge) < LEAST_GAP_M:
                return False
            if hypot(a.x - b.x, a.y - b.y) < separation and not (
                _is_placed(theta, first) and _is_placed(theta, second)
            ):
                return False
    return True


def _is_placed(theta: Perturbation, name: str) -> bool:
    return f"{name}.x_m" in theta.values and f"{name}.y_m" in theta.values
