"""The scripted expert that hands a cube from the right arm to the left one.

The right hand holds the cube left and right, level, so the left hand, its fingers one above the other, takes it at the
top and the bottom.
"""

from collections.abc import Mapping
from math import pi

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.se3 import exp_rotation, log_rotation, pose, wrap_angle
from etude.sim.robots.viperx import Side
from etude.sim.worlds.aloha.grasping import CLEAR_M, OPEN_M, cube_at, heading_of, holds, pick
from etude.sim.worlds.aloha.scripting import Goal, Hand, Look, hand_rotation

type _Pose = Float64[NDArray[np.float64], "4 4"]
type _Point = Float64[NDArray[np.float64], "3"]

MEET_M = np.array([0.0, 0.5, 0.25])
"""Where the cube changes hands, as in ACT's script."""
RIGHT_BASE_M = (0.469, 0.5)

_LEFT_WAITS = pose(np.array([-0.16, 0.5, 0.25]), hand_rotation(0.0, 0.0, pi / 2))
_RIGHT_RESTS_M = np.array([0.18, 0.5, 0.32])
_SHORT_OF_CENTRE_M = 0.008  # the left fingertips must not reach the right palm
_BACKOFF_M, _SLOPE, _AIM_M, _YAW_LEVER_M = 0.08, 4.0, 0.006, 0.02
_VERTICAL = np.array([0.0, 0.0, 1.0])
_CARRY_SPEED, _TAKE_SPEED = 1.0, 1.0
_THERE_M, _THERE_RAD = 0.015, 0.15
_RELEASED_M = 0.018  # wider open than the cube


def decide(look: Look) -> Mapping[Side, Goal]:
    """Choose a goal for both hands."""
    cube, edge = look.objects[0], look.sizes[0]
    right, left = look.hands["right"], look.hands["left"]
    if holds(left, cube, edge):
        return {"left": Goal(_at_meeting(left, cube), 0.0), "right": _let_go(right, cube, edge)}
    if holds(right, cube, edge):
        carry = carried(right, cube, MEET_M, heading_rad=pi)
        shift = float(np.linalg.norm(MEET_M - cube[:3, 3]))
        turn = float(np.linalg.norm(log_rotation(carry.pose[:3, :3] @ right.pose[:3, :3].T)))
        ready = shift < _THERE_M and turn < _THERE_RAD
        return {"right": carry, "left": _take(left, cube) if ready else Goal(_LEFT_WAITS, OPEN_M)}
    return {
        "right": pick(right, cube_at(cube, edge), look.obstacles, RIGHT_BASE_M),
        "left": Goal(_LEFT_WAITS, OPEN_M),
    }


def carried(hand: Hand, X_world_cube: _Pose, goal_m: _Point, heading_rad: float) -> Goal:
    """Bring a held cube to a place: up first, then across, level, the hand turning to a heading."""
    free = min(max((X_world_cube[2, 3] - CLEAR_M) / 0.02 + 1.0, 0.0), 1.0)
    shift = goal_m - X_world_cube[:3, 3]
    if free < 1.0:
        shift = np.array([free * shift[0], free * shift[1], max(shift[2], 0.05)])
    up = X_world_cube[:3, int(np.argmax(np.abs(X_world_cube[2, :3])))]
    level = exp_rotation(np.cross(up * np.sign(up[2]), _VERTICAL))
    turn = free * wrap_angle(heading_rad - heading_of(hand))
    rotation = exp_rotation(turn * _VERTICAL) @ level @ hand.pose[:3, :3]
    return Goal(pose(hand.pose[:3, 3] + shift, rotation), 0.0, speed=_CARRY_SPEED)


def _take(left: Hand, X_world_cube: _Pose) -> Goal:
    """The left hand's next goal on the way to the cube in the right hand, along the face normal nearest to x."""
    rotation = _across(X_world_cube[:3, :3], left.pose[:3, 1])
    grasp = X_world_cube[:3, 3] - _SHORT_OF_CENTRE_M * rotation[:, 2]
    shift = grasp - left.pose[:3, 3]
    ahead = float(shift @ rotation[:, 2])
    turn = float(np.linalg.norm(log_rotation(rotation @ left.pose[:3, :3].T)))
    off_axis = float(np.linalg.norm(shift - ahead * rotation[:, 2])) + _YAW_LEVER_M * turn
    shut = max(OPEN_M - 0.006 - left.gap_m, 0.0) if ahead > 0.03 else 0.0
    backoff = min(max(_SLOPE * (off_axis + shut - _AIM_M), 0.0), _BACKOFF_M)
    close = off_axis < _AIM_M + 0.004 and abs(ahead) < 0.008
    return Goal(pose(grasp - backoff * rotation[:, 2], rotation), 0.0 if close else OPEN_M, speed=_TAKE_SPEED)


def _across(
    R_world_cube: Float64[NDArray[np.float64], "3 3"], y_now: Float64[NDArray[np.float64], "3"]
) -> Float64[NDArray[np.float64], "3 3"]:
    """Orientation of a hand along the cube's axis nearest to x that closes along the one nearest to the vertical."""
    along = int(np.argmax(np.abs(R_world_cube[0])))
    up = max((i for i in range(3) if i != along), key=lambda i: abs(R_world_cube[2, i]))
    z = R_world_cube[:, along] * np.sign(R_world_cube[0, along])
    y = R_world_cube[:, up] * np.sign(R_world_cube[:, up] @ y_now)
    return np.array([np.cross(y, z), y, z]).T


def _at_meeting(left: Hand, X_world_cube: _Pose) -> _Pose:
    return pose(left.pose[:3, 3] + MEET_M - X_world_cube[:3, 3], left.pose[:3, :3])


def _let_go(right: Hand, X_world_cube: _Pose, edge: float) -> Goal:
    """Open, back out along the fingers, and get out of the way."""
    out = right.pose[:3, 3] - X_world_cube[:3, 3]
    if right.gap_m < edge + _RELEASED_M and np.linalg.norm(out) < 0.05:
        return Goal(right.pose, OPEN_M)
    if np.linalg.norm(out) < 0.1:
        return Goal(pose(right.pose[:3, 3] - 0.1 * right.pose[:3, 2], right.pose[:3, :3]), OPEN_M)
    return Goal(pose(_RIGHT_RESTS_M, hand_rotation(pi, 0.3)), OPEN_M)
