"""How a scripted ViperX takes a cube from the table, carries it and lets go of it.

Of the possible grasps it takes the easiest that nothing blocks.
"""

from collections.abc import Sequence
from math import atan2, cos, hypot, pi, sin
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.se3 import Pose, exp_rotation, log_rotation, pose, wrap_angle
from etude.sim.layout import Cube, Placement, rectangles_overlap
from etude.sim.robots.viperx import FINGERTIP_M
from etude.sim.worlds.aloha.scripting import Goal, Hand, hand_rotation

type _Obstacle = Sequence[float]
type _Room = tuple[float, float, tuple[float, float]]  # ahead and to the left of the grasp, and half its sides [m]
type _Point = Float64[NDArray[np.float64], "3"]

HOVER_M = 0.09  # grasp point over the cube while approaching
OPEN_M = 0.066  # gap between open fingers
_SPARE_M = 0.022  # more than a cube's edge, of fingers that go around it
CLEAR_M = 0.09  # of a held cube's centre over the table before it may move sideways

_SLANT_RAD, _STEEP_RAD = pi / 3, 1.5  # pitch of the usual grasp, as in ACT, and of the one from above
_SLANT_LIMIT_RAD, _STEEP_LIMIT_RAD = 0.9, 1.9  # turn from the direction to the cube
_STEEP_COST_RAD, _BLOCKED_COST_RAD = 0.4, 100.0
_SLOPE = 6.0  # of the funnel through which the hand comes down: height over distance from the axis
_AIM_M = 0.008  # from the axis within which the way down is free
_YAW_LEVER_M = 0.02  # turns an error of orientation into a distance from the axis
_AROUND_M = 0.035  # nearer to the grasp than this the fingers are around the cube
_OVER_M = 0.02  # from above or below a place, within which a held cube goes straight there
_RELEASED_M, _NEAR_M, _AWAY_M = 0.018, 0.05, 0.1  # wider open than the cube; hand from cube
_VERTICAL = np.array([0.0, 0.0, 1.0])
_LOWEST_M = FINGERTIP_M + 0.003
# What a grasp needs room for, beside and behind the cube.
_FINGER_THICK_M, _FINGER_HALF_WIDTH_M = 0.013, 0.010
_PALM_BEHIND_M, _PALM_HALF_WIDTH_M = 0.07, 0.05


class Grasp(NamedTuple):
    """Heading and pitch of a hand around a cube, [rad]."""

    heading: float
    pitch: float


def cube_at(X_world_cube: Pose, edge: float) -> Cube:
    """A cube from its pose; its turn is that of a face normal that lies nearly level, also on another face."""
    level = int(np.argmin(np.abs(X_world_cube[2, :3])))
    x, y, z = X_world_cube[:3, 3].tolist()
    return Cube(x, y, z, atan2(X_world_cube[1, level], X_world_cube[0, level]), edge)


def holds(hand: Hand, X_world_cube: Pose, edge: float) -> bool:
    """Whether the fingers have closed on the cube."""
    off = hand.pose[:3, :3].T @ (X_world_cube[:3, 3] - hand.pose[:3, 3])
    between = abs(off[1]) < 0.012 and hypot(off[0], off[2]) < 0.026
    return bool(between) and 0.6 * edge < hand.gap_m < edge + 0.003


def open_around(edge: float) -> float:
    """Gap between fingers that go around a cube without needing more room than they must [m]."""
    return min(edge + _SPARE_M, OPEN_M)


def heading_of(hand: Hand) -> float:
    """Where a hand points, about the vertical from x, at no roll [rad]: its y axis lies level."""
    return atan2(-hand.pose[0, 1], hand.pose[1, 1])


def pick(hand: Hand, cube: Cube, obstacles: Sequence[_Obstacle], base_m: tuple[float, float]) -> Goal:
    """The next goal on the way to the cube, and around it.

    Args:
        hand: The hand.
        cube: The cube.
        obstacles: x, y, z of the centre and half the edge of what stands around [m].
        base_m: Where the arm stands.
    """
    heading, pitch = choose_grasp(hand, cube, obstacles, base_m)
    grasp = np.array([cube.x, cube.y, max(cube.z, _LOWEST_M)])
    return approach(hand, pose(grasp, hand_rotation(heading, pitch)), open_around(cube.edge))


def approach(hand: Hand, grasp: Pose, open_m: float) -> Goal:
    """The next goal of an open hand on the way to a grasp, coming in along its fingers; there it closes."""
    out = -grasp[:3, 2]
    shift = hand.pose[:3, 3] - grasp[:3, 3]
    distance = float(shift @ out)
    turn = float(np.linalg.norm(log_rotation(grasp[:3, :3] @ hand.pose[:3, :3].T)))
    off_axis = float(np.linalg.norm(shift - distance * out)) + _YAW_LEVER_M * turn
    shut = max(open_m - 0.006 - hand.gap_m, 0.0) if distance > _AROUND_M else 0.0
    stay_out = min(max(_SLOPE * (off_axis + shut - _AIM_M), 0.0), HOVER_M)
    close = off_axis < _AIM_M + 0.004 and abs(distance) < 0.008
    return Goal(pose(grasp[:3, 3] + stay_out * out, grasp[:3, :3]), 0.0 if close else open_m)


