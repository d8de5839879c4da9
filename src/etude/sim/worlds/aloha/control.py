"""How the ALOHA arms are commanded: joint positions as in ACT, or poses of the grippers.

`control=joints`: per arm six joint positions [rad] and the gripper's opening, 0 closed to 1 open. `control=ee`: per arm
the pose X_world_gripper as position [m] and wxyz quaternion, and the opening; inverse kinematics find the joints, and a
pose far away is approached at a bounded speed. Both are absolute, and the left arm comes first. What the arms know of
themselves is the same for both.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import UnknownNameError, Vector
from etude.core.se3 import log_rotation, pose, quat_to_matrix
from etude.sim.ik import SiteIK
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
    prefixed,
)
from etude.sim.worlds.aloha.scene import FPS, SUBSTEP_S

type Control = Literal["joints", "ee"]
type _Pose = Float64[NDArray[np.float64], "4 4"]
type _Joints = Float64[NDArray[np.float64], "6"]
CONTROLS: tuple[str, ...] = get_args(Control.__value__)

_ARM = len(VIPERX_JOINTS)
_SERVOS = _ARM + 2
_JOINT_NUMBERS, _POSE_NUMBERS = _ARM + 1, 8
_WORKSPACE_LOW_M, _WORKSPACE_HIGH_M = (-0.7, 0.0, 0.0), (0.7, 1.1, 0.8)
_SUBSTEPS = round(1 / FPS / SUBSTEP_S)
_DAMPING = 0.03
# The servos are damped by friction alone: each joint follows its command with a lag of its own (measured).
_LAGS_S = np.array([0.16, 0.10, 0.04, 0.08, 0.06, 0.04])
_COMMON_LAG_S = 0.12
# A step looks so far ahead at most: there inverse kinematics are nearly linear, and the arm does not flip over.
_AHEAD_M, _AHEAD_RAD = 0.05, 0.3
# How far it then leads each joint at top speed [rad]: 0.4 rad/s for the shoulder. Friction yields to commands much
# further ahead, and the joints overshoot.
_LEAD_RAD = np.array([0.05, 0.05, 0.15, 0.3, 0.3, 0.3])


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


class ArmMotion:
    """One arm of a model: where its gripper is, and servo commands that lead it towards another pose."""

    def __init__(self, model: mujoco.MjModel, side: Side) -> None:
        joints = arm_joints(side)[:_ARM]
        ids = [model.joint(name).id for name in joints]
        self.qpos, self._dofs = model.jnt_qposadr[ids], model.jnt_dofadr[ids]
        self._stiffness = model.actuator_gainprm[[model.actuator(name).id for name in joints], 0]
        self._site = int(model.site(prefixed(side, "gripper")).id)
        self._ik = SiteIK(model, prefixed(side, "gripper"), joints, damping=_DAMPING)

    def pose(self, data: mujoco.MjData) -> _Pose:
        """X_world_gripper of the grasp point, a copy."""
        return pose(data.site_xpos[self._site], data.site_xmat[self._site].reshape(3, 3))

    def toward(self, data: mujoco.MjData, goal: _Pose, speed: float = 1.0) -> tuple[_Joints, float]:
        """Joints a step of the way to a pose, at most what the servos follow well, and what share of the way that is.

        Args:
            data: State whose kinematics are up to date.
            goal: X_world_gripper.
            speed: Share of the top speed.
        """
        now = self.pose(data)
        shift, turn = goal[:3, 3] - now[:3, 3], log_rotation(goal[:3, :3] @ now[:3, :3].T)
        near = 1.0 / max(1.0, float(np.linalg.norm(shift)) / _AHEAD_M, float(np.linalg.norm(turn)) / _AHEAD_RAD)
        present = data.qpos[self.qpos]
        way = self._ik.step(data, near * shift, near * turn) - present
        share = speed / max(speed, float(np.max(np.abs(way) / _LEAD_RAD)))
        return present + share * way, near * share

    def servo_command(self, data: mujoco.MjData, joints: _Joints, bias: Float64[NDArray[np.float64], " nv"]) -> _Joints:
        """What to send to the servos so that the joints go there in step, and the hand straight.

        Left to themselves the quick joints run ahead of the slow ones: they are led less, the slow ones more. What
        gravity makes the servos sag is added, so that they arrive.

        Args:
            data: State to start from.
            joints: Where to, (6,) [rad].
            bias: Gravity's (and Coriolis) forces on the joints, as in `qfrc_bias` [Nm].
        """
        present = data.qpos[self.qpos]
        return present + (joints - present) * (_LAGS_S / _COMMON_LAG_S) + bias[self._dofs] / self._stiffness


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
        self._arms = {side: ArmMotion(model, side) for side in sides}

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

    def gripper_pose(self, side: Side) -> _Pose:
        """X_world_gripper of an arm's grasp point."""
        return self._arms[side].pose(self._data)

    def _joints_of_poses(
        self, commands: Float64[NDArray[np.float64], "n 8"]
    ) -> list[Float64[NDArray[np.float64], "6"]]:
        """Starting from where the joints are, so that a command does the same in any history."""
        joints: list[_Joints] = []
        for arm, command in zip(self._arms.values(), commands, strict=True):
            goal, _ = arm.toward(self._data, _goal(command, arm.pose(self._data)))
            joints.append(arm.servo_command(self._data, goal, self._data.qfrc_bias))
        return joints


def _goal(command: Float64[NDArray[np.float64], "8"], present: _Pose) -> _Pose:
    norm = float(np.linalg.norm(command[3:7]))
    if norm < 1e-6:  # no turn at all: the hand keeps its own
        return pose(command[:3], present[:3, :3])
    return pose(command[:3], quat_to_matrix(command[3:7] / norm))
