"""What a world is: a sheet that describes it, the physics of one environment, and a monitor that judges an episode."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import mujoco
import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from etude.core import Perturbation, PerturbationSpace, SegmentPlan, Vector
from etude.core.se3 import Pose, Poses


@dataclass(frozen=True, kw_only=True)
class TaskSheet:
    """What a task is, as values; see core's Task for most of them.

    Attributes:
        name: As registered, without settings.
        text: The task in words.
        fps: Control steps a second.
        max_steps: Control steps of an episode, unless a setting says otherwise.
        cameras: All there are.
        state_names: Names of proprioception's numbers, with their units.
        action_names: Names of an action's numbers.
        action_low: Smallest action; empty for −1 everywhere.
        action_high: Largest action; empty for 1 everywhere.
        subtasks: In order.
        failure_modes: Ways to fail.
        space: Everything that can be varied.
        segments: How demonstrations are cut; None where new ones cannot be made from old ones.
    """

    name: str
    text: str
    fps: int
    max_steps: int
    cameras: tuple[str, ...]
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()
    subtasks: tuple[str, ...]
    failure_modes: tuple[str, ...]
    space: PerturbationSpace
    segments: SegmentPlan | None = None

    @property
    def action_bounds(self) -> tuple[Float64[NDArray[np.float64], " A"], Float64[NDArray[np.float64], " A"]]:
        """Smallest and largest action, (A,) each."""
        size = len(self.action_names)
        return np.array(self.action_low or (-1.0,) * size), np.array(self.action_high or (1.0,) * size)


class Monitor(Protocol):
    """Follows one episode and judges it."""

    @property
    def subtasks(self) -> Mapping[str, bool]:
        """Sub-task -> whether it was ever reached."""
        ...

    @property
    def stage(self) -> str:
        """The last sub-task, in order, that was ever reached; "" before the first."""
        ...

    @property
    def progress(self) -> float:
        """The furthest the episode has come, in [0, 1]; 1 exactly with success."""
        ...

    @property
    def success(self) -> bool:
        """Whether the goal is reached now."""
        ...

    @property
    def failure_mode(self) -> str:
        """How it fails if the episode ends now; "" with success."""
        ...


class World(Protocol):
    """The physics of one environment: made once, reset many times.

    One whose grippers can be asked for poses is a core PoseControlled, too.

    Attributes:
        model: Changed by every reset, always starting from its nominal fields.
        data: Its state, kinematics up to date with the joints.
    """

    model: mujoco.MjModel
    data: mujoco.MjData

    def reset(self, theta: Perturbation, seed: int) -> None:
        """Become the world that (θ, seed) fixes; θ has been checked."""
        ...

    def step(self, action: Float64[NDArray[np.float64], " A"]) -> None:
        """Advance one control period with an action that has been checked and clipped, and judge the new moment."""
        ...

    def proprioception(self) -> Vector:
        """What the robot knows of itself, (S,) float32."""
        ...

    def object_state(self) -> Vector:
        """What an expert sees of the objects, (E,) float32; before the first reset only its size means something."""
        ...

    def object_poses(self) -> Mapping[str, Pose]:
        """Object -> X_world_object."""
        ...

    @property
    def monitor(self) -> Monitor:
        """Judges the present episode."""
        ...


@runtime_checkable
class HasGrippers(Protocol):
    """A world that tells where its grippers are, as all of Etude's own do."""

    def gripper_poses(self) -> Mapping[str, Pose]:
        """Gripper -> X_world_gripper."""
        ...


@runtime_checkable
class JudgesPoses(Protocol):
    """A world whose sub-tasks can be told from poses alone, so also of episodes that were recorded elsewhere."""

    def judged(
        self,
        objects: Mapping[str, Poses],
        grippers: Mapping[str, Poses],
        opening_m: Float64[NDArray[np.float64], " T"],
    ) -> Mapping[str, Bool[NDArray[np.bool_], " T"]]:
        """Sub-task -> whether it was ever reached by each moment; the world itself does not change.

        Args:
            objects: Object -> X_world_object.
            grippers: Gripper -> X_world_gripper.
            opening_m: Between the fingers.
        """
        ...
