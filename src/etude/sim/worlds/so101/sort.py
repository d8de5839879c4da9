"""`so101-sort`: an SO-101 puts a cube on pad B1, or on pad B2 when something already stands on B1.

The small region that needs different behaviour is the occupied pad. Within it is a smaller one that needs different
features: an occupant of the cube's own colour, which is seldom seen.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from functools import partial
from math import atan2

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import (
    Perturbation,
    PerturbationSpace,
    Segment,
    SegmentPlan,
    Target,
    Vector,
    stream,
)
from etude.core.se3 import Pose, exp_rotation, pose
from etude.sim.robots.so101 import PAN_AXIS_M, SO101_FEATURES, from_lerobot, lerobot_limits, to_lerobot
from etude.sim.task import SimTask
from etude.sim.variations import Perturber
from etude.sim.world import TaskSheet
from etude.sim.worlds.so101 import scene
from etude.sim.worlds.so101.kinematics import opening_at
from etude.sim.worlds.so101.poses import pose_at, positions_at, why_unreachable
from etude.sim.worlds.so101.sort_expert import SortingExpert
from etude.sim.worlds.so101.sort_stages import FAILURE_MODES, SUBTASKS, Moment, SortMonitor

_LOW, _HIGH = lerobot_limits()
_MAX_STEPS = 200  # about three times what the expert takes
_JITTER_DEG = 1.0  # standard deviation of the joints at the start
_SETTLE_SUBSTEPS = 20
_JAWS_STEPS = 8  # that the jaws need longer for the smallest cube than for the usual one, with some to spare
_ARM = slice(0, len(SO101_FEATURES))


GRIPPER = "gripper"
"""The only one's name."""
GOAL = "goal"
"""The pad where the cube belongs in this episode, as an object: its frame's x axis points away from the arm's base, so
that what was shown for one pad is, for the other, turned about the base, where the arm reaches as well."""
SEGMENTS = SegmentPlan(
    segments={
        GRIPPER: (
            Segment(signal="grasp", object="cube", turns=4, offsets=(0, 2), settle_steps=_JAWS_STEPS),
            Segment(object=GOAL),
        )
    }
)


@dataclass(frozen=True, kw_only=True)
class SO101Sort(SimTask):
    """The task.

    Attributes:
        distractors: The most that can stand around.
    """

    distractors: int = 2

    def describe(self) -> TaskSheet:
        """Describe the task."""
        return TaskSheet(
            name="so101-sort",
            text="Put the red cube on the blue pad; if something stands there, put it on the white pad.",
            fps=scene.FPS,
            max_steps=_MAX_STEPS,
            cameras=scene.CAMERAS,
            state_names=SO101_FEATURES,
            action_names=SO101_FEATURES,
            action_low=_LOW,
            action_high=_HIGH,
            subtasks=SUBTASKS,
            failure_modes=FAILURE_MODES,
            space=sort_space(self.distractors),
            segments=SEGMENTS,
        )

    def world(self) -> "SortWorld":
        """Build its physics."""
        return SortWorld(self.distractors)

    def expert(self) -> SortingExpert:
        """Make the scripted expert, without noise."""
        return SortingExpert(distractors=self.distractors)


def sort_space(distractors: int) -> PerturbationSpace:
    """Everything that can be varied about the world with at most so many distractors."""
    varied = [factor for variation in scene.variations(distractors) for factor in variation.factors]
    name = "so101-sort" + (f"-distractors-{distractors}" if distractors else "")
    return PerturbationSpace(name, (*scene.cube_factors(), *varied), partial(_conflict, distractors=distractors))


def _conflict(theta: Perturbation, *, distractors: int) -> str | None:
    return scene.distractors(distractors).conflict(theta, scene.things(theta))


