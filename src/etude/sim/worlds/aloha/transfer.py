"""`aloha-transfer-cube`: the right arm picks up a cube and hands it to the left one, as in ACT and gym-aloha.

Nominal are the published start range and a straight cube. The small region that needs different behaviour: something
stands so close to the cube that the usual grasp (the hand slanting, its fingers left and right of the cube) has no
room; the hand then comes from straight above, or turned by a quarter, or both.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache, partial
from math import exp

import mujoco
import numpy as np

from etude.core import Perturbation, PerturbationSpace
from etude.sim.distractors import Distractors
from etude.sim.layout import Thing
from etude.sim.robots.viperx import Side, prefixed
from etude.sim.stages import StageTracker
from etude.sim.task import SimTask, TaskSheet
from etude.sim.variations import Colour, Friction, Scale, Variation, layout_factors
from etude.sim.worlds.aloha import control as arms
from etude.sim.worlds.aloha.scene import (
    FPS,
    add_box,
    add_distractors,
    add_object,
    aloha_spec,
    camera_names,
    scene_variations,
)
from etude.sim.worlds.aloha.scripting import ScriptedArms
from etude.sim.worlds.aloha.transfer_expert import decide
from etude.sim.worlds.aloha.world import AlohaWorld

CUBE_EDGE_M = 0.04
CUBE_RGB = (1.0, 0.0, 0.0)
NOMINAL_X_M, NOMINAL_Y_M = (0.0, 0.2), (0.4, 0.6)
"""Where gym-aloha puts the cube."""
X_RANGE_M, Y_RANGE_M, YAW_RANGE_RAD = (-0.05, 0.25), (0.3, 0.7), (-0.75, 0.75)
SUBTASKS = ("touch", "lift", "hand_over", "transfer")
"""gym-aloha's rewards 1 to 4: the right hand touches the cube; lifts it; the left hand touches it; and in the air.
There the last is success; here, besides, the right hand has to let go."""
FAILURE_MODES = ("no_reach", "missed_grasp", "dropped", "no_handover", "held_by_both", "timeout")
"""The right hand never touched the cube; never lifted it; lost it; held it to the end; both did; time was up."""

_HOLD_STEPS = 10  # 0.2 s
_FAR_M = 0.1  # length scale of distances in the progress
_LIFT_M = 0.05


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
        arms.check_control(self.control)
        super().__post_init__()

    def describe(self) -> TaskSheet:
        """Describe the task."""
        low, high = arms.action_bounds(self.control)
        return TaskSheet(
            name="aloha-transfer-cube",
            text="Pick up the cube with the right arm and transfer it to the left arm.",
            fps=FPS,
            max_steps=400,
            cameras=camera_names(),
            state_names=arms.state_names(),
            action_names=arms.action_names(self.control),
            action_low=low,
            action_high=high,
            subtasks=SUBTASKS,
            failure_modes=FAILURE_MODES,
            space=cube_space("aloha-transfer-cube", variations(self.distractors), self.distractors),
        )

    def world(self) -> "TransferWorld":
        """Build its physics."""
        return TransferWorld(self.distractors, self.control)

    def expert(self) -> ScriptedArms:
        """Make the scripted expert."""
        return ScriptedArms(decide, objects=1, sizes=1, distractors=self.distractors, control=self.control)


def cube_space(name: str, varied: Sequence[Variation], distractors: int) -> PerturbationSpace:
    """A space of places for the cube and of variations."""
    layout = layout_factors("cube", X_RANGE_M, Y_RANGE_M, YAW_RANGE_RAD)
    factors = [factor for variation in varied for factor in variation.factors]
    name += f"-distractors-{distractors}" if distractors else ""
    return PerturbationSpace(name, (*layout, *factors), partial(_conflict, distractors=distractors))


def distractors_of(count: int) -> Distractors:
    """What may stand around the cube."""
    return Distractors(count=count, x_m=(-0.15, 0.3), y_m=(0.25, 0.75), rgb=CUBE_RGB)


def variations(distractors: int) -> tuple[Variation, ...]:
    """Everything but the cube's place."""
    return (*scene_variations(), *cube_variations(), distractors_of(distractors))


def cube_variations() -> tuple[Variation, ...]:
    """What varies about the cube itself."""
    return (
        Colour(thing="cube", hue=(-0.6, 0.6), brightness=(0.5, 1.0)),
        Scale(thing="cube", bodies=("cube",), range=(0.85, 1.15), description="its edge over the nominal 4 cm"),
        Friction(thing="cube", geoms=("cube",), range=(0.5, 1.0, 1.5), description="of the cube on the fingers"),
    )


