"""The scripted expert that puts the peg, in the right hand, into the socket, in the left hand.

Both are gripped across their long axes, in the middle or, where something is in the way, nearer to the outer end, and
lifted. Then the socket goes to the middle of the table and the peg to the
socket's axis, and along it as far as it is centred: a hand's goal is the goal of what it holds, from where that is seen
to be, so what slipped in the fingers is made good.
"""

from collections.abc import Mapping, Sequence
from math import hypot

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.se3 import Pose, interpolate, inverse, log_rotation, pose
from etude.sim.robots.viperx import Side
from etude.sim.worlds.aloha.grasping import approach, open_around
from etude.sim.worlds.aloha.insertion_grasps import bar_at, grip
from etude.sim.worlds.aloha.scripting import Goal, Hand, Look

type _Rotation = Float64[NDArray[np.float64], "3 3"]

_CLEAR_M, _FREE_M = 0.075, 0.02  # of an object's centre over the table where it may begin to move sideways; and freely
_RISE_M = 0.05
_HELD_ALONG_M, _HELD_ACROSS_M = 0.06, 0.025  # of the grasp point from the middle of a held bar
_LOW_M, _CLOSING_M = 0.003, 0.012  # over the grasp where fingers may close; narrower than open, of fingers that do
_CARRY_SPEED = 0.8
_MEETING_M = np.array([-0.06, 0.5, 0.2])  # of the socket
_THERE_M = 0.015
_STANDOFF_M, _MOUTH_M = 0.045, 0.02  # of the peg's end from the pin: before the socket, in its mouth
_FUNNEL = 12.0  # distance along the socket's axis over what is off it
_CENTRED, _STUCK = 0.4, 1.2  # shares of the clearance: within the one free to go in, beyond the other not in the hole
_TILT_LEVER_M = 0.05  # turns a tilt into a distance from the axis
_PUSH_M = 0.001  # beyond the first touch of the pin
_STRIDE_M = 0.008  # along the axis at a time, so that what is off it is not left for later


def decide(look: Look) -> Mapping[Side, Goal]:
    """Choose a goal for both hands."""
    peg, socket = look.objects
    _, thickness, _, _, _, width = look.sizes
    left, right = look.hands["left"], look.hands["right"]
    has_socket, has_peg = _holds(left, socket, 2 * width), _holds(right, peg, 2 * thickness)
    meeting = pose(_MEETING_M, aligned(np.eye(3), socket[:3, :3]))
    arrived = has_socket and float(np.linalg.norm(_MEETING_M - socket[:3, 3])) < _THERE_M
    goal = insert(peg, socket, look.sizes) if arrived else before(meeting, peg, look.sizes)
    return {
        "left": _carry(left, socket, meeting) if has_socket else _pick("left", look, socket, 2 * width),
        "right": _carry(right, peg, goal) if has_peg else _pick("right", look, peg, 2 * thickness),
    }


def before(socket: Pose, peg: Pose, sizes: Sequence[float]) -> Pose:
    """Where the peg waits: on the socket's axis, on the right arm's side, just before the opening."""
    return _on_axis(socket, peg, sizes[0] + sizes[2] + _STANDOFF_M)


def insert(peg: Pose, socket: Pose, sizes: Sequence[float]) -> Pose:
    """The peg's next goal: as deep as it is centred, at last a little beyond the pin.

    Args:
        peg: X_world_peg.
        socket: X_world_socket.
        sizes: As the world gives them.
    """
    peg_length, thickness, pin, _, hole, _ = sizes
    clearance, touch = hole - thickness, peg_length + pin
    centred = _on_axis(socket, peg, 0.0)
    axis = (before(socket, peg, sizes)[:3, 3] - socket[:3, 3]) / (touch + _STANDOFF_M)
    between = peg[:3, 3] - socket[:3, 3]
    along = float(between @ axis)
    tilt = float(np.linalg.norm(log_rotation(centred[:3, :3] @ peg[:3, :3].T)))
    off_axis = float(np.linalg.norm(between - along * axis)) + _TILT_LEVER_M * tilt
    if along < touch + _MOUTH_M and off_axis > _STUCK * clearance:  # beside the hole: back out before anything else
        return pose(peg[:3, 3] + (touch + _STANDOFF_M - along) * axis, peg[:3, :3])
    ahead = min(max(_FUNNEL * (off_axis - _CENTRED * clearance), -_PUSH_M), _STANDOFF_M)
    if along < touch + 1.5 * _STANDOFF_M:
        ahead = max(ahead, along - touch - _STRIDE_M)
    return _on_axis(socket, peg, touch + ahead)


def aligned(frame: _Rotation, rotation: _Rotation) -> _Rotation:
    """The orientation of a square bar along a frame's x axis, either way round, that is nearest to its own."""
    inside = frame.T @ rotation
    x, y = np.zeros(3), np.zeros(3)
    side = int(np.argmax(np.abs(inside[1:, 1]))) + 1
    x[0], y[side] = np.sign(inside[0, 0]), np.sign(inside[side, 1])
    return frame @ np.array([x, y, np.cross(x, y)]).T


def _holds(hand: Hand, X_world_bar: Pose, width_m: float) -> bool:
    """Whether the fingers have closed on a bar, anywhere along it."""
    along, y, z = X_world_bar[:3, :3].T @ (hand.pose[:3, 3] - X_world_bar[:3, 3])
    between = abs(along) < _HELD_ALONG_M and hypot(y, z) < _HELD_ACROSS_M
    return bool(between) and 0.8 * width_m < hand.gap_m < width_m + 0.003


def _pick(side: Side, look: Look, X_world_bar: Pose, width_m: float) -> Goal:
    """The next goal of a hand on the way to its bar; it closes only when it is as low as it shall be."""
    hand, open_m = look.hands[side], open_around(width_m)
    there = grip(side, hand, bar_at(side, X_world_bar, width_m), look.obstacles)
    goal = approach(hand, there, open_m)
    low = abs(float((hand.pose[:3, 3] - there[:3, 3]) @ there[:3, 2])) < _LOW_M
    return goal if low or hand.gap_m < open_m - _CLOSING_M else goal._replace(gap_m=open_m)


def _carry(hand: Hand, now: Pose, goal: Pose) -> Goal:
    """Move the hand so that what it holds goes from where it is to its goal: up first, then there."""
    free = min(max((now[2, 3] - _CLEAR_M) / _FREE_M, 0.0), 1.0)
    if free < 1.0:
        up = pose(now[:3, 3] + (0.0, 0.0, _RISE_M), now[:3, :3])
        goal = interpolate(up, goal, free)
    return Goal(goal @ inverse(now) @ hand.pose, 0.0, _CARRY_SPEED)


def _on_axis(socket: Pose, peg: Pose, distance_m: float) -> Pose:
    """The peg's goal on the socket's axis, on the right arm's side."""
    axis = socket[:3, 0] * np.sign(socket[0, 0])
    return pose(socket[:3, 3] + distance_m * axis, aligned(socket[:3, :3], peg[:3, :3]))
