"""Marks that a person sets while an episode plays: which sub-task was done at which frame. Commands in, state out.

A terminal's keys and a page's buttons send the same commands; nothing here draws, waits or reads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np

from etude.core import ConfigError, UnknownNameError
from etude.generation.source import Signal

type Command = Literal["play", "tick", "forward", "back", "jump", "rewind", "mark", "undo", "keep", "skip", "stop"]
"""Play or pause; time passes; one frame on, or back; ten frames on, or back; this sub-task is done now; take the last
mark back; the marks are right; leave the episode out; go no further."""
COMMANDS: tuple[str, ...] = get_args(Command.__value__)
_JUMP = 10
_STEPS: Mapping[Command, int] = {"forward": 1, "back": -1, "jump": _JUMP, "rewind": -_JUMP}


@dataclass(frozen=True, kw_only=True)
class Marking:
    """How far the marking of an episode has come.

    Attributes:
        length: Frames of the episode, T.
        rows: Sub-tasks to mark: for every gripper those that end its segments, in order.
        frame: The one that is shown.
        playing: Whether time passes.
        marks: Sub-task -> the first frame at which it is done, in the order in which they were set.
        ending: "" while it goes on; then "keep", "skip" or "stop".
        notice: What the person should know of the last command, or "".
    """

    length: int
    rows: tuple[tuple[str, ...], ...]
    frame: int = 0
    playing: bool = False
    marks: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    ending: Literal["", "keep", "skip", "stop"] = ""
    notice: str = ""

    def __post_init__(self) -> None:
        if self.length < 1 or not self.signals:
            raise ConfigError(f"nothing to mark: {self.length} frames, {len(self.signals)} sub-tasks.")

    @property
    def signals(self) -> tuple[str, ...]:
        """Sub-tasks to mark, each once."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row))

    @property
    def next_signal(self) -> str:
        """The first sub-task that is not marked yet; "" where all are."""
        return next((name for name in self.signals if name not in self.marks), "")

    def after(self, command: Command, signal: str = "") -> "Marking":
        """The state after a command.

        Args:
            command: One of COMMANDS; nothing is done once it has ended.
            signal: Which sub-task to mark; "" for the next.

        Raises:
            UnknownNameError: No such command, or sub-task.
        """
        if command not in COMMANDS:
            raise UnknownNameError("command", command, COMMANDS)
        if self.ending:
            return self
        now = replace(self, notice="")
        match command:
            case "play":
                return replace(now, playing=not self.playing and self.frame < self.length - 1)
            case "tick":
                return now._at(self.frame + 1) if self.playing else now
            case "mark":
                return now._marked(signal or self.next_signal)
            case "undo":
                return replace(now, marks=MappingProxyType(dict(list(self.marks.items())[:-1])))
            case "keep":
                why = self.why_not()
                return replace(now, notice=why) if why else replace(now, ending="keep", playing=False)
            case "skip" | "stop":
                return replace(now, ending=command, playing=False)
            case "forward" | "back" | "jump" | "rewind":
                return replace(now._at(self.frame + _STEPS[command]), playing=False)

    def why_not(self) -> str:
        """Why the marks cannot be kept yet, in words; "" where they can."""
        return f"'{self.next_signal}' is not marked yet" if self.next_signal else ""

    def done(self) -> dict[str, Signal]:
        """Sub-task -> whether it is done at each frame, (T,)."""
        return {name: np.arange(self.length) >= self.marks.get(name, self.length) for name in self.signals}

    def _at(self, frame: int) -> "Marking":
        inside = min(max(frame, 0), self.length - 1)
        return replace(self, frame=inside, playing=self.playing and inside < self.length - 1)

    def _marked(self, signal: str) -> "Marking":
        if not signal:
            return replace(self, notice="all sub-tasks are marked; u takes the last mark back")
        if signal not in self.signals:
            raise UnknownNameError("sub-task", signal, self.signals)
        others = {name: frame for name, frame in self.marks.items() if name != signal}
        marks = {**others, signal: self.frame}
        why = next((told for row in self.rows if (told := _disorder(row, marks))), "")
        if why:
            return replace(self, notice=why)
        return replace(self, marks=MappingProxyType(marks), notice=f"{signal}: {self.frame}")


def _disorder(row: Sequence[str], marks: Mapping[str, int]) -> str:
    """What is wrong with the order of marks, in words; "" where nothing is. No segment may be empty."""
    before, last = "the beginning", 0
    for name in row:
        if name in marks:
            if marks[name] <= last:
                return f"'{name}' must come after {before} (frame {last})"
            before, last = f"'{name}'", marks[name]
    return ""