def cube_edge_m(theta: Perturbation) -> float:
    """The cube's edge."""
    return CUBE_EDGE_M * theta.get("cube.scale", 1.0)


def cube_thing(theta: Perturbation) -> Thing:
    """The cube on the table, where gym-aloha draws it."""
    half = cube_edge_m(theta) / 2
    return Thing("cube", (half, half), NOMINAL_X_M, NOMINAL_Y_M)


def _conflict(theta: Perturbation, *, distractors: int) -> str | None:
    return distractors_of(distractors).conflict(theta, [cube_thing(theta)])


def add_cube(spec: mujoco.MjSpec) -> None:
    """Add gym-aloha's red box."""
    half = CUBE_EDGE_M / 2
    add_box(add_object(spec, "cube"), "cube", (half, half, half), CUBE_RGB)


@cache
def _compiled(distractors: int) -> mujoco.MjModel:
    spec = aloha_spec()
    add_cube(spec)
    add_distractors(spec, distractors_of(distractors))
    return spec.compile()


class CubeWorld(AlohaWorld):
    """A World of arms and one cube on the table; a subclass judges it.

    Attributes:
        edge_m: Of the cube, in this episode.
        stages: Follows this episode.
    """

    edge_m: float = CUBE_EDGE_M
    stages: StageTracker

    def things(self, theta: Perturbation) -> Sequence[Thing]:
        """The cube."""
        return [cube_thing(theta)]

    def height_m(self, name: str, theta: Perturbation) -> float:
        """Half the cube's edge."""
        return cube_edge_m(theta) / 2

    def sizes(self) -> Sequence[float]:
        """The cube's edge."""
        return [self.edge_m]

    def distance_m(self, side: Side) -> float:
        """From an arm's grasp point to the cube's centre."""
        return float(np.linalg.norm(self.arms.gripper_pose(side)[:3, 3] - self.position_m("cube")))


class TransferWorld(CubeWorld):
    """The physics: a World."""

    def __init__(self, distractors: int, control: str) -> None:
        model = copy(_compiled(distractors))
        self._cube = frozenset({int(model.geom("cube").id)})
        # The package looks at one finger of each hand.
        self._left_tip = frozenset({int(model.geom(prefixed("left", "10_left_gripper_finger")).id)})
        self._right_tip = frozenset({int(model.geom(prefixed("right", "10_right_gripper_finger")).id)})
        super().__init__(
            model,
            objects=("cube",),
            variations=variations(distractors),
            distractors=distractors_of(distractors),
            control=control,
        )

    def begin(self, theta: Perturbation) -> StageTracker:
        """Start to judge an episode."""
        self.edge_m, self._lifted, self._touched = cube_edge_m(theta), False, False
        self.stages = StageTracker(SUBTASKS, _HOLD_STEPS)
        return self.stages

    def judge(self) -> None:
        """Judge the present moment."""
        stage = self.reward()
        self._touched |= stage in (1, 2)
        self._lifted |= stage == 2
        if not self._lifted:  # what the left hand does before does not count
            stage = min(stage, 1)
        let_go = not self.touch(self._cube, self.fingers_of("right"))
        self.stages.update(
            reached=stage,
            share=self._share(stage),
            goal=stage == 4 and let_go,
            failure_mode=self._failure(stage, let_go),
        )

    def reward(self) -> int:
        """gym-aloha's reward at this moment, 0 to 4."""
        left = self.touch(self._cube, self._left_tip)
        right = self.touch(self._cube, self._right_tip)
        lifted = not self.touch(self._cube, self.table)
        if left:
            return 4 if lifted else 3
        return (2 if lifted else 1) if right else 0

    def _share(self, stage: int) -> float:
        """Of the way to the next stage."""
        match stage:
            case 0:
                return _nearness(self.distance_m("right"))
            case 1:
                return min(max((float(self.position_m("cube")[2]) - self.edge_m / 2) / _LIFT_M, 0.0), 0.9)
            case 2 | 3:
                return 0.9 * _nearness(self.distance_m("left"))
            case _:
                return 0.0

    def _failure(self, stage: int, let_go: bool) -> str:
        if not self._touched:
            return "no_reach"
        if not self._lifted:
            return "missed_grasp"
        match stage:
            case 2:
                return "no_handover"
            case 4:
                return "timeout" if let_go else "held_by_both"
            case _:
                return "dropped"


def _nearness(distance_m: float) -> float:
    return exp(-distance_m / _FAR_M)
