"""How a demonstration is cut and put together anew: object-centred segments for every gripper, and what ties them.

    arms: red hand  | grasp_1 about cube_red | stack_1 about cube_blue | …    one row of segments per gripper

A segment moves with its object: what the gripper was asked for, seen from the object, is asked for again wherever the
object lies now. Source: Mandlekar et al. 2023 (MimicGen); Jiang et al. 2024 (DexMimicGen) for two arms.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from typing import NamedTuple, Protocol, runtime_checkable

from etude.core.episode import Vector
from etude.core.errors import ConfigError
from etude.core.se3 import Pose


class Target(NamedTuple):
    """What one gripper is asked for: X_world_gripper, (4, 4), and the fingers' command in the action's own units."""

    pose: Pose
    command: float


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One part of a demonstration, as one gripper does it.

    Attributes:
        signal: Sub-task whose first rise ends it; "" for the last one, which ends with the demonstration.
        object: In whose frame it moves; "" replays it as it was.
        turns: Into how many equal turns about its own z axis the object falls on itself: 4 for a cube, 1 for most.
        turned: Whether it turns with its object; else it moves with the object's place alone, as when something is put
            on top of it that may lie there in any turn.
        carried: What the gripper holds in it; "" for nothing. A demonstration that loses it is no source. Where it is
            brought to an object, the path of what is held is repeated, not that of the gripper, for it may lie
            otherwise in the hand than it lay in the source's.
        offsets: Least and largest number of control steps added to its end; one is drawn uniformly for each attempt.
        within_m: It begins where the gripper has come so near to the object; what it did before, in the free, is left
            out, and the way there is straight. Moved with the object, that might lie out of reach.
        settle_steps: Control steps that the gripper holds still, beside those that were shown, where its fingers have
            been told to close or open: on an object that is smaller than the one shown they close later.
    """

    signal: str = ""
    object: str = ""
    turns: int = 1
    turned: bool = True
    carried: str = ""
    offsets: tuple[int, int] = (0, 0)
    within_m: float = inf
    settle_steps: int = 0

    def __post_init__(self) -> None:
        if self.turns < 1:
            raise ConfigError(f"turns = {self.turns} must be at least 1.")
        if self.carried and self.object == self.carried:
            raise ConfigError(f"carried = '{self.carried}': name another `object`, to which it is brought, or none.")
        if self.offsets[0] > self.offsets[1]:
            raise ConfigError(f"offsets = {self.offsets}: write the smaller first.")
        if not self.within_m > 0:
            raise ConfigError(f"within_m = {self.within_m:g} must be positive.")
        if self.settle_steps < 0:
            raise ConfigError(f"settle_steps = {self.settle_steps} must be at least 0.")


@dataclass(frozen=True)
class Part:
    """A segment by the gripper that does it and its place in that gripper's row, from 0."""

    gripper: str
    index: int


class Order(NamedTuple):
    """`after` begins only when `before` has ended."""

    before: Part
    after: Part


@dataclass(frozen=True, kw_only=True)
class SegmentPlan:
    """How all demonstrations of a task are cut.

    Attributes:
        segments: Gripper -> its segments, in order.
        orders: Which segments of one gripper wait for which of another.
        together: Groups of parts of different grippers that run in step: begun together, from one source demonstration,
            moved by one transform (that of the first part's object).
    """

    segments: Mapping[str, tuple[Segment, ...]]
    orders: tuple[Order, ...] = ()
    together: tuple[tuple[Part, ...], ...] = ()

    def __post_init__(self) -> None:
        for gripper, row in self.segments.items():
            if not row or row[-1].signal or any(not segment.signal for segment in row[:-1]):
                raise ConfigError(
                    f"gripper '{gripper}': every segment but the last ends with a signal, the last with none."
                )
        for part in (*(p for order in self.orders for p in order), *(p for group in self.together for p in group)):
            if not 0 <= part.index < len(self.segments.get(part.gripper, ())):
                raise ConfigError(f"there is no segment {part.index} of gripper '{part.gripper}'.")

    @property
    def objects(self) -> tuple[str, ...]:
        """Every object that a segment moves with, or carries, once each."""
        named = (name for row in self.segments.values() for s in row for name in (s.object, s.carried))
        return tuple(dict.fromkeys(name for name in named if name))

    @property
    def turns(self) -> Mapping[str, int]:
        """Object -> into how many turns it falls on itself, as the last segment that moves with it says; else 1."""
        told = {s.object: s.turns for row in self.segments.values() for s in row if s.object}
        return {name: told.get(name, 1) for name in self.objects}


@runtime_checkable
class Segmented(Protocol):
    """A task that says how its demonstrations are cut; without it new ones cannot be made from old ones."""

    @property
    def segments(self) -> SegmentPlan | None:
        """The plan; None where this task has none."""
        ...


@runtime_checkable
class PoseControlled(Protocol):
    """An environment whose actions ask its grippers for poses, or can be had from poses."""

    def asked(self, action: Vector) -> Mapping[str, Target]:
        """What an action, (A,), would ask of every gripper at this moment; changes nothing."""
        ...

    def action_for(self, targets: Mapping[str, Target]) -> Vector:
        """The action, (A,) float32, that asks every gripper for its target from where it is now, cut to its bounds.

        The inverse of `asked` for every action within the bounds.
        """
        ...

    def unreachable(self, gripper: str, target: Pose) -> str | None:
        """Why a gripper cannot be brought to a pose whatever the joints, or None; needs no physics."""
        ...
