"""`aloha-one-arm`: the scene of the transfer with one arm removed; it moves the cube to a marked place.

A task derived from another: what changes is the scene (an arm less, a mark more), the stages and the expert. The small
region that needs different behaviour is the transfer's: something beside the cube that blocks the usual grasp.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from math import hypot

import mujoco
import numpy as np

from etude.core import Perturbation, PerturbationSpace, Segment, SegmentPlan
from etude.core.se3 import pose
from etude.sim.layout import Thing
from etude.sim.robots.viperx import Side
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
    cube_thing,
    cube_variations,
    nearness,
)
from etude.sim.worlds.aloha.grasping import carry, cube_at, holds, let_go, pick
from etude.sim.worlds.aloha.scene import FPS, camera_names
from etude.sim.worlds.aloha.scripting import Goal, Look, ScriptedArms, hand_rotation
from etude.sim.worlds.aloha.transfer_expert import RIGHT_BASE_M

ARMS: tuple[Side, ...] = ("right",)
PLACE_M = (0.15, 0.3)
"""Where the cube shall go, x and y."""
X_RANGE_M, Y_RANGE_M, YAW_RANGE_RAD = (-0.05, 0.25), (0.36, 0.64), (-0.75, 0.75)
SUBTASKS = ("touch", "lift", "place")
FAILURE_MODES = ("no_reach", "missed_grasp", "dropped", "misplaced", "timeout")
"""Never touched the cube; never lifted it; let it fall; put it down beside its place; time was up."""

# Nothing may stand on the place, nor so near that the hand cannot get there.
_PLACE = Thing("place", (0.06, 0.06), (PLACE_M[0], PLACE_M[0]), (PLACE_M[1], PLACE_M[1]))
_MARK_HALF_M, _MARK_RGB = 0.03, (0.9, 0.9, 0.9)
_ON_IT_M, _NEARLY_M = 0.02, 0.08  # from the place
_LIFT_M = 0.05
_HOLD_STEPS = 10  # 0.2 s
_RESTS = pose(np.array([0.18, 0.5, 0.32]), hand_rotation(np.pi, 0.3))
_CARRY_HEIGHT_M, _SLOPE, _AIM_M = 0.1, 6.0, 0.005  # the cube comes down through a funnel over its place


SEGMENTS = SegmentPlan(
    segments={
        "right_gripper": (
            Segment(signal="lift", object="cube", turns=CUBE_TURNS, offsets=(4, 8), within_m=0.15),
            Segment(carried="cube"),
        )
    }
)
"""The cube is taken where it lies, and brought to the place, which never moves."""


@dataclass(frozen=True, kw_only=True)
class AlohaOneArm(SimTask):
    """The task.

    Attributes:
        distractors: The most that can stand around.
        control: `joints` as in ACT, or `ee` for the pose of the gripper.
    """

    distractors: int = 2
    control: str = "joints"

    def __post_init__(self) -> None:
        check_control(self.control)
        super().__post_init__()

    def describe(self) -> TaskSheet:
        """Describe the task."""
        low, high = action_bounds(self.control, ARMS)
        return TaskSheet(
            name="aloha-one-arm",
            text="Put the cube on the marked place.",
            fps=FPS,
            max_steps=400,
            cameras=camera_names(ARMS),
            state_names=state_names(ARMS),
            action_names=action_names(self.control, ARMS),
            action_low=low,
            action_high=high,
            subtasks=SUBTASKS,
            failure_modes=FAILURE_MODES,
            space=one_arm_space(self.distractors),
            segments=SEGMENTS,
        )

    def world(self) -> "OneArmWorld":
        """Build its physics."""
        return OneArmWorld(_compiled(self.distractors), distractors=self.distractors, control=self.control, sides=ARMS)

    def expert(self) -> ScriptedArms:
        """Make the scripted expert."""
        return ScriptedArms(decide, objects=1, sizes=1, distractors=self.distractors, control=self.control, sides=ARMS)


def one_arm_space(distractors: int) -> PerturbationSpace:
    """Everything that can be varied."""
    layout = layout_factors("cube", X_RANGE_M, Y_RANGE_M, YAW_RANGE_RAD)
    varied = [factor for variation in cube_variations(distractors, ARMS) for factor in variation.factors]
    name = "aloha-one-arm" + (f"-distractors-{distractors}" if distractors else "")
    return PerturbationSpace(name, (*layout, *varied), partial(_conflict, distractors=distractors))


def _conflict(theta: Perturbation, *, distractors: int) -> str | None:
    x, y = PLACE_M
    known = Perturbation({**theta.values, "place.x_m": x, "place.y_m": y})
    return cube_conflict(known, distractors, RIGHT_BASE_M, keep_free=[_PLACE])


@cache
def _compiled(distractors: int) -> mujoco.MjModel:
    spec = cube_spec(distractors, ARMS)
    spec.worldbody.add_geom(
        name="place", type=mujoco.mjtGeom.mjGEOM_BOX, pos=(*PLACE_M, 0.0), size=(_MARK_HALF_M, _MARK_HALF_M, 0.0005),
        rgba=(*_MARK_RGB, 1.0), contype=0, conaffinity=0,
    )  # fmt: skip
    return spec.compile()


class OneArmWorld(CubeWorld):
    """The physics: a World. The stages: touched, lifted, standing on the place with nobody holding it."""

    def things(self, theta: Perturbation) -> Sequence[Thing]:
        """The cube, and the place."""
        return [cube_thing(theta), _PLACE]

    def begin(self, theta: Perturbation) -> StageTracker:
        """Start to judge an episode."""
        self._stages = StageTracker(SUBTASKS, _HOLD_STEPS)
        return self._stages

    def judge(self) -> None:
        """Judge the present moment."""
        held, lifted = self.is_touched_by("right"), self.is_lifted()
        so_far = self._stages.subtasks
        beside = float(np.linalg.norm(self.position_m("cube")[:2] - PLACE_M))
        placed = so_far["lift"] and beside < _ON_IT_M and not lifted and not held
        reached = 3 if placed else (2 if lifted else 1) if held else 0
        shares = (nearness(self.distance_to_cube_m("right")), self.cube_height_m() / _LIFT_M, nearness(beside), 0.0)
        failure_mode = _failure(so_far, held, lifted, beside)
        self._stages.update(reached=reached, share=min(shares[reached], 0.9), goal=placed, failure_mode=failure_mode)


def _failure(so_far: Mapping[str, bool], held: bool, lifted: bool, beside: float) -> str:
    if not (so_far["touch"] or held):
        return "no_reach"
    if not so_far["lift"]:
        return "missed_grasp"
    if held or lifted or beside < _ON_IT_M:
        return "timeout"
    return "misplaced" if beside < _NEARLY_M else "dropped"


def decide(look: Look) -> Mapping[Side, Goal]:
    """Choose where the hand goes: take the cube, bring it to its place, let go of it there.

    It keeps no phase and decides anew at every step, from what there is to see.
    """
    hand, cube, edge = look.hands["right"], look.objects[0], look.sizes[0]
    x, y, z = cube[:3, 3].tolist()
    beside = hypot(x - PLACE_M[0], y - PLACE_M[1])
    if beside < _ON_IT_M / 2 and z < edge / 2 + 0.003:
        return {"right": let_go(hand, cube, edge, _RESTS)}
    if holds(hand, cube, edge):
        height = edge / 2 + min(max(_SLOPE * (beside - _AIM_M), 0.0), _CARRY_HEIGHT_M)
        heading = float(np.arctan2(PLACE_M[1] - RIGHT_BASE_M[1], PLACE_M[0] - RIGHT_BASE_M[0]))
        return {"right": carry(hand, cube, np.array([*PLACE_M, height]), heading)}
    return {"right": pick(hand, cube_at(cube, edge), look.obstacles, RIGHT_BASE_M)}
