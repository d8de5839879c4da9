"""The way from where one segment ends to where the next begins: up, aside, down to it.

begin | up to where nothing is in the way | aside, slower and slower | down | end
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import NamedTuple

import numpy as np

from etude.core.se3 import Pose, Poses, interpolate
from etude.generation.transforming import angle_rad

_UPRIGHT_M = 0.01  # aside of each other: a way between such poses is straight
_GAIN = 0.6  # share of what is left that a step covers at most where the way slows down
_NONE = 1e-9  # control steps: rounding
_THERE = 0.05  # control steps at top speed that may be left out: the last one covers them
_BRISK = 90  # per cent of a demonstration's steps are slower
_SLOWEST = np.array([1e-3, 1e-2])  # [m, rad] per control step


class Motion(NamedTuple):
    """How a gripper moved in a demonstration: its brisk speeds, [m] and [rad] per control step, and how low it came."""

    metres: float
    radians: float
    lowest_m: float

    @staticmethod
    def of(path: Poses) -> "Motion":
        """That of a path, (T, 4, 4)."""
        return Motion(*brisk_speed(path), lowest_m=float(path[:, 2, 3].min()))


@dataclass(frozen=True, kw_only=True)
class Travel:
    """How a gripper goes where no source tells the way.

    It is the same whichever source a segment is from: a policy does not see which that was, so could not learn it.

    Attributes:
        metres: Top speed along the axis on which it moves most, per control step.
        radians: Top speed of turning, per control step.
        clear_m: Height at which nothing is in the way; −inf where there is no need to rise.
    """

    metres: float
    radians: float
    clear_m: float = -inf

    @staticmethod
    def shown(motions: Sequence[Motion], lift_m: float) -> "Travel":
        """At the brisk speed of the middle one, so high above the lowest of all; 0 never rises."""
        metres, radians, _ = np.median(motions, axis=0).tolist()
        lowest = min(motion.lowest_m for motion in motions)
        return Travel(metres=metres, radians=radians, clear_m=lowest + lift_m if lift_m else -inf)

    def way(self, begin: Pose, end: Pose, *, rises: bool = True) -> Poses:
        """Poses after `begin`, the last of them `end`; none where they are the same.

        Above its end it slows down, as a hand does that aims: a policy learns from that to correct small errors.

        Returns:
            (T, 4, 4).
        """
        corners = over(begin, end, self.clear_m if rises else -inf)
        legs = [
            self._leg(a, b, _GAIN if b is not end and np.array_equal(b[:2, 3], end[:2, 3]) else 1.0)
            for a, b in pairwise([begin, *corners])
        ]
        return np.concatenate(legs)

    def _leg(self, begin: Pose, end: Pose, gain: float) -> Poses:
        """Straight in position and about one axis in rotation, the two in step."""
        metres = float(np.abs(end[:3, 3] - begin[:3, 3]).max())
        left = whole = max(metres / self.metres, angle_rad(begin, end) / self.radians)  # control steps at top speed
        poses: list[Pose] = []
        while left > _NONE:
            left -= min(gain * left, 1.0)
            left = left if left > _THERE else 0.0
            poses.append(interpolate(begin, end, 1.0 - left / whole))
        return np.array([*poses[:-1], end] if poses else poses).reshape(-1, 4, 4)


def over(begin: Pose, end: Pose, clear_m: float) -> list[Pose]:
    """The corners of a way that rises before it goes aside, and comes down at its end; `end` is the last.

    Straight where it leads up or down.

    Args:
        begin: (4, 4).
        end: (4, 4).
        clear_m: Height below which it goes straight up or down alone [m].

    Returns:
        One to three poses, (4, 4) each.
    """
    if np.linalg.norm(end[:2, 3] - begin[:2, 3]) <= _UPRIGHT_M:
        return [end]
    above = [corner.copy() for corner in (begin, end) if corner[2, 3] < clear_m]
    for corner in above:
        corner[2, 3] = clear_m
    return [*above, end]


def brisk_speed(poses: Poses) -> tuple[float, float]:
    """What nine of ten control steps of a gripper stay below, along an axis and in turning, [m, rad], never nothing.

    Axis by axis, as scripts and sticks limit speed: a way straight up is then no faster than any in the source. Not the
    fastest step, which in a person's demonstrations is a jerk.
    """
    moves = np.abs(np.diff(poses[:, :3, 3], axis=0)).max(axis=1)
    cosines = (np.einsum("tij,tij->t", poses[1:, :3, :3], poses[:-1, :3, :3]) - 1.0) / 2.0
    turns = np.arccos(np.clip(cosines, -1.0, 1.0))
    metres, radians = np.maximum(np.percentile([moves, turns], _BRISK, axis=1), _SLOWEST).tolist()
    return metres, radians
