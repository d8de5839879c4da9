"""How far an insertion has come: gym-aloha's stages 0 to 4, what lies between them, and the ways to fail."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum, auto
from math import tanh
from typing import Literal, get_args

from etude.sim.stages import StageTracker

SUBTASKS = ("touch_both", "lift_both", "join", "insert")
"""Stages 1 to 4 of gym-aloha: each gripper touches its object; both hang in the air; peg and socket touch there; the
peg touches the pin in the middle of the socket."""

type FailureMode = Literal["no_reach", "missed_grasp", "dropped", "misaligned", "jammed", "timeout"]
FAILURE_MODES: tuple[str, ...] = get_args(FailureMode.__value__)
"""A gripper never came near its object; came near and lifted nothing; lost one that was lifted; held both and the peg
touches the socket outside; held both and the peg sticks in the socket short of its pin; still on the way."""

_HOLD_STEPS = 1  # as published: to touch the pin is to succeed
_NEAR_M = 0.06
_HELD_M = 0.065  # from the grasp point to the centre of what is held
_LENGTH_SCALE_M = 0.1  # of distances in the progress
_LIFT_M = 0.01  # by which both are clearly off the table


class Part(Enum):
    """What a geom belongs to."""

    PEG = auto()
    SOCKET = auto()
    PIN = auto()
    LEFT = auto()
    RIGHT = auto()
    TABLE = auto()


@dataclass(frozen=True, kw_only=True)
class Moment:
    """What a moment is judged by.

    Attributes:
        contacts: Parts that touch each other, of the left gripper with the socket, and so on.
        reach_m: From the grasp point to its object, the larger of the two.
        lift_m: Of the object's centre above where it lay, the smaller of the two.
        to_pin_m: Between the peg's end and the pin, along the socket's axis.
        off_axis_m: Of the peg's centre from the socket's axis.
        in_hole: Whether the peg's end is inside the socket.
    """

    contacts: frozenset[frozenset[Part]]
    reach_m: float
    lift_m: float
    to_pin_m: float
    off_axis_m: float
    in_hole: bool

    def touch(self, a: Part, b: Part) -> bool:
        """Whether two parts touch."""
        return frozenset((a, b)) in self.contacts

    @property
    def held(self) -> bool:
        """Whether both objects hang in their grippers."""
        return self.reach_m < _HELD_M and not self._on_table

    @property
    def stage(self) -> int:
        """The reward of gym-aloha's insertion, 0 to 4."""
        if self.touch(Part.PEG, Part.PIN):
            return 4
        if self.touch(Part.PEG, Part.SOCKET) and not self._on_table:
            return 3
        if not self._touched:
            return 0
        return 1 if self._on_table else 2

    @property
    def share(self) -> float:
        """How far the next stage has come, in [0, 1]."""
        match self.stage:
            case 0:
                return 1 - tanh(self.reach_m / _LENGTH_SCALE_M)
            case 1:
                return min(max(self.lift_m / _LIFT_M, 0.0), 1.0)
            case _:
                return 1 - tanh((max(self.to_pin_m, 0.0) + self.off_axis_m) / _LENGTH_SCALE_M)

    @property
    def _touched(self) -> bool:
        return self.touch(Part.SOCKET, Part.LEFT) and self.touch(Part.PEG, Part.RIGHT)

    @property
    def _on_table(self) -> bool:
        return self.touch(Part.PEG, Part.TABLE) or self.touch(Part.SOCKET, Part.TABLE)


class InsertionMonitor(StageTracker):
    """Follows one episode; success is to touch the pin now."""

    def __init__(self) -> None:
        super().__init__(SUBTASKS, _HOLD_STEPS)
        self._near = self._lifted = False

    def judge(self, moment: Moment) -> None:
        """Judge the next moment."""
        self._near = self._near or moment.reach_m < _NEAR_M
        self._lifted = self._lifted or moment.held
        stage = moment.stage
        self.update(
            reached=stage,
            share=0.0 if stage == 4 else moment.share,
            goal=stage == 4,
            failure_mode=self._failure(moment),
        )

    def _failure(self, moment: Moment) -> FailureMode:
        if not self._lifted:
            return "missed_grasp" if self._near else "no_reach"
        if not moment.held:
            return "dropped"
        if moment.in_hole:
            return "jammed"
        return "misaligned" if moment.touch(Part.PEG, Part.SOCKET) else "timeout"


def touching(pairs: Iterable[tuple[int, int]], parts: Mapping[int, Part]) -> frozenset[frozenset[Part]]:
    """The parts that touch, of the geoms in contact.

    Args:
        pairs: Geoms in contact.
        parts: Geom -> what it belongs to; contacts of other geoms do not count.
    """
    return frozenset(frozenset((parts[a], parts[b])) for a, b in pairs if a in parts and b in parts)
