"""A segment in another place: what the gripper was asked for, seen from the object, asked for from where it lies now.

    X_new = X_world_object · turn · inv(X_world_object of the source, at the segment's start) · X_target

`turn` is one of the turns about its own z axis that leave the object as it is: a cube has four of them. Where the
gripper carries something, that is what goes the same way:

    X_target := X_target · X_gripper_carried of the source · inv(X_gripper_carried now), at the segment's start
Source: Mandlekar et al. 2023, Sec. IV-B.
"""

from collections.abc import Iterator

import numpy as np

from etude.core.se3 import Pose, Poses, exp_rotation, inverse, pose


def transform(targets: Poses, *, source: Pose, now: Pose) -> Poses:
    """Move a segment with its object.

    Args:
        targets: X_world_gripper asked for in the source demonstration, (T, 4, 4).
        source: X_world_object there, at the segment's start, (4, 4).
        now: X_world_object here, at this moment, (4, 4).

    Returns:
        X_world_gripper to ask for, (T, 4, 4).
    """
    return (now @ inverse(source)) @ targets


def as_carried(targets: Poses, *, source: Pose, now: Pose, turns: int = 1) -> Poses:
    """Ask for what takes a carried object where the source took it, however it lies in the hand.

    Args:
        targets: X_world_gripper asked for in the source demonstration, (T, 4, 4).
        source: X_gripper_carried there, (4, 4).
        now: X_gripper_carried here, (4, 4).
        turns: Into how many turns the object falls on itself: of them the one that turns the hand least.

    Returns:
        X_world_gripper to ask for, (T, 4, 4).
    """
    changes = [source @ inverse(same) for same in same_poses(now, turns)]
    return targets @ min(changes, key=lambda change: angle_rad(change, np.eye(4)))


def unturned(X: Pose) -> Pose:
    """The place alone, (4, 4), turned as the world."""
    return pose(X[:3, 3], np.eye(3))


def same_poses(now: Pose, turns: int) -> Iterator[Pose]:
    """The poses, (4, 4), in which an object that falls on itself after 1 / `turns` of a turn looks as it does now."""
    for k in range(turns):
        yield now @ pose(np.zeros(3), exp_rotation(np.array([0.0, 0.0, 2 * np.pi * k / turns])))


def distance_m(a: Pose, b: Pose) -> float:
    """Between two positions, [m]."""
    return float(np.linalg.norm(a[:3, 3] - b[:3, 3]))


def angle_rad(a: Pose, b: Pose) -> float:
    """Between two rotations, [rad], in [0, pi]."""
    cosine = (np.sum(a[:3, :3] * b[:3, :3]) - 1.0) / 2.0
    return float(np.arccos(min(max(cosine, -1.0), 1.0)))
