"""How a ViperX grips a bar that lies on the table: in the middle, slanting, if nothing is in the way."""

from collections.abc import Iterator, Sequence
from math import atan2, cos, pi, sin
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.se3 import Pose, pose, wrap_angle
from etude.sim.layout import Placement
from etude.sim.robots.viperx import Side
from etude.sim.worlds.aloha.grasping import in_the_way, open_around
from etude.sim.worlds.aloha.scripting import Hand, hand_rotation

SLANT_RAD, STEEP_RAD = pi / 3, 1.5
"""Pitch of a hand: as in ACT's script, and from above."""

_OFFSETS_M = (0.0, 0.02, 0.04)  # of a grasp from the middle of the bar, outwards: the inner end goes into the socket
_SLANT_LIMIT_RAD = 0.8  # turn of a slanting hand from the direction to the bar
_LOWEST_M = 0.016  # of the grasp point, the fingers just over the table
_BASES_M: dict[Side, tuple[float, float]] = {"left": (-0.469, 0.5), "right": (0.469, 0.5)}
# What a grasp needs room for, beside the bar and under a slanting palm.
_FINGER_THICK_M, _FINGER_HALF_WIDTH_M = 0.013, 0.012
_PALM_BEHIND_M, _PALM_HALF_WIDTH_M = 0.07, 0.05
_STEEP_COST_M, _AWAY_SHARE, _BLOCKED_COST_M = 0.03, 0.5, 1.0  # of a grasp, as metres away from the middle


class Bar(NamedTuple):
    """Centre [m], direction from its outer to its inner end about the vertical [rad], and width [m]."""

    x: float
    y: float
    z: float
    heading: float
    width: float


class Grasp(NamedTuple):
    """How far out from the middle a hand grips a bar [m], and its pitch [rad]."""

    offset: float
    pitch: float


def bar_at(side: Side, X_world_bar: Pose, width: float) -> Bar:
    """The bar of one arm from its pose; its x axis is the long one."""
    inward = X_world_bar[:2, 0] * np.sign(X_world_bar[0, 0]) * (1.0 if side == "left" else -1.0)
    x, y, z = X_world_bar[:3, 3].tolist()
    return Bar(x, y, z, atan2(inward[1], inward[0]), width)


def grip(side: Side, hand: Hand, bar: Bar, obstacles: Sequence[Sequence[float]]) -> Pose:
    """Where the hand grips the bar, the fingers across it: of all ways the easiest that nothing blocks.

    Args:
        side: Which arm.
        hand: Its hand; what is near to it is easier.
        bar: What to grip.
        obstacles: x, y, z of the centre and half the edge of what stands around [m].
    """

    def cost(grasp: Grasp) -> float:
        away = float(np.linalg.norm(_point(bar, grasp.offset) - hand.pose[:2, 3]))
        blocked = any(_blocks(obstacle, bar, grasp) for obstacle in obstacles)
        steep = _STEEP_COST_M * (grasp.pitch == STEEP_RAD)
        return grasp.offset + _AWAY_SHARE * away + steep + _BLOCKED_COST_M * blocked

    best = min(_grasps(side, bar), key=cost)
    x, y = _point(bar, best.offset)
    return pose(np.array([x, y, max(bar.z, _LOWEST_M)]), hand_rotation(bar.heading, best.pitch))


def has_room(side: Side, bar: Bar, obstacles: Sequence[Sequence[float]]) -> bool:
    """Whether some grasp of the bar is not blocked."""
    return any(not any(_blocks(o, bar, grasp) for o in obstacles) for grasp in _grasps(side, bar))


def _grasps(side: Side, bar: Bar) -> Iterator[Grasp]:
    base_x, base_y = _BASES_M[side]
    turn = abs(wrap_angle(bar.heading - atan2(bar.y - base_y, bar.x - base_x)))
    for pitch in (SLANT_RAD, STEEP_RAD) if turn <= _SLANT_LIMIT_RAD else (STEEP_RAD,):
        for offset in _OFFSETS_M:
            yield Grasp(offset, pitch)


def _point(bar: Bar, offset: float) -> Float64[NDArray[np.float64], "2"]:
    return np.array([bar.x - offset * cos(bar.heading), bar.y - offset * sin(bar.heading)])


def _blocks(obstacle: Sequence[float], bar: Bar, grasp: Grasp) -> bool:
    """Whether a thing stands where a finger goes, or under the palm of a slanting hand."""
    inside, outside = bar.width / 2 + 0.001, open_around(bar.width) / 2 + _FINGER_THICK_M
    finger = (_FINGER_HALF_WIDTH_M, (outside - inside) / 2)
    needs = [(0.0, side * (outside + inside) / 2, finger) for side in (1.0, -1.0)]
    if grasp.pitch < STEEP_RAD:
        needs.append((-_PALM_BEHIND_M / 2, 0.0, (_PALM_BEHIND_M / 2, _PALM_HALF_WIDTH_M)))
    x, y = _point(bar, grasp.offset)
    return in_the_way(obstacle, Placement(x, y, bar.heading), needs)