def carry(hand: Hand, X_world_cube: Pose, goal_m: _Point, heading_rad: float) -> Goal:
    """The next goal on the way of a held cube to a place: up, unless it is below or above it, then across.

    The cube is kept level, while the hand turns to a heading.
    """
    shift = goal_m - X_world_cube[:3, 3]
    free = min(max((X_world_cube[2, 3] - CLEAR_M) / 0.02 + 1.0, 0.0), 1.0)
    if free < 1.0 and np.hypot(shift[0], shift[1]) > _OVER_M:
        shift = np.array([free * shift[0], free * shift[1], max(shift[2], 0.05)])
    up = X_world_cube[:3, int(np.argmax(np.abs(X_world_cube[2, :3])))]
    level = exp_rotation(np.cross(up * np.sign(up[2]), _VERTICAL))
    turn = free * wrap_angle(heading_rad - heading_of(hand))
    rotation = exp_rotation(turn * _VERTICAL) @ level @ hand.pose[:3, :3]
    return Goal(pose(hand.pose[:3, 3] + shift, rotation), 0.0)


def let_go(hand: Hand, X_world_cube: Pose, edge: float, rest: Pose) -> Goal:
    """The next goal of a hand that has done its work: open, back out along the fingers, then get out of the way."""
    distance = float(np.linalg.norm(hand.pose[:3, 3] - X_world_cube[:3, 3]))
    if hand.gap_m < edge + _RELEASED_M and distance < _NEAR_M:
        return Goal(hand.pose, OPEN_M)
    if distance < _AWAY_M:
        return Goal(pose(hand.pose[:3, 3] - _AWAY_M * hand.pose[:3, 2], hand.pose[:3, :3]), OPEN_M)
    return Goal(rest, OPEN_M)


def choose_grasp(hand: Hand, cube: Cube, obstacles: Sequence[_Obstacle], base_m: tuple[float, float]) -> Grasp:
    """Of the cube's equivalent grasps, slanting and from above, the easiest that nothing blocks."""
    ahead, now = _direction(cube, base_m), heading_of(hand)

    def cost(grasp: Grasp) -> float:
        turn, turn_now = abs(wrap_angle(grasp.heading - ahead)), abs(wrap_angle(grasp.heading - now))
        blocked = sum(_blocks(o, cube, grasp) for o in obstacles)
        return 0.7 * turn + 0.3 * turn_now + _STEEP_COST_RAD * (grasp.pitch == _STEEP_RAD) + _BLOCKED_COST_RAD * blocked

    return min(_grasps(cube, base_m), key=cost)


def has_room(cube: Cube, obstacles: Sequence[_Obstacle], base_m: tuple[float, float]) -> bool:
    """Whether some grasp of the cube is not blocked."""
    return any(not any(_blocks(o, cube, grasp) for o in obstacles) for grasp in _grasps(cube, base_m))


def in_the_way(obstacle: _Obstacle, at: Placement, needs: Sequence[_Room]) -> bool:
    """Whether a thing stands in any of the rectangles that a grasp needs, placed relative to where it grips."""
    square, half = Placement(obstacle[0], obstacle[1], 0.0), obstacle[3]
    c, s = cos(at.yaw), sin(at.yaw)
    return any(
        rectangles_overlap(square, (half, half), Placement(at.x + c * x - s * y, at.y + s * x + c * y, at.yaw), half_m)
        for x, y, half_m in needs
    )


def _grasps(cube: Cube, base_m: tuple[float, float]) -> list[Grasp]:
    """A straight grasp per side of the cube and pitch, as far as the arm can turn its hand."""
    ahead = _direction(cube, base_m)
    return [
        Grasp(heading, pitch)
        for heading in (cube.yaw + quarter * pi / 2 for quarter in range(4))
        for pitch, limit in ((_SLANT_RAD, _SLANT_LIMIT_RAD), (_STEEP_RAD, _STEEP_LIMIT_RAD))
        if abs(wrap_angle(heading - ahead)) <= limit
    ]


def _direction(cube: Cube, base_m: tuple[float, float]) -> float:
    return atan2(cube.y - base_m[1], cube.x - base_m[0])


def _blocks(obstacle: _Obstacle, cube: Cube, grasp: Grasp) -> bool:
    """Whether a thing stands where a finger goes, or under the palm of a slanting hand."""
    inside, outside = cube.edge / 2 + 0.001, open_around(cube.edge) / 2 + _FINGER_THICK_M
    depth, middle = (outside - inside) / 2, (outside + inside) / 2
    needs = [(0.0, side, (_FINGER_HALF_WIDTH_M, depth)) for side in (middle, -middle)]
    if grasp.pitch < _STEEP_RAD:
        behind = (_PALM_BEHIND_M + inside) / 2
        needs.append((-behind, 0.0, (_PALM_BEHIND_M - behind, _PALM_HALF_WIDTH_M)))
    return in_the_way(obstacle, Placement(cube.x, cube.y, grasp.heading), needs)
