"""Waiting for the fingers: what they close on here may be smaller than what was shown, so that they need longer.

commands    1 1 1 0 0 0 0       a source, whose fingers are told to close at frame 3
frames      0 1 2 3 3 4 5 6     asked for here, with one step of settling
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

_SHARE = 0.25  # of the range of a gripper's commands that a change has to span: a person's fingers tremble
_STILL = 0.002  # of that range, from one frame to the next: what changes less is a reading's noise


def rests(commands: Float64[NDArray[np.float64], " T"], span: float) -> Int64[NDArray[np.int64], " R"]:
    """The frames at which fingers have just been told to close or open.

    Args:
        commands: The fingers' commands of a segment, (T,).
        span: Between the least and the largest command of the whole demonstration.

    Returns:
        First frames of a new command, (R,); of one that changes over several frames, the last of these.
    """
    changing = np.concatenate([[False], np.abs(np.diff(commands)) > _STILL * span, [False]])
    before, after = np.flatnonzero(np.diff(changing.astype(np.int8))).reshape(-1, 2).T
    return after[np.abs(commands[after] - commands[before]) > _SHARE * span]


def settled_frames(length: int, rests: Sequence[int], steps: int) -> Int64[NDArray[np.int64], " W"]:
    """The frames of a segment in the order they are asked for, those of `rests` `steps` times more.

    Args:
        length: Of the segment.
        rests: Frames to wait at; those beyond its end do not count.
        steps: How many control steps to wait at each.

    Returns:
        Shape (W,), W = length + steps x number of rests within it.
    """
    times = np.ones(length, np.int64)
    times[[frame for frame in set(rests) if frame < length]] += steps
    return np.repeat(np.arange(length), times)
