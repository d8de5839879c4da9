"""Which poses an action asks of the hands, and which action asks for given poses: one is the inverse of the other.

A command of `control=joints` leads the joints to where they shall go, by their lags and against gravity; the hand's
pose there, by forward kinematics, is what it asks for. `control=ee` says the pose itself.
"""

from collections.abc import Mapping

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.se3 import Pose, log_rotation, matrix_to_quat
from etude.core.segments import Target
from etude.sim.robots.viperx import VIPERX_HOME_RAD, Side
from etude.sim.worlds.aloha.motion import ArmMotion, commanded_pose

type _Joints = Float64[NDArray[np.float64], "6"]

_NEAR_M, _NEAR_RAD = 0.015, 0.1  # what counts as brought to a pose
_SEARCH_ITERATIONS = 60
_WAIST = 0
_TURNS_RAD = (0.0, 0.6, -0.6)  # of the waist, from where a reachable pose is looked for


class HandTargets:
    """Poses asked of the hands of one world."""

    def __init__(self, model: mujoco.MjModel, arms: Mapping[Side, ArmMotion], control: str) -> None:
        """Prepare kinematics apart from the world's own state.

        Args:
            model: The world's.
            arms: Its arms, in the order of an action's numbers.
            control: One of control.CONTROLS.
        """
        self._model, self._arms, self._control = model, arms, control
        self._scratch, self._gravity = mujoco.MjData(model), np.zeros(model.nv)

    def asked(self, data: mujoco.MjData, action: Float64[NDArray[np.float64], " A"]) -> dict[str, Target]:
        """What an action asks of every hand, from a state: gripper -> target."""
        self._look(data)
        targets: dict[str, Target] = {}
        for (side, arm), numbers in zip(self._arms.items(), action.reshape(len(self._arms), -1), strict=True):
            if self._control == "joints":
                self._scratch.qpos[arm.qpos] = arm.joints_commanded(data, numbers[:-1], self._gravity)
                goal = arm.pose(self._moved())
            else:
                goal = commanded_pose(numbers, arm.pose(data))
            targets[_gripper(side)] = Target(goal, float(numbers[-1]))
        return targets

    def action_for(self, data: mujoco.MjData, targets: Mapping[str, Target]) -> Float64[NDArray[np.float64], " A"]:
        """The numbers that ask every hand for its target, from a state; not yet cut to their bounds."""
        self._look(data)
        numbers: list[float] = []
        for side, arm in self._arms.items():
            goal, opening = targets[_gripper(side)]
            if self._control == "joints":
                joints = arm.joints_for(self._scratch, goal)
                numbers += arm.servo_command(data, joints, self._gravity).tolist()
            else:
                numbers += [*goal[:3, 3].tolist(), *matrix_to_quat(goal[:3, :3]).tolist()]
            numbers.append(opening)
        return np.array(numbers)

    def unreachable(self, gripper: str, goal: Pose) -> str | None:
        """Why a hand cannot be brought to a pose, or None; looked for from a few postures, within the joints."""
        side: Side = next(side for side in self._arms if _gripper(side) == gripper)
        shortest_m, least_rad = np.inf, np.inf
        for turn in _TURNS_RAD:
            shift_m, turn_rad = self._error(side, goal, turn)
            if shift_m < _NEAR_M and turn_rad < _NEAR_RAD:
                return None
            if shift_m + turn_rad < shortest_m + least_rad:
                shortest_m, least_rad = shift_m, turn_rad
        x, y, z = goal[:3, 3].tolist()
        short = f"{1000 * shortest_m:.0f} mm and {least_rad:.2f} rad short"
        return f"the {side} hand does not reach ({x:.2f}, {y:.2f}, {z:.2f}) m: it stays {short}"

    def _error(self, side: Side, goal: Pose, turn: float) -> tuple[float, float]:
        """How far from a pose inverse kinematics end, started from the home posture with the waist turned."""
        arm = self._arms[side]
        start: _Joints = np.array(VIPERX_HOME_RAD)
        start[_WAIST] += turn
        self._scratch.qpos[arm.qpos] = start
        self._scratch.qpos[arm.qpos] = arm.search(
            self._scratch, goal, iterations=_SEARCH_ITERATIONS, tolerance=min(_NEAR_M, _NEAR_RAD)
        )
        reached = arm.pose(self._moved())
        shift = float(np.linalg.norm(goal[:3, 3] - reached[:3, 3]))
        return shift, float(np.linalg.norm(log_rotation(goal[:3, :3] @ reached[:3, :3].T)))

    def _look(self, data: mujoco.MjData) -> None:
        """Take over a state's joints, and what gravity alone does to them."""
        self._scratch.qpos[:] = data.qpos
        mujoco.mj_rne(self._model, self._moved(), 0, self._gravity)

    def _moved(self) -> mujoco.MjData:
        mujoco.mj_kinematics(self._model, self._scratch)
        mujoco.mj_comPos(self._model, self._scratch)
        return self._scratch


def _gripper(side: Side) -> str:
    return f"{side}_gripper"