class SortWorld:
    """The physics: a World."""

    def __init__(self, distractors: int) -> None:
        self.model = copy(scene.compiled(distractors))
        self.data = mujoco.MjData(self.model)
        self._distractors = scene.distractors(distractors)
        self._perturber = Perturber(self.model, scene.variations(distractors))
        self._cube, self._hand = int(self.model.body("cube").id), int(self.model.site("gripper").id)
        self._edge = scene.CUBE_EDGE_M
        self._pads = np.array(list(scene.PADS.values()), np.float32)
        self._occupied = False
        self._monitor = self._new_monitor()

    def reset(self, theta: Perturbation, seed: int) -> None:
        """Become the world of (θ, seed)."""
        drawn = float(stream(seed, "occupied").integers(2))
        theta = Perturbation({"b1.occupied": drawn, **theta.values})
        layout, theta = self._distractors.lay_out(scene.things(theta), theta, seed)
        self._perturber.apply(theta)
        self._edge = scene.CUBE_EDGE_M * theta.get("cube.scale", 1.0)
        self._pads[:] = [scene.pad_place(name, theta) for name in scene.PADS]
        self._occupied = scene.is_occupied(theta)
        mujoco.mj_resetData(self.model, self.data)
        jitter = _JITTER_DEG * stream(seed, "joints").standard_normal(len(SO101_FEATURES))
        self.data.qpos[_ARM] = self.data.ctrl[:] = from_lerobot(np.array(scene.HOME_DEG) + jitter)
        self.data.joint("cube").qpos = layout["cube"].free_joint(self._edge / 2)
        mujoco.mj_step(self.model, self.data, nstep=_SETTLE_SUBSTEPS)
        self._monitor = self._new_monitor()
        self._look()

    def step(self, action: Float64[NDArray[np.float64], "6"]) -> None:
        """Advance one control period (1/30 s) with the servos' goals in LeRobot's units."""
        self.data.ctrl[:] = from_lerobot(action)
        mujoco.mj_step(self.model, self.data, nstep=scene.SUBSTEPS)
        self._look()

    def proprioception(self) -> Vector:
        """Joint positions in LeRobot's units."""
        return to_lerobot(self.data.qpos[_ARM]).astype(np.float32)

    def object_state(self) -> Vector:
        """Cube: position, wxyz quaternion, edge; centres of B1 and B2; whether B1 is occupied; distractors."""
        cube, quat = self.data.xpos[self._cube], self.data.xquat[self._cube]
        others = self._distractors.state(self.model)
        return np.concatenate(
            [cube, quat, [self._edge], self._pads.ravel(), [self._occupied], others], dtype=np.float32
        )

    def object_poses(self) -> Mapping[str, Pose]:
        """Of the cube, and of the pad where it belongs."""
        cube = pose(self.data.xpos[self._cube], self.data.xmat[self._cube].reshape(3, 3))
        return {"cube": cube, GOAL: self._goal()}

    def gripper_poses(self) -> Mapping[str, Pose]:
        """Of the grasp point on the fixed jaw."""
        return {GRIPPER: pose(self.data.site_xpos[self._hand], self.data.site_xmat[self._hand].reshape(3, 3))}

    def asked(self, action: Vector) -> Mapping[str, Target]:
        """See core's PoseControlled, which this world is."""
        return {GRIPPER: Target(pose_at(numbers := action.tolist()), numbers[5])}

    def action_for(self, targets: Mapping[str, Target]) -> Vector:
        """See PoseControlled; the arm stays where nothing brings it to the target."""
        target, present = targets[GRIPPER], to_lerobot(self.data.qpos[_ARM])
        found = positions_at(target.pose, present.tolist())
        arm = present[:5] if found is None else found[0]
        return np.array([*arm, target.command], np.float32)

    def unreachable(self, gripper: str, target: Pose) -> str | None:
        """See PoseControlled."""
        del gripper  # the only one
        return why_unreachable(target)

    @property
    def monitor(self) -> SortMonitor:
        """Judges the present episode."""
        return self._monitor

    def _goal(self) -> Pose:
        x, y = self._pads[int(self._occupied)].tolist()
        azimuth = atan2(y, x - PAN_AXIS_M)
        return pose(np.array([x, y, 0.0]), exp_rotation(np.array([0.0, 0.0, azimuth])))

    def _new_monitor(self) -> SortMonitor:
        b1, b2 = self._pads.tolist()
        return SortMonitor(right=b2 if self._occupied else b1, wrong=b1 if self._occupied else b2, edge=self._edge)

    def _look(self) -> None:
        """Bring positions up to date with the joints (a physics step leaves them one substep behind), and judge."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        percent = float(to_lerobot(self.data.qpos[_ARM])[-1])
        self._monitor.judge(
            Moment(
                cube=self.data.xpos[self._cube].tolist(),
                hand=self.data.site_xpos[self._hand].tolist(),
                opening=opening_at(percent),
            )
        )
