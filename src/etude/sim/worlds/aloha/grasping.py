"""How a scripted ViperX takes a cube from the table: the choice of a grasp among those that nothing blocks."""

from collections.abc import Sequence
from math import atan2, cos, hypot, pi, sin
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.se3 import log_rotation, pose, wrap_angle
from etude.sim.layout import Placement, rectangles_overlap
from etude.sim.robots.viperx import FINGERTIP_M
from etude.sim.worlds.aloha.scripting import Goal, Hand, hand_rotation

type _Pose = Float64[NDArray[np.float64], "4 4"]

HOVER_M = 0.09  # grasp point over the cube while approaching
OPEN_M = 0.066  # gap between fingers that go around a cube
CLEAR_M = 0.09  # of a held cube's centre over the table before it may move sideways

_SLANT_RAD, _STEEP_RAD = pi / 3, 1.5  # pitch of the usual grasp, as in ACT, and of the one from above
_SLANT_LIMIT_RAD, _STEEP_LIMIT_RAD = 0.9, 1.9  # turn from the direction to the cube
_STEEP_COST_RAD, _BLOCKED_COST_RAD = 0.4, 100.0
_SLOPE = 6.0  # of the funnel through which the hand comes down: height over distance from the axis
_AIM_M = 0.008  # from the axis within which the way down is free
_YAW_LEVER_M = 0.02  # turns an error of orientation into a distance from the axis
_DESCENT_SPEED = 1.0
_LOWEST_M = FINGERTIP_M + 0.003
# What a grasp needs room for, beside and behind the cube.
_FINGER_OUTSIDE_M, _FINGER_HALF_WIDTH_M = 0.048, 0.012
_PALM_BEHIND_M, _PALM_HALF_WIDTH_M = 0.07, 0.05


class Cube(NamedTuple):
    """Centre [m], turn about the vertical [rad] up to its fourfold symmetry, and edge [m]."""

    x: float
    y: float
    z: float
    yaw: float
    edge: float


class Grasp(NamedTuple):
    """Heading and pitch of a hand around a cube, [rad]."""

    heading: float
    pitch: float


def cube_at(X_world_cube: _Pose, edge: float) -> Cube:
    """A cube from its pose; its turn is that of a face normal that lies nearly level, also on another face."""
    level = int(np.argmin(np.abs(X_world_cube[2, :3])))
    x, y, z = X_world_cube[:3, 3].tolist()
    return Cube(x, y, z, atan2(X_world_cube[1, level], X_world_cube[0, level]), edge)


def holds(hand: Hand, X_world_cube: _Pose, edge: float) -> bool:
    """Whether the fingers have closed on the cube."""
    off = hand.pose[:3, :3].T @ (X_world_cube[:3, 3] - hand.pose[:3, 3])
    between = abs(off[1]) < 0.012 and hypot(off[0], off[2]) < 0.026
    return bool(between) and 0.6 * edge < hand.gap_m < edge + 0.003


def heading_of(hand: Hand) -> float:
    """Where a hand points, about the vertical from x, at no roll [rad]: its y axis lies level."""
    return atan2(-hand.pose[0, 1], hand.pose[1, 1])


def pick(hand: Hand, cube: Cube, obstacles: Sequence[Sequence[float]], base_m: tuple[float, float]) -> Goal:
    """The next goal on the way to the cube, and around it.

    Args:
        hand: The hand.
        cube: The cube.
        obstacles: x, y, z of the centre and half the edge of what stands around [m].
        base_m: Where the arm stands.
    """
    heading, pitch = choose_grasp(hand, cube, obstacles, base_m)
    rotation = hand_rotation(heading, pitch)
    axis = -rotation[:, 2]  # the way out
    grasp = np.array([cube.x, cube.y, max(cube.z, _LOWEST_M)])
    shift = grasp - hand.pose[:3, 3]
    turn = float(np.linalg.norm(log_rotation(rotation @ hand.pose[:3, :3].T)))
    along = float(-shift @ axis)
    off_axis = float(np.linalg.norm(shift + along * axis)) + _YAW_LEVER_M * turn
    shut = max(OPEN_M - 0.006 - hand.gap_m, 0.0) if along > cube.edge else 0.0
    height = min(max(_SLOPE * (off_axis + shut - _AIM_M), 0.0), HOVER_M)
    close = off_axis < _AIM_M + 0.004 and abs(along) < 0.008
    return Goal(
        pose(grasp + height * axis, rotation),
        0.0 if close else OPEN_M,
        speed=1.0 if height == HOVER_M else _DESCENT_SPEED,
    )


def choose_grasp(hand: Hand, cube: Cube, obstacles: Sequence[Sequence[float]], base_m: tuple[float, float]) -> Grasp:
    """Of the cube's equivalent grasps, slanting and from above, the easiest that nothing blocks."""
    ahead = atan2(cube.y - base_m[1], cube.x - base_m[0])
    now = heading_of(hand)
    best, least = Grasp(ahead, _STEEP_RAD), float("inf")
    for quarter in range(4):
        heading = cube.yaw + quarter * pi / 2
        turn, turn_now = abs(wrap_angle(heading - ahead)), abs(wrap_angle(heading - now))
        for pitch, limit, cost in (
            (_SLANT_RAD, _SLANT_LIMIT_RAD, 0.0),
            (_STEEP_RAD, _STEEP_LIMIT_RAD, _STEEP_COST_RAD),
        ):
            if turn > limit:
                continue
            cost += 0.7 * turn + 0.3 * turn_now
            cost += _BLOCKED_COST_RAD * sum(_blocks(o, cube, heading, pitch) for o in obstacles)
            if cost < least:
                best, least = Grasp(heading, pitch), cost
    return best


def _blocks(obstacle: Sequence[float], cube: Cube, heading: float, pitch: float) -> bool:
    """Whether a thing stands where a finger goes, or under the palm of a slanting hand."""
    x, y, _, half = obstacle
    square = Placement(x, y, 0.0)
    inside = cube.edge / 2 + 0.001
    depth, middle = (_FINGER_OUTSIDE_M - inside) / 2, (_FINGER_OUTSIDE_M + inside) / 2
    needs = [(0.0, side, _FINGER_HALF_WIDTH_M, depth) for side in (middle, -middle)]
    if pitch < _STEEP_RAD:
        needs.append((-(inside + _PALM_BEHIND_M) / 2, 0.0, (_PALM_BEHIND_M - inside) / 2, _PALM_HALF_WIDTH_M))
    c, s = cos(heading), sin(heading)
    return any(
        rectangles_overlap(
            square,
            (half, half),
            Placement(cube.x + c * ahead - s * left, cube.y + s * ahead + c * left, heading),
            half_m,
        )
        for ahead, left, *sides in needs
        for half_m in [(sides[0], sides[1])]
    )
