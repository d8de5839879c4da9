"""Things on a table: which places exclude each other, and where the seed puts what θ leaves open."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import atan2, cos, hypot, sin
from typing import NamedTuple

import numpy as np

from etude.core import InfeasibleError, Perturbation

LEAST_GAP_M = 0.001
"""Least gap between things that a perturbation places: as good as touching."""

_TRIES = 500


@dataclass(frozen=True)
class Placement:
    """A place on the table: centre [m] and turn about the vertical [rad]."""

    x: float
    y: float
    yaw: float

    def free_joint(self, z_m: float) -> tuple[float, ...]:
        """Position and wxyz quaternion of a level body there, its origin at a height: what its free joint is set to."""
        return self.x, self.y, z_m, cos(self.yaw / 2), 0.0, 0.0, sin(self.yaw / 2)


class Cube(NamedTuple):
    """Centre [m], turn about the vertical [rad] up to its fourfold symmetry, and edge [m].

    Experts see distractors as cubes, too.
    """

    x: float
    y: float
    z: float
    yaw: float
    edge: float


def level_yaw(quat: Sequence[float]) -> float:
    """Turn of a cube of this wxyz quaternion: that of a face normal that lies nearly level, whichever face it is on."""
    qw, qx, qy, qz = quat
    heights = (2 * (qx * qz - qw * qy), 2 * (qy * qz + qw * qx), 1 - 2 * (qx * qx + qy * qy))
    steepest = max(range(3), key=lambda axis: abs(heights[axis]))
    if steepest == 0:  # the y axis lies level
        return atan2(1 - 2 * (qx * qx + qz * qz), 2 * (qx * qy - qw * qz))
    return atan2(2 * (qx * qy + qw * qz), 1 - 2 * (qy * qy + qz * qz))


@dataclass(frozen=True)
class Thing:
    """A rectangle that lies on the table.

    Attributes:
        name: As in the factors `{name}.x_m`, `.y_m`, `.yaw_rad`.
        half_m: Half its sides, along its own x and y.
        x_m: Where the seed puts it, unless θ does.
        y_m: The same across.
        yaw_rad: Its turn.
    """

    name: str
    half_m: tuple[float, float]
    x_m: tuple[float, float]
    y_m: tuple[float, float]
    yaw_rad: tuple[float, float] = (0.0, 0.0)

    def is_placed(self, theta: Perturbation) -> bool:
        """Whether both coordinates are known without the seed."""
        given = {"x_m": self.x_m, "y_m": self.y_m}
        return all(f"{self.name}.{key}" in theta.values or low == high for key, (low, high) in given.items())

    def is_turned(self, theta: Perturbation) -> bool:
        """Whether its turn is known without the seed."""
        return f"{self.name}.yaw_rad" in theta.values or self.yaw_rad[0] == self.yaw_rad[1]

    def place(self, theta: Perturbation, unit: Sequence[float]) -> Placement:
        """Where θ says, else at the share `unit` (x, y, yaw) of its ranges."""
        bounds = {"x_m": self.x_m, "y_m": self.y_m, "yaw_rad": self.yaw_rad}
        drawn = {key: low + u * (high - low) for u, (key, (low, high)) in zip(unit, bounds.items(), strict=True)}
        return Placement(*(theta.get(f"{self.name}.{key}", value) for key, value in drawn.items()))


def gap_between(a: Placement, a_half: tuple[float, float], b: Placement, b_half: tuple[float, float]) -> float:
    """Least gap between two rectangles along any of their sides' normals, [m]; negative if they overlap.

    By the separating-axis theorem: a rectangle's shadow on a normal is its half sides times |cos|, |sin| of the turn.
    """
    dx, dy, turn = b.x - a.x, b.y - a.y, b.yaw - a.yaw
    c, s = abs(cos(turn)), abs(sin(turn))
    gap = float("-inf")
    for yaw, own, other in ((a.yaw, a_half, b_half), (b.yaw, b_half, a_half)):
        along, across = abs(dx * cos(yaw) + dy * sin(yaw)), abs(dy * cos(yaw) - dx * sin(yaw))
        gap = max(gap, along - own[0] - (other[0] * c + other[1] * s), across - own[1] - (other[0] * s + other[1] * c))
    return gap


def rectangles_overlap(a: Placement, a_half: tuple[float, float], b: Placement, b_half: tuple[float, float]) -> bool:
    """Whether two rectangles overlap or touch; half sides are along their own x and y, [m]."""
    return gap_between(a, a_half, b, b_half) <= 0.0


def overlap(things: Sequence[Thing], theta: Perturbation, gap_m: float = LEAST_GAP_M) -> str | None:
    """Say which two things that θ places are nearer than a gap, or None.

    A thing whose yaw is left to the seed needs room for every yaw. Things with a coordinate left to the seed do not
    conflict: they find room.
    """
    placed = [thing for thing in things if thing.is_placed(theta)]
    for i, first in enumerate(placed):
        for second in placed[i + 1 :]:
            if _clearance(theta, first, second) < gap_m:
                return f"{first.name} and {second.name} overlap (they need a gap of {gap_m * 1e3:g} mm)"
    return None


def _clearance(theta: Perturbation, first: Thing, second: Thing) -> float:
    a, b = (thing.place(theta, (0.0, 0.0, 0.0)) for thing in (first, second))
    if first.is_turned(theta) and second.is_turned(theta):
        return gap_between(a, first.half_m, b, second.half_m)
    return hypot(a.x - b.x, a.y - b.y) - hypot(*first.half_m) - hypot(*second.half_m)


def draw_places(
    things: Sequence[Thing],
    theta: Perturbation,
    rng: np.random.Generator,
    *,
    separation_m: float = 0.0,
    around: Mapping[Thing, Placement] | None = None,
) -> Mapping[str, Placement]:
    """Place things: where θ says, else uniformly in their nominal ranges, apart from one another.

    Where what θ places leaves no such place, half the separation has to do, and in the end no overlap. The numbers
    drawn do not depend on θ, so that a factor set back to its nominal value moves nothing else.

    Args:
        things: What to place.
        theta: Places some of them.
        rng: Places the others.
        separation_m: Least distance between centres, unless θ placed both.
        around: What is there already and must not be touched.

    Raises:
        InfeasibleError: No place was found.
    """
    around = around or {}
    for separation in (separation_m, separation_m / 2, 0.0):
        for _ in range(_TRIES):
            layout = {thing: thing.place(theta, rng.random(3).tolist()) for thing in things}
            if _fits(theta, layout, around, separation):
                return {thing.name: place for thing, place in layout.items()}
    names = ", ".join(thing.name for thing in things)
    raise InfeasibleError(f"no free place for {names} in {3 * _TRIES} draws")


def _fits(
    theta: Perturbation, layout: Mapping[Thing, Placement], around: Mapping[Thing, Placement], separation: float
) -> bool:
    placed = list(layout.items())
    for i, (first, a) in enumerate(placed):
        for second, b in placed[i + 1 :]:
            if gap_between(a, first.half_m, b, second.half_m) < LEAST_GAP_M:
                return False
            if hypot(a.x - b.x, a.y - b.y) < separation and not (first.is_placed(theta) and second.is_placed(theta)):
                return False
        if any(gap_between(a, first.half_m, b, other.half_m) < LEAST_GAP_M for other, b in around.items()):
            return False
    return True
