"""The scripted expert that hands a cube from the right arm to the left one.

The right hand holds the cube left and right, level, so the left hand, its fingers one above the other, takes it at the
top and the bottom.
"""

from collections.abc import Mapping
from math import pi

import numpy as np

from etude.core.se3 import Pose, log_rotation, pose
from etude.sim.robots.viperx import Side
from etude.sim.worlds.aloha.grasping import OPEN_M, approach, carry, cube_at, holds, let_go, pick
from etude.sim.worlds.aloha.scripting import Goal, Hand, Look, hand_rotation

MEET_M = np.array([0.0, 0.5, 0.25])
"""Where the cube changes hands, as in ACT's script."""
RIGHT_BASE_M = (0.469, 0.5)

_LEFT_WAITS = pose(np.array([-0.16, 0.5, 0.25]), hand_rotation(0.0, 0.0, pi / 2))
_RIGHT_RESTS = pose(np.array([0.18, 0.5, 0.32]), hand_rotation(pi, 0.3))
_SHORT_OF_CENTRE_M = 0.008  # the left fingertips must not reach the right palm
_THERE_M, _THERE_RAD = 0.015, 0.15


def decide(look: Look) -> Mapping[Side, Goal]:
    """Choose a goal for both hands."""
    cube, edge = look.objects[0], look.sizes[0]
    right, left = look.hands["right"], look.hands["left"]
    if holds(left, cube, edge):
        return {"left": Goal(_at_meeting(left, cube), 0.0), "right": let_go(right, cube, edge, _RIGHT_RESTS)}
    if holds(right, cube, edge):
        carrying = carry(right, cube, MEET_M, heading_rad=pi)
        shift = float(np.linalg.norm(MEET_M - cube[:3, 3]))
        turn = float(np.linalg.norm(log_rotation(carrying.pose[:3, :3] @ right.pose[:3, :3].T)))
        if shift < _THERE_M and turn < _THERE_RAD:
            return {"right": carrying, "left": approach(left, _grasp_across(left, cube), OPEN_M)}
        return {"right": carrying, "left": Goal(_LEFT_WAITS, OPEN_M)}
    return {
        "right": pick(right, cube_at(cube, edge), look.obstacles, RIGHT_BASE_M),
        "left": Goal(_LEFT_WAITS, OPEN_M),
    }


def _grasp_across(left: Hand, X_world_cube: Pose) -> Pose:
    """The left hand's grasp, along the cube's axis nearest to x, closing along the one nearest to the vertical."""
    R_world_cube = X_world_cube[:3, :3]
    along = int(np.argmax(np.abs(R_world_cube[0])))
    up = max((i for i in range(3) if i != along), key=lambda i: abs(R_world_cube[2, i]))
    z = R_world_cube[:, along] * np.sign(R_world_cube[0, along])
    y = R_world_cube[:, up] * np.sign(R_world_cube[:, up] @ left.pose[:3, 1])
    return pose(X_world_cube[:3, 3] - _SHORT_OF_CENTRE_M * z, np.array([np.cross(y, z), y, z]).T)


def _at_meeting(left: Hand, X_world_cube: Pose) -> Pose:
    return pose(left.pose[:3, 3] + MEET_M - X_world_cube[:3, 3], left.pose[:3, :3])
