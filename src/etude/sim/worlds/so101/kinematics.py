"""Where the hand of an SO-101 is, and which joints bring it somewhere: closed form, in LeRobot's units.

Shoulder lift, elbow and wrist flex move the wrist in the vertical plane that shoulder_pan turns; wrist_roll turns the
hand about its own axis, which lies in that plane. So a point, the jaws' direction and the hand's pitch fix all five
joints. Plain floats: numpy is slower on vectors of three.
"""

from collections.abc import Sequence
from math import acos, asin, atan2, cos, degrees, hypot, pi, radians, sin
from typing import NamedTuple

from etude.core.se3 import wrap_angle
from etude.sim.robots.so101 import FIXED_JAW_M, PAN_AXIS_M, SO101_RANGE_RAD

# Lengths in the arm's plane [m] and angles above the horizontal when all joints are at zero [rad].
_SHOULDER_R_M, _SHOULDER_Z_M = 0.0304, 0.1166
_UPPER_M, _UPPER_RAD = hypot(0.0280, 0.11257), atan2(0.11257, 0.0280)
_LOWER_M, _LOWER_RAD = hypot(0.1349, 0.0052), atan2(0.0052, 0.1349)
_HAND_M = 0.0611 + 0.0981  # from wrist flex to the height of the grasp point, along the hand's axis
_ROLL_RAD = 0.0487  # wrist_roll where the jaws open exactly upwards, the arm level
# The inner face of the moving jaw's tip: 0.0281 - a cos q + b sin q from the fixed jaw's, q being the gripper's angle.
_JAW_REST_M, _JAW_M, _JAW_RAD = 0.0281, hypot(0.0123, 0.076), atan2(0.0123, 0.076)
_CLOSED_RAD, _OPEN_RAD = SO101_RANGE_RAD[5]
_TILT_STEP_RAD = radians(2.0)
_MOST_TILT_RAD = radians(60.0)
_PASSES = 3  # of the fixed point between the wrist's place and the jaws' direction

type Positions = tuple[float, float, float, float, float]
"""Of the arm's joints in degrees, base to wrist."""


class Hand(NamedTuple):
    """The grasp point on the fixed jaw [m], the direction in which the jaws open [rad from x], and how far [m]."""

    x: float
    y: float
    z: float
    yaw: float
    opening: float


def hand_at(positions: Sequence[float]) -> Hand:
    """Where the hand is.

    Args:
        positions: The six numbers of a state, in LeRobot's units.
    """
    pan, lift, elbow, flex, roll = (radians(position) for position in positions[:5])
    upper, lower, down = _UPPER_RAD - lift, _LOWER_RAD - lift - elbow, lift + elbow + flex
    r = _SHOULDER_R_M + _UPPER_M * cos(upper) + _LOWER_M * cos(lower) + _HAND_M * cos(down)
    z = _SHOULDER_Z_M + _UPPER_M * sin(upper) + _LOWER_M * sin(lower) - _HAND_M * sin(down)
    ahead, left, up = _jaws(down, roll - _ROLL_RAD)
    r, side, z = r - FIXED_JAW_M * ahead, -FIXED_JAW_M * left, z - FIXED_JAW_M * up
    c, s = cos(-pan), sin(-pan)
    return Hand(
        PAN_AXIS_M + c * r - s * side,
        s * r + c * side,
        z,
        wrap_angle(atan2(left, ahead) - pan),
        opening_at(positions[5]),
    )


def positions_for(x: float, y: float, z: float, yaw: float) -> Positions | None:
    """Joints that bring the grasp point to a place with the jaws opening towards `yaw`.

    The hand points straight down where the arm reaches, else it leans outwards by as little as will do.

    Returns:
        Degrees, or None where nothing will do.
    """
    tilt = 0.0
    while tilt <= _MOST_TILT_RAD:
        found = _positions(x, y, z, yaw, pi / 2 - tilt)
        if found is not None:
            return found
        tilt += _TILT_STEP_RAD
    return None


