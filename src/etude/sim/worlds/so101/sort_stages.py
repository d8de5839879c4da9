"""How far the sorting has come: sub-tasks, progress, and the way it failed."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import dist, hypot, tanh
from typing import Literal, get_args

from etude.sim.stages import StageTracker

type FailureMode = Literal["no_reach", "missed_grasp", "dropped", "misplaced", "wrong_place", "timeout"]
FAILURE_MODES: tuple[str, ...] = get_args(FailureMode.__value__)
"""Never came near the cube; came near and lifted nothing; lost it on the way; let go of it next to the right pad;
brought it to the wrong one; still busy when time was up."""
SUBTASKS = ("grasp", "carry", "place")
"""The cube is lifted; it is over the right pad; it lies there, released."""
PLACED_M = 0.02
"""From the pad's centre, along either of its sides, within which the cube's lies on it: the whole cube is inside."""

_HOLD_STEPS = 8
_LIFTED_M = 0.008
_NEAR_M = 0.045
_HELD_WITHIN_M = 0.035  # from the grasp point, which is on the fixed jaw, to the cube's centre
_RELEASED_M = 0.008  # wider open than the cube
_RESTING_M = 0.004
_BESIDE_M = 0.065  # from a pad's centre: on it, or touching what stands there
_LENGTH_SCALE_M = 0.1  # of distances in the progress

type _Point = Sequence[float]


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What a moment is judged by.

    Attributes:
        cube: Its centre, [m].
        hand: The grasp point, [m].
        opening: Between the jaws, [m].
    """

    cube: _Point
    hand: _Point
    opening: float


class SortMonitor(StageTracker):
    """Follows one episode."""

    def __init__(self, *, right: _Point, wrong: _Point, edge: float) -> None:
        """Start an episode.

        Args:
            right: Centre of the pad where the cube belongs, [m].
            wrong: Of the other.
            edge: Of the cube, [m].
        """
        super().__init__(SUBTASKS, hold_steps=_HOLD_STEPS)
        self._right, self._wrong, self._edge = right, wrong, edge
        self._was_near = self._was_held = False

    def judge(self, moment: Moment) -> None:
        """Judge the next moment."""
        cube, (x, y) = moment.cube, self._right
        reach = dist(cube, moment.hand)
        released = moment.opening > self._edge + _RELEASED_M or reach > 2 * _HELD_WITHIN_M
        held = not released and reach < _HELD_WITHIN_M and cube[2] > self._edge / 2 + _LIFTED_M
        self._was_near |= reach < _NEAR_M
        self._was_held |= held
        inside = max(abs(cube[0] - x), abs(cube[1] - y)) < PLACED_M
        resting = abs(cube[2] - self._edge / 2) < _RESTING_M
        reached = 2 if inside and (held or resting) else 1 if held else 0
        distance = (reach, hypot(cube[0] - x, cube[1] - y), cube[2] - self._edge / 2)[reached]
        self.update(
            reached=reached,
            share=1 - tanh(max(distance, 0.0) / _LENGTH_SCALE_M),
            goal=inside and resting and released,
            failure_mode=self._failure(cube, inside=inside, released=released),
        )

    def _failure(self, cube: _Point, *, inside: bool, released: bool) -> FailureMode:
        if inside:
            return "timeout"
        if not self._was_held:
            return "missed_grasp" if self._was_near else "no_reach"
        if dist(cube[:2], self._wrong) < _BESIDE_M:
            return "wrong_place"
        if not released:
            return "timeout"
        return "misplaced" if dist(cube[:2], self._right) < _BESIDE_M else "dropped"
