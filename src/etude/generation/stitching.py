"""The way from where one segment ends to where the next begins: straight, then a pause if one is asked for."""

from math import ceil

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


def over(begin: Pose, end: Pose, lift_m: float) -> list[Pose]:
    """The corners of a way that rises before it goes aside, and comes down at its end; `end` is the last.

    It goes no higher than its higher end, if that is `lift_m` above the lower one; and straight where it is shorter
    than it would have to rise.

    Returns:
        One to three poses, (4, 4) each.
    """
    low, high = sorted([float(begin[2, 3]), float(end[2, 3])])
    top = max(high, low + lift_m)
    if not lift_m or distance_m(begin, end) <= lift_m:
        return [end]
    above = [corner.copy() for corner in (begin, end)]
    for corner in above:
        corner[2, 3] = top
    return [*(corner for corner, at in zip(above, (begin, end), strict=True) if corner[2, 3] > at[2, 3]), end]


def steps_for(begin: Pose, end: Pose, *, least: int, speed: tuple[float, float]) -> int:
    """How many control steps the way takes at a speed [m, rad per step], and no fewer than `least`."""
    metres, radians = speed
    needed = max(distance_m(begin, end) / metres, angle_rad(begin, end) / radians)
    return max(least, ceil(needed))


def top_speed(poses: Poses) -> tuple[float, float]:
    """The fastest that a gripper moved and turned in one control step, [m, rad], never nothing."""
    moves = np.linalg.norm(np.diff(poses[:, :3, 3], axis=0), axis=1)
    cosines = (np.einsum("tij,tij->t", poses[1:, :3, :3], poses[:-1, :3, :3]) - 1.0) / 2.0
    turns = np.arccos(np.clip(cosines, -1.0, 1.0))
    return max(float(moves.max(initial=0.0)), 1e-3), max(float(turns.max(initial=0.0)), 1e-2)