def jaws(down: float, roll: float) -> tuple[float, float, float]:
    """Unit vector in which the jaws open: ahead and to the left of the arm's plane, and up.

    Args:
        down: Pitch of the hand's axis below the horizontal [rad].
        roll: Of wrist_roll [rad].
    """
    return _jaws(down, roll - _ROLL_RAD)


def arm_positions(
    azimuth: float, r: float, z: float, down: float, roll: float, *, elbow_up: bool = True
) -> Positions | None:
    """Joints that put the hand's axis somewhere in the arm's plane, or None where the arm ends before.

    Args:
        azimuth: Of the arm's plane [rad from x].
        r: How far ahead in the plane the hand's axis is beside the grasp point [m from the axis of shoulder_pan].
        z: How high [m].
        down: Pitch of the hand's axis below the horizontal [rad].
        roll: Of the jaws; 0 where they open upwards with the hand level [rad].
        elbow_up: Which of the two ways to bend the arm.
    """
    wrist_r, wrist_z = r - _HAND_M * cos(down) - _SHOULDER_R_M, z + _HAND_M * sin(down) - _SHOULDER_Z_M
    distance = hypot(wrist_r, wrist_z)
    if not abs(_UPPER_M - _LOWER_M) < distance < _UPPER_M + _LOWER_M:
        return None
    sign = 1.0 if elbow_up else -1.0
    upper = atan2(wrist_z, wrist_r) + sign * _angle_opposite(_LOWER_M, _UPPER_M, distance)
    lower = upper - sign * (pi - _angle_opposite(distance, _UPPER_M, _LOWER_M))
    lift, elbow = _UPPER_RAD - upper, _LOWER_RAD - lower - (_UPPER_RAD - upper)
    joints = [
        q if abs(q) < pi else wrap_angle(q) for q in (-azimuth, lift, elbow, down - lift - elbow, roll + _ROLL_RAD)
    ]
    if not all(low <= q <= high for q, (low, high) in zip(joints, SO101_RANGE_RAD, strict=False)):
        return None
    pan, lift, elbow, flex, roll = joints
    return degrees(pan), degrees(lift), degrees(elbow), degrees(flex), degrees(roll)


def opening_at(percent: float) -> float:
    """Between the jaws' tips [m], at a position of the gripper."""
    q = _CLOSED_RAD + percent / 100 * (_OPEN_RAD - _CLOSED_RAD)
    return _JAW_REST_M + _JAW_M * sin(q - _JAW_RAD)


def percent_for(opening_m: float) -> float:
    """Position of the gripper with the jaws' tips so far apart."""
    q = _JAW_RAD + asin(min(max((opening_m - _JAW_REST_M) / _JAW_M, -1.0), 1.0))
    return min(max(100 * (q - _CLOSED_RAD) / (_OPEN_RAD - _CLOSED_RAD), 0.0), 100.0)


def _jaws(down: float, roll: float) -> tuple[float, float, float]:
    """Unit vector in which the jaws open: ahead and to the left of the arm's plane, and up."""
    return cos(roll) * sin(down), sin(roll), cos(roll) * cos(down)


def _positions(x: float, y: float, z: float, yaw: float, down: float) -> Positions | None:
    # The hand's axis runs FIXED_JAW_M beside the grasp point, to where the jaws open: at first as if they opened level.
    ahead, left, up, azimuth, roll, east, north = cos(yaw), sin(yaw), 0.0, 0.0, 0.0, 0.0, 0.0
    for _ in range(_PASSES):
        c, s = cos(azimuth), sin(azimuth)
        east = x + FIXED_JAW_M * (c * ahead - s * left) - PAN_AXIS_M
        north = y + FIXED_JAW_M * (s * ahead + c * left)
        azimuth = atan2(north, east)
        roll = atan2(sin(yaw - azimuth) * sin(down), cos(yaw - azimuth))
        ahead, left, up = _jaws(down, roll)
    return arm_positions(azimuth, hypot(east, north), z + FIXED_JAW_M * up, down, roll)


def _angle_opposite(side: float, b: float, c: float) -> float:
    """Of a triangle, by the law of cosines."""
    return acos(min(max((b * b + c * c - side * side) / (2 * b * c), -1.0), 1.0))
