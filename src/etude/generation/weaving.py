"""Puts segments of source demonstrations together, step by step, for every gripper by its own clock.

left    | way | segment 0 | way | segment 1 ......... | held, waiting | way | segment 2 |
right   | held, waiting ........ | way | segment 0 | way | segment 1  |
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from etude.core import EtudeError, Part, Segment, SegmentPlan, Target
from etude.core.se3 import Pose, Poses, inverse
from etude.generation.arm import Arm
from etude.generation.config import GenerationConfig
from etude.generation.cutting import draw_offsets, span
from etude.generation.holding import SLIPPED_M
from etude.generation.noise import Bounded, action_bounds, arm_scales
from etude.generation.selecting import select
from etude.generation.settling import rests, settled_frames
from etude.generation.source import SourceDemonstration
from etude.generation.stitching import Travel
from etude.generation.transforming import angle_rad, as_carried, distance_m, same_poses, transform, unturned

_REACH_EVERY = 8  # control steps of a segment between poses that are checked for reach, beside its first and last


class Piece(NamedTuple):
    """A part as an attempt did it: from which source episode, and at which of its control steps it began."""

    part: Part
    source: int
    begin: int


class GivenUpError(EtudeError):
    """An attempt that cannot succeed any more, and why."""


class UnreachableError(GivenUpError):
    """An attempt that asks for a pose out of reach."""


class Weaver:
    """Makes the actions of one attempt.

    Args:
        environment: Where; has been reset.
        plan: How demonstrations are cut.
        sources: What to take segments from.
        rng: Of the attempt.
        config: The choices.
        info: The environment's, of the reset.
        chosen: The source that all segments are taken from; None chooses as the config says.
    """

    def __init__(
        self,
        environment: Bounded,
        plan: SegmentPlan,
        sources: Sequence[SourceDemonstration],
        rng: np.random.Generator,
        config: GenerationConfig,
        info: Mapping[str, Any],
        *,
        chosen: SourceDemonstration | None = None,
    ) -> None:
        self.pieces: list[Piece] = []
        self.source = -1  # the episode that was chosen first, whether or not a part of it could be begun
        self._environment, self._plan, self._sources, self._rng, self._config = environment, plan, sources, rng, config
        self._offsets = draw_offsets(plan, rng)
        self._chosen = chosen
        self._scales = arm_scales(environment) if config.noise else {}
        self._low, self._high = action_bounds(environment)
        self._steps = self._held = 0
        self._travels = {g: Travel.shown([s.motions[g] for s in sources], config.lift_m) for g in plan.segments}
        self._arms = {
            gripper: Arm(gripper, row, Target(info["gripper_poses"][gripper], float(sources[0].commands[gripper][0])))
            for gripper, row in plan.segments.items()
        }

    def action(self, info: Mapping[str, Any]) -> Float32[NDArray[np.float32], " A"] | None:
        """The next action, (A,), or None when there is nothing left to do.

        Args:
            info: The environment's, of this moment.

        Raises:
            GivenUpError: The attempt cannot succeed any more.
        """
        self._begin_what_may(info)
        if all(arm.over for arm in self._arms.values()):
            if self._held == self._config.hold_steps:
                return None
            self._held += 1
        elif all(arm.idle for arm in self._arms.values()):
            raise EtudeError("the task's segments wait for each other for ever: its orders or groups are wrong.")
        self._steps += 1
        action = self._environment.action_for({name: arm.next() for name, arm in self._arms.items()})
        return self._with_noise(action) if self._config.noise else action

    def _with_noise(self, action: NDArray[Any]) -> Float32[NDArray[np.float32], " A"]:
        drawn = self._config.noise * self._rng.standard_normal(len(action))  # the same numbers whoever moves
        scale = sum((self._scales[name] for name, arm in self._arms.items() if arm.noisy), np.zeros(len(action)))
        return np.clip(action + drawn * scale, self._low, self._high).astype(np.float32)

    def _begin_what_may(self, info: Mapping[str, Any]) -> None:
        for arm in self._arms.values():
            if not arm.idle or arm.over:
                continue
            part = Part(arm.gripper, arm.ended)
            group = next((group for group in self._plan.together if part in group), (part,))
            if all(self._may_begin(other) for other in group):
                self._require_hope(group, info)
                self._begin(group, info)

    def _may_begin(self, part: Part) -> bool:
        arm = self._arms[part.gripper]
        waits_for = (order.before for order in self._plan.orders if order.after == part)
        return (
            arm.idle
            and arm.ended == part.index
            and all(self._arms[before.gripper].ended > before.index for before in waits_for)
        )

    def _require_hope(self, group: Sequence[Part], info: Mapping[str, Any]) -> None:
        """A part may end before its signal rises, but the part after it does not end before that."""
        for part in group:
            for segment in self._arms[part.gripper].row[: max(part.index - 1, 0)]:
                if not info["subtasks"][segment.signal]:
                    raise GivenUpError(f"'{segment.signal}' was not reached")

    def _begin(self, group: Sequence[Part], info: Mapping[str, Any]) -> None:
        source = self._source_for(group[0], info)
        if self.source < 0:
            self.source = source.episode
        first = span(source, self._plan, self._offsets, group[0])[0]
        lasts = [span(source, self._plan, self._offsets, part)[1] for part in group]
        rows = [self._asked(source, part, first, last, info) for part, last in zip(group, lasts, strict=True)]
        moved = self._placed(group, rows, source, first, info)
        ways = [self._way(part, to[0], alone=len(group) == 1) for part, to in zip(group, moved, strict=True)]
        longest = max(len(way) for way in ways)
        waits = [t for p, last in zip(group, lasts, strict=True) for t in self._rests(source, p, first, last)]
        settle_steps = max(self._segment(part).settle_steps for part in group)
        for part, way, targets, last in zip(group, ways, moved, lasts, strict=True):
            arm = self._arms[part.gripper]
            wait = np.repeat(arm.last.pose[None], longest - len(way), axis=0)  # a group's segments begin in step
            frames = settled_frames(len(targets), waits, settle_steps)
            commands = source.commands[part.gripper][first:last]
            arm.begin(np.concatenate([wait, way]), targets[frames], commands[frames])
            self.pieces.append(Piece(part, source.episode, self._steps))

    def _rests(self, source: SourceDemonstration, part: Part, first: int, last: int) -> list[int]:
        commands = source.commands[part.gripper]
        return rests(commands[first:last], float(np.ptp(commands))).tolist()

    def _asked(self, source: SourceDemonstration, part: Part, first: int, last: int, info: Mapping[str, Any]) -> Poses:
        """What the source's gripper was asked for, (T, 4, 4), as it would be with what it brings lying as it does."""
        targets, carried = source.targets[part.gripper][first:last], self._segment(part).carried
        if not carried:
            return targets
        there = inverse(source.grippers[part.gripper][first]) @ source.objects[carried][first]
        here = inverse(info["gripper_poses"][part.gripper]) @ info["object_poses"][carried]
        if distance_m(there, here) > SLIPPED_M:
            raise GivenUpError(f"'{carried}' is not in the hand")
        if not self._segment(part).object:  # nothing to bring it to exactly
            return targets
        return as_carried(targets, source=there, now=here, turns=self._plan.turns[carried])

    def _way(self, part: Part, end: Pose, *, alone: bool) -> Poses:
        """From what the gripper was asked for last to before the first target of its next segment, (steps, 4, 4)."""
        last = self._arms[part.gripper].last.pose
        return self._travels[part.gripper].way(last, end, rises=alone)[:-1]  # held together, not lifted apart

    def _placed(
        self,
        group: Sequence[Part],
        rows: Sequence[Poses],
        source: SourceDemonstration,
        first: int,
        info: Mapping[str, Any],
    ) -> Sequence[Poses]:
        """The group's targets where they belong now; of the turns that look alike the least for the hands, in reach."""
        segment = self._segment(group[0])
        if not segment.object:
            return rows
        there, here = source.objects[segment.object][first], info["object_poses"][segment.object]
        if segment.turned:
            places = [(there, same) for same in same_poses(here, segment.turns)]
        else:
            places = [(unturned(there), unturned(here))]
        placed = [[transform(r, source=then, now=now) for r in rows] for then, now in places]
        hands = [self._arms[part.gripper].last.pose for part in group]
        placed.sort(key=lambda moved: sum(angle_rad(h, m[0]) for h, m in zip(hands, moved, strict=True)))
        reasons: list[str] = []
        for moved in placed:
            why = self._out_of_reach(group, moved)
            if why is None:
                return moved
            reasons.append(why)
        raise UnreachableError(f"'{segment.signal or 'the end'}': {reasons[0]}")

    def _out_of_reach(self, group: Sequence[Part], moved: Sequence[Poses]) -> str | None:
        for part, targets in zip(group, moved, strict=True):
            for target in (*targets[::_REACH_EVERY], targets[-1]):
                if why := self._environment.unreachable(part.gripper, target):
                    return why
        return None

    def _source_for(self, part: Part, info: Mapping[str, Any]) -> SourceDemonstration:
        if self._chosen is not None:
            return self._chosen
        if self._config.per_subtask:
            return self._selected(part, info)
        about = [Part(part.gripper, i) for i, s in enumerate(self._arms[part.gripper].row) if s.object]
        self._chosen = self._selected(about[0] if about else part, info)
        return self._chosen

    def _selected(self, part: Part, info: Mapping[str, Any]) -> SourceDemonstration:
        starts = [span(source, self._plan, self._offsets, part)[0] for source in self._sources]
        pairs = list(zip(self._sources, starts, strict=True))
        return select(self._config.select, pairs, part.gripper, self._segment(part), info, self._rng)

    def _segment(self, part: Part) -> Segment:
        return self._arms[part.gripper].row[part.index]
