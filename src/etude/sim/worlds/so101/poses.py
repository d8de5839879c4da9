"""Poses of an SO-101's hand and the joints for them: five joints for six numbers, so the hand gives way in its tilt.

The hand's axis lies in the vertical plane through the base's axis. Of a pose whose axis does not, the place and the
jaws' direction are kept, and the axis is laid into the plane; where the arm cannot reach at that pitch, the hand leans
by as little as will do.
"""

from collections.abc import Iterator, Sequence
from math import atan2, cos, hypot, radians, sin

import numpy as np

from etude.core.se3 import Pose
from etude.sim.robots.so101 import FIXED_JAW_M, PAN_AXIS_M
from etude.sim.worlds.so101.kinematics import Positions, arm_positions, hand_at, jaws

_LEAN_STEP_RAD, _MOST_LEAN_RAD = radians(2.0), radians(60.0)
_PASSES = 4  # of the fixed point between the arm's plane and the jaws' direction
_POINTING_DOWN = 0.5  # sine of the pitch from which the jaws' direction over the table is what counts
_LOW_M = -0.002  # the grasp point; the fingertips are below it


def pose_at(positions: Sequence[float]) -> Pose:
    """X_world_gripper, exactly a rigid transform; the model's own differs by up to half a millimetre.

    Args:
        positions: The six numbers of a state or an action, in LeRobot's units.
    """
    pan, lift, elbow, flex, roll = (radians(position) for position in positions[:5])
    down = lift + elbow + flex
    axis = np.array([cos(down), 0.0, -sin(down)])
    opens = np.array(jaws(down, roll))
    c, s = cos(-pan), sin(-pan)
    R_world_plane = np.array([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    X_world_gripper = np.eye(4)
    X_world_gripper[:3, :3] = R_world_plane @ np.column_stack([np.cross(opens, axis), opens, axis])
    X_world_gripper[:3, 3] = hand_at(positions)[:3]
    return X_world_gripper


def positions_at(X_world_gripper: Pose, near: Sequence[float]) -> tuple[Positions, float] | None:
    """Joints for the nearest pose that the arm can take, and by how much the hand leans for it [rad].

    Args:
        X_world_gripper: Where the hand shall be.
        near: Present joints: of several ways to take a pose, the nearest is chosen.

    Returns:
        None where no joints bring the grasp point there.
    """
    for lean in _leans():
        ways = [way for ahead in (True, False) for way in _ways(X_world_gripper, lean, ahead=ahead)]
        if ways:
            return min(ways, key=lambda way: max(abs(a - b) for a, b in zip(way, near, strict=False))), abs(lean)
    return None


def why_unreachable(X_world_gripper: Pose) -> str | None:
    """Why the hand cannot be brought to a place, or None."""
    x, y, z = X_world_gripper[:3, 3].tolist()
    if z < _LOW_M:
        return f"z = {z:.3f} m is below the table"
    if positions_at(X_world_gripper, (0.0,) * 5) is None:
        return f"({x:.3f}, {y:.3f}, {z:.3f}) m is out of the arm's reach"
    return None


def _leans() -> Iterator[float]:
    """None at first, then ever more, outwards before inwards."""
    yield 0.0
    for i in range(1, round(_MOST_LEAN_RAD / _LEAN_STEP_RAD) + 1):
        yield from (-i * _LEAN_STEP_RAD, i * _LEAN_STEP_RAD)


def _ways(X_world_gripper: Pose, lean: float, *, ahead: bool) -> Iterator[Positions]:
    """Joints, elbow up and down, the arm turned to where the hand is, or away from it and bent backwards."""
    (_, open_x, axis_x, x), (_, open_y, axis_y, y), (_, open_z, axis_z, z), _ = X_world_gripper.tolist()
    ox, oy, oz = open_x, open_y, open_z
    azimuth = down = roll = east = north = 0.0
    for _ in range(_PASSES):
        # The hand's axis runs FIXED_JAW_M beside the grasp point, to where the jaws open.
        east, north = x + FIXED_JAW_M * ox - PAN_AXIS_M, y + FIXED_JAW_M * oy
        azimuth = atan2(north, east) if ahead else atan2(-north, -east)
        c, s = cos(azimuth), sin(azimuth)
        down = atan2(-axis_z, c * axis_x + s * axis_y) + lean
        along, left = c * open_x + s * open_y, c * open_y - s * open_x
        if abs(sin(down)) > _POINTING_DOWN:
            roll = atan2(left * abs(sin(down)), along if sin(down) > 0 else -along)
        else:
            roll = atan2(left, along * sin(down) + open_z * cos(down))
        forward, side, oz = cos(roll) * sin(down), sin(roll), cos(roll) * cos(down)
        ox, oy = c * forward - s * side, s * forward + c * side
    r = hypot(east, north) if ahead else -hypot(east, north)
    for up in (True, False):
        found = arm_positions(azimuth, r, z + FIXED_JAW_M * oz, down, roll, elbow_up=up)
        if found is not None:
            yield found
