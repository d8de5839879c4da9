"""Whether a gripper takes a thing where it lay, and then holds it.

A person who has pushed or dropped it takes it where it has come to lie. A new demonstration repeats the hand's way, but
not where a thing falls: it would close the fingers on nothing.
"""

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.se3 import Pose, Poses

SLIPPED_M = 0.05
"""What lies so far from where it was held, seen from the gripper, is not in the hand."""
_LIES_M = 0.01  # nearer than this to where it lay, or is held, it lies, or is held, there


def lost(gripper: Poses, thing: Poses) -> int | None:
    """The frame at which a thing that is held from the first on leaves the hand, to be taken again; None if it is not.

    Args:
        gripper: X_world_gripper, (T, 4, 4).
        thing: X_world_thing, (T, 4, 4).
    """
    in_hand = np.linalg.inv(gripper) @ thing
    away = _shift_m(in_hand, in_hand[0]) > SLIPPED_M
    return int(np.argmax(away)) if (away[:-1] & ~away[1:]).any() else None


def pushed(gripper: Poses, thing: Poses) -> int | None:
    """The frame at which a thing is moved before it is where the hand, in the last frame, has it; None if it is not.

    Args:
        gripper: X_world_gripper, (T, 4, 4).
        thing: X_world_thing, (T, 4, 4).
    """
    in_hand = np.linalg.inv(gripper) @ thing
    coming = np.flatnonzero(_shift_m(in_hand, in_hand[-1]) > _LIES_M).max(initial=-1) + 1
    moved = _shift_m(thing[:coming], thing[0]) > _LIES_M
    return int(np.argmax(moved)) if moved.any() else None


def _shift_m(poses: Poses, pose: Pose) -> Float64[NDArray[np.float64], " T"]:
    return np.linalg.norm(poses[:, :3, 3] - pose[:3, 3], axis=1)
