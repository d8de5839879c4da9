"""One gripper's part in an attempt: its row of segments, done one after the other."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import Segment, Target
from etude.core.se3 import Poses


class Arm:
    """One gripper: how far it is in its row, and what is left to ask for.

    Args:
        gripper: Its name.
        row: Its segments, in order.
        held: What it is asked for until its first segment begins.

    Attributes:
        last: What it was asked for last.
        ended: How many of its segments have ended.
    """

    def __init__(self, gripper: str, row: Sequence[Segment], held: Target) -> None:
        self.gripper, self.row, self.last = gripper, row, held
        self.ended = 0
        self._way: Poses = np.empty((0, 4, 4))
        self._commands: Float64[NDArray[np.float64], " T"] = np.empty(0)
        self._stitched = self._step = 0
        self._waited = True

    @property
    def idle(self) -> bool:
        """Whether no segment is under way."""
        return self._step == len(self._way)

    @property
    def over(self) -> bool:
        """Whether the whole row is done."""
        return self.idle and self.ended == len(self.row)

    @property
    def noisy(self) -> bool:
        """Whether the target asked for last belongs to a segment, not to the way there, nor to waiting."""
        return self._step > self._stitched and not self._waited

    def begin(self, way: Poses, segment: Poses, commands: Float64[NDArray[np.float64], " T"]) -> None:
        """Begin the next segment.

        Args:
            way: Poses on the way to it, (W, 4, 4).
            segment: Its poses, (T, 4, 4).
            commands: The fingers' commands in it, (T,); the first of them holds on the way.
        """
        self._way = np.concatenate([way, segment])
        self._commands = np.concatenate([np.full(len(way), commands[0]), commands])
        self._stitched, self._step = len(way), 0

    def next(self) -> Target:
        """What to ask for now: the next target, or the last one again."""
        self._waited = self.idle
        if not self.idle:
            self.last = Target(self._way[self._step], float(self._commands[self._step]))
            self._step += 1
            self.ended += self.idle
        return self.last
