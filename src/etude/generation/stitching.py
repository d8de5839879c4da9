"""The way from where one segment ends to where the next begins: straight, then a pause if one is asked for."""

from math import ceil, inf

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.se3 import interpolate
from etude.generation.transforming import angle_rad, distance_m

type Pose = Float64[NDArray[np.float64], "4 4"]
type Poses = Float64[NDArray[np.float64], "T 4 4"]


def stitch(begin: Pose, end: Pose, steps: int) -> Poses:
    """Poses at equal steps after `begin`, the last of them `end`: linear in position, about one axis in rotation.

    Args:
        begin: (4, 4).
        end: (4, 4).
        steps: How many, at least 1.

    Returns:
        (steps, 4, 4).
    """
    return np.stack([*(interpolate(begin, end, i / steps) for i in range(1, steps)), end])


def over(begin: Pose, end: Pose, clear_m: float) -> list[Pose]:
    """The corners of a way that rises before it goes aside, and comes down at its end; `end` is the last.

    It goes aside at `clear_m`, or at the height of its higher end; and straight where it is shorter than it would have
    to rise.

    Args:
        begin: (4, 4).
        end: (4, 4).
        clear_m: Height at which nothing is in the way [m]; −inf goes straight.

    Returns:
        One to three poses, (4, 4) each.
    """
    low, high = sorted([float(begin[2, 3]), float(end[2, 3])])
    top = max(high, clear_m)
    if clear_m == -inf or distance_m(begin, end) <= clear_m - low:
        return [end]
    above = [corner.copy() for corner in (begin, end)]
    for corner in above:
        corner[2, 3] = top
    return [*(corner for corner, at in zip(above, (begin, end), strict=True) if corner[2, 3] > at[2, 3]), end]


def steps_for(begin: Pose, end: Pose, *, least: int, speed: tuple[float, float]) -> int:
    """How many control steps the way takes at a speed [m along the fastest axis, rad], and no fewer than `least`."""
    metres, radians = speed
    needed = max(float(np.abs(end[:3, 3] - begin[:3, 3]).max()) / metres, angle_rad(begin, end) / radians)
    return max(least, ceil(needed))


def top_speed(poses: Poses) -> tuple[float, float]:
    """The fastest that a gripper moved along an axis and turned in one control step, [m, rad], never nothing.

    Axis by axis, as scripts and sticks limit speed: a way straight up is then no faster than any in the source.
    """
    moves = np.abs(np.diff(poses[:, :3, 3], axis=0)).max(axis=1)
    cosines = (np.einsum("tij,tij->t", poses[1:, :3, :3], poses[:-1, :3, :3]) - 1.0) / 2.0
    turns = np.arccos(np.clip(cosines, -1.0, 1.0))
    return max(float(moves.max(initial=0.0)), 1e-3), max(float(turns.max(initial=0.0)), 1e-2)
