"""`aloha-transfer-cube`: the right arm picks up a cube and hands it to the left one, as in ACT and gym-aloha.

Nominal are the published start range and a straight cube. The small region that needs different behaviour: something
stands so close to the cube that the usual grasp (the hand slanting, its fingers left and right of the cube) has no
room; the hand then comes from straight above, or turned by a quarter, or both.
"""

from dataclasses import dataclass
from functools import cache, partial

import mujoco

from etude.core import Part, Perturbation, PerturbationSpace, Segment, SegmentPlan
from etude.sim.robots.viperx import prefixed
from etude.sim.stages import StageTracker
from etude.sim.task import SimTask
from etude.sim.variations import layout_factors
from etude.sim.world import TaskSheet
from etude.sim.worlds.aloha.control import action_bounds, action_names, check_control, state_names
from etude.sim.worlds.aloha.cube import (
    CUBE_TURNS,
    CubeWorld,
    cube_conflict,
    cube_spec,
    cube_variations,
    nearness,
)
from etude.sim.worlds.aloha.scene import FPS, camera_names
from etude.sim.worlds.aloha.scripting import ScriptedArms
from etude.sim.worlds.aloha.transfer_expert import RIGHT_BASE_M, decide

X_RANGE_M, Y_RANGE_M, YAW_RANGE_RAD = (-0.05, 0.25), (0.3, 0.7), (-0.75, 0.75)
SUBTASKS = ("touch", "lift", "hand_over", "transfer")
"""gym-aloha's rewards 1 to 4: the right hand touches the cube; lifts it; the left hand touches it; and in the air.
There the last is success; here, besides, the right hand has to let go."""
FAILURE_MODES = ("no_reach", "missed_grasp", "dropped", "no_handover", "held_by_both", "timeout")
"""The right hand never touched the cube; never lifted it; lost it, or the left one did; held it to the end; both did;
the left hand had it, not for long enough."""

_HOLD_STEPS = 10  # 0.2 s
_LIFT_M = 0.05

SEGMENTS = SegmentPlan(
    segments={
        "right_gripper": (
            Segment(signal="lift", object="cube", turns=CUBE_TURNS, offsets=(4, 8), within_m=0.15),
            Segment(carried="cube"),
        ),
        "left_gripper": (Segment(signal="lift"), Segment()),
    },
    together=((Part("right_gripper", 1), Part("left_gripper", 1)),),
)
"""The right hand takes the cube where it lies, the left one waits; both hand over where they always do, in step."""


@dataclass(frozen=True, kw_only=True)
class AlohaTransferCube(SimTask):
    """The task.

    Attributes:
        distractors: The most that can stand around.
        control: `joints` as in ACT, or `ee` for poses of the grippers.
    """

    distractors: int = 2
    control: str = "joints"

    def __post_init__(self) -> None:
        check_control(self.control)
        super().__post_init__()

    def describe(self) -> TaskSheet:
        """Describe the task."""
        low, high = action_bounds(self.control)
        return TaskSheet(
            name="aloha-transfer-cube",
            text="Pick up the cube with the right arm and transfer it to the left arm.",
            fps=FPS,
            max_steps=400,
            cameras=camera_names(),
            state_names=state_names(),
            action_names=action_names(self.control),
            action_low=low,
            action_high=high,
            subtasks=SUBTASKS,
            failure_modes=FAILURE_MODES,
            space=transfer_space(self.distractors),
            segments=SEGMENTS,
        )

    def world(self) -> "TransferWorld":
        """Build its physics."""
        return TransferWorld(_compiled(self.distractors), distractors=self.distractors, control=self.control)

    def expert(self) -> ScriptedArms:
        """Make the scripted expert."""
        return ScriptedArms(decide, objects=1, sizes=1, distractors=self.distractors, control=self.control)


def transfer_space(distractors: int) -> PerturbationSpace:
    """Everything that can be varied."""
    layout = layout_factors("cube", X_RANGE_M, Y_RANGE_M, YAW_RANGE_RAD)
    varied = [factor for variation in cube_variations(distractors) for factor in variation.factors]
    name = "aloha-transfer-cube" + (f"-distractors-{distractors}" if distractors else "")
    return PerturbationSpace(name, (*layout, *varied), partial(_conflict, distractors=distractors))


def _conflict(theta: Perturbation, *, distractors: int) -> str | None:
    return cube_conflict(theta, distractors, RIGHT_BASE_M)


@cache
def _compiled(distractors: int) -> mujoco.MjModel:
    return cube_spec(distractors).compile()


class TransferWorld(CubeWorld):
    """The physics: a World."""

    def begin(self, theta: Perturbation) -> StageTracker:
        """Start to judge an episode."""
        # gym-aloha looks at one finger of each hand.
        self._left_tip = frozenset({int(self.model.geom(prefixed("left", "10_left_gripper_finger")).id)})
        self._right_tip = frozenset({int(self.model.geom(prefixed("right", "10_right_gripper_finger")).id)})
        self._stages = StageTracker(SUBTASKS, _HOLD_STEPS)
        return self._stages

    def judge(self) -> None:
        """Judge the present moment."""
        reached, let_go = self.reward(), not self.is_touched_by("right")
        if reached > 2 and not self._stages.subtasks["lift"]:  # nothing was handed over
            reached = self._of_right()
        self._stages.update(
            reached=reached,
            share=self._share(reached),
            goal=reached == 4 and let_go,
            failure_mode=self._failure(reached, let_go),
        )

    def reward(self) -> int:
        """gym-aloha's reward at this moment, 0 to 4."""
        if self.touch(self._cube, self._left_tip):
            return 4 if self.is_lifted() else 3
        return self._of_right()

    def _of_right(self) -> int:
        if not self.touch(self._cube, self._right_tip):
            return 0
        return 2 if self.is_lifted() else 1

    def _share(self, reached: int) -> float:
        """Of the way to the next sub-task."""
        match reached:
            case 0:
                return 0.9 * nearness(self.distance_to_cube_m("right"))
            case 1:
                return min(self.cube_height_m() / _LIFT_M, 0.9)
            case 2 | 3:
                return 0.9 * nearness(self.distance_to_cube_m("left"))
            case _:
                return 0.0

    def _failure(self, reached: int, let_go: bool) -> str:
        so_far = self._stages.subtasks
        if not (so_far["touch"] or reached):
            return "no_reach"
        if not (so_far["lift"] or reached >= 2):
            return "missed_grasp"
        match reached:
            case 2:
                return "no_handover"
            case 4:
                return "timeout" if let_go else "held_by_both"
            case _:
                return "dropped"
