"""How the ALOHA arms are commanded: joint positions as in ACT, or poses of the grippers.

`control=joints`: per arm six joint positions [rad] and the gripper's opening, 0 closed to 1 open. `control=ee`: per arm
the pose X_world_gripper as position [m] and wxyz quaternion, and the opening; inverse kinematics find the joints. Both
are absolute, and the left arm comes first. What the arms know of themselves is the same for both.
"""

from collections.abc import Sequence
from typing import Literal, get_args

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import UnknownNameError, Vector
from etude.core.se3 import pose, quat_to_matrix
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
CONTROLS: tuple[str, ...] = get_args(Control.__value__)

_ARM = len(VIPERX_JOINTS)
_SERVOS = _ARM + 2
_JOINT_NUMBERS, _POSE_NUMBERS = _ARM + 1, 8
_WORKSPACE_LOW_M, _WORKSPACE_HIGH_M = (-0.7, 0.0, 0.0), (0.7, 1.1, 0.8)
_IK_ITERATIONS = 12
# The servos are damped by friction alone: each joint follows its command with a lag of its own (measured, in seconds).
_LAGS_S = np.array([0.16, 0.10, 0.04, 0.04, 0.06, 0.02])
_COMMON_LAG_S = 0.12
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


def in_step(
    joints: Float64[NDArray[np.float64], "*n 6"], goal: Float64[NDArray[np.float64], "*n 6"]
) -> Float64[NDArray[np.float64], "*n 6"]:
    """Commands that bring an arm's joints to a goal in step, so that the hand goes straight there.

    Left to themselves the quick joints would run ahead of the slow ones: they are led less, the slow ones more.
    """
    return joints + (goal - joints) * (_LAGS_S / _COMMON_LAG_S)


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
        self._scratch = mujoco.MjData(model)
        self._ik = [SiteIK(model, prefixed(side, "gripper"), arm_joints(side)[:_ARM]) for side in sides]
        dofs = model.jnt_dofadr[[model.joint(name).id for name in names]]
        self._arm_dofs = dofs.reshape(len(self._sides), _SERVOS)[:, :_ARM]
        servos = self._ctrl.reshape(len(self._sides), _SERVOS)[:, :_ARM]
        self._stiffness = model.actuator_gainprm[servos, 0]
        self._sites = [int(model.site(prefixed(side, "gripper")).id) for side in sides]

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

    def gripper_pose(self, side: Side) -> Float64[NDArray[np.float64], "4 4"]:
        """X_world_gripper of an arm's grasp point."""
        site = self._sites[self._sides.index(side)]
        return pose(self._data.site_xpos[site], self._data.site_xmat[site].reshape(3, 3))

    def _joints_of_poses(self, commands: Float64[NDArray[np.float64], "n 8"]) -> Float64[NDArray[np.float64], "n 6"]:
        """Starting from where the joints are; what gravity makes the servos sag is added, so that poses are reached."""
        self._scratch.qpos[:] = self._data.qpos
        present = self._data.qpos[self._qpos].reshape(len(self._sides), _SERVOS)[:, :_ARM]
        goals = [
            ik.solve(self._scratch, self._goal(site, command), iterations=_IK_ITERATIONS)
            for ik, site, command in zip(self._ik, self._sites, commands, strict=True)
        ]
        sag = self._data.qfrc_bias[self._arm_dofs] / self._stiffness
        return in_step(present, np.array(goals)) + sag

    def _goal(self, site: int, command: Float64[NDArray[np.float64], "8"]) -> Float64[NDArray[np.float64], "4 4"]:
        norm = float(np.linalg.norm(command[3:7]))
        if norm < 1e-6:  # no turn at all: the hand keeps its own
            return pose(command[:3], self._data.site_xmat[site].reshape(3, 3))
        return pose(command[:3], quat_to_matrix(command[3:7] / norm))
