"""How the ALOHA arms are commanded: joint positions as in ACT, or poses of the grippers.

`control=joints`: per arm six joint positions [rad] and the gripper's opening, 0 closed to 1 open. `control=ee`: per arm
the pose X_world_gripper as position [m] and wxyz quaternion, and the opening; inverse kinematics find the joints, and a
pose far away is approached at a bounded speed. Both are absolute, and the left arm comes first. What the arms know of
themselves is the same for both.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import UnknownNameError, Vector
from etude.core.se3 import Pose
from etude.core.segments import Target
from etude.sim.robots.viperx import (
    HOME_GRIPPER,
    SIDES,
    VIPERX_HIGH_RAD,
    VIPERX_HOME_RAD,
    VIPERX_JOINTS,
    VIPERX_LOW_RAD,
    Side,
    arm_joints,
    finger_position_m,
    gripper_opening,
)
from etude.sim.worlds.aloha.motion import ArmMotion, commanded_pose
from etude.sim.worlds.aloha.scene import FPS, SUBSTEP_S
from etude.sim.worlds.aloha.targets import HandTargets

type Control = Literal["joints", "ee"]
type _Joints = Float64[NDArray[np.float64], "6"]
CONTROLS: tuple[str, ...] = get_args(Control.__value__)

_ARM = len(VIPERX_JOINTS)
_SERVOS = _ARM + 2
_JOINT_NUMBERS, _POSE_NUMBERS = _ARM + 1, 8
_WORKSPACE_LOW_M, _WORKSPACE_HIGH_M = (-0.7, 0.0, 0.0), (0.7, 1.1, 0.8)
_SUBSTEPS = round(1 / FPS / SUBSTEP_S)


def check_control(control: str) -> None:
    """Raise UnknownNameError unless `control` is one of CONTROLS."""
    if control not in CONTROLS:
        raise UnknownNameError("control", control, CONTROLS)


def state_names(sides: Sequence[Side] = SIDES) -> tuple[str, ...]:
    """Names of proprioception's 7 numbers per arm."""
    quantities = (*(f"{joint}.position_rad" for joint in VIPERX_JOINTS), "gripper.opening")
    return tuple(f"{side}_{quantity}" for side in sides for quantity in quantities)


def action_names(control: str, sides: Sequence[Side] = SIDES) -> tuple[str, ...]:
    """Names of an action's numbers: 7 per arm for joints, 8 for poses."""
    if control == "joints":
        return state_names(sides)
    quantities = ("x_m", "y_m", "z_m", "qw", "qx", "qy", "qz", "opening")
    return tuple(f"{side}_gripper.{quantity}" for side in sides for quantity in quantities)


def action_bounds(control: str, sides: Sequence[Side] = SIDES) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Smallest and largest action."""
    if control == "joints":
        low, high = (*VIPERX_LOW_RAD, 0.0), (*VIPERX_HIGH_RAD, 1.0)
    else:
        low, high = (*_WORKSPACE_LOW_M, *(-1.0,) * 4, 0.0), (*_WORKSPACE_HIGH_M, *(1.0,) * 4, 1.0)
    return low * len(sides), high * len(sides)


class ArmsController:
    """Reads the arms, turns actions into servo commands and steps the physics."""

    def __init__(
        self, model: mujoco.MjModel, data: mujoco.MjData, *, control: str = "joints", sides: Sequence[Side] = SIDES
    ) -> None:
        """Look up the arms.

        Args:
            model: A world made from `aloha_spec(sides)`.
            data: Its state.
            control: One of CONTROLS.
            sides: The arms, in the order of an action's numbers.
        """
        self._model, self._data, self._sides, self._control = model, data, tuple(sides), control
        names = [name for side in sides for name in arm_joints(side)]
        self._qpos = model.jnt_qposadr[[model.joint(name).id for name in names]]
        self._ctrl = np.array([model.actuator(name).id for name in names])
        self._arms: dict[Side, ArmMotion] = {side: ArmMotion(model, side) for side in sides}
        self._targets = HandTargets(model, self._arms, control)
        self._bounds = action_bounds(control, sides)

    def reset(self) -> None:
        """Put the arms where ALOHA's episodes start, and hold them there."""
        finger = finger_position_m(HOME_GRIPPER)
        self._data.qpos[self._qpos] = [*VIPERX_HOME_RAD, finger, -finger] * len(self._sides)
        self._data.ctrl[self._ctrl] = self._data.qpos[self._qpos]
        self.refresh()

    def refresh(self) -> None:
        """Bring positions up to date with the joints (a physics step leaves them one substep behind)."""
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)

    def settle(self, periods: int) -> None:
        """Let control periods pass without a new command."""
        mujoco.mj_step(self._model, self._data, nstep=periods * _SUBSTEPS)
        self.refresh()

    def step(self, action: Float64[NDArray[np.float64], " A"]) -> None:
        """Command the servos for one control period (1/50 s); as in gym-aloha the command jumps and the joints follow.

        Args:
            action: 7 numbers per arm for joints, 8 for poses, within `action_bounds`.
        """
        commands = action.reshape(len(self._sides), -1)
        joints = commands[:, :_ARM] if self._control == "joints" else self._joints_of_poses(commands)
        for i, (arm, opening) in enumerate(zip(joints, commands[:, -1].tolist(), strict=True)):
            finger = finger_position_m(opening)
            self._data.ctrl[self._ctrl[i * _SERVOS : (i + 1) * _SERVOS]] = (*arm, finger, -finger)
        self.settle(1)

    def proprioception(self) -> Vector:
        """Joint positions and opening of every arm, (7 n,) float32, as in ACT."""
        joints = self._data.qpos[self._qpos].reshape(len(self._sides), _SERVOS)
        state = joints[:, :_JOINT_NUMBERS].astype(np.float32)
        state[:, _ARM] = [gripper_opening(finger) for finger in joints[:, _ARM].tolist()]
        return state.ravel()

    def gripper_pose(self, side: Side) -> Pose:
        """X_world_gripper of an arm's grasp point."""
        return self._arms[side].pose(self._data)

    def asked(self, action: Vector) -> Mapping[str, Target]:
        """What an action, (A,), would ask of every gripper at this moment; see core's PoseControlled."""
        return self._targets.asked(self._data, np.asarray(action, np.float64))

    def action_for(self, targets: Mapping[str, Target]) -> Vector:
        """The action, (A,) float32, that asks every gripper for its target from where it is now."""
        return np.clip(self._targets.action_for(self._data, targets), *self._bounds).astype(np.float32)

    def unreachable(self, gripper: str, target: Pose) -> str | None:
        """Why a gripper cannot be brought to a pose, or None."""
        return self._targets.unreachable(gripper, target)

    def _joints_of_poses(
        self, commands: Float64[NDArray[np.float64], "n 8"]
    ) -> list[Float64[NDArray[np.float64], "6"]]:
        """Starting from where the joints are, so that a command does the same in any history."""
        joints: list[_Joints] = []
        for arm, command in zip(self._arms.values(), commands, strict=True):
            goal, _ = arm.toward(self._data, commanded_pose(command, arm.pose(self._data)))
            joints.append(arm.servo_command(self._data, goal, self._data.qfrc_bias))
        return joints
