"""How one ViperX moves: where its hand is, and servo commands that lead it towards another pose."""

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.se3 import Pose, interpolate, log_rotation, pose, quat_to_matrix
from etude.sim.ik import SiteIK
from etude.sim.robots.viperx import VIPERX_JOINTS, Side, arm_joints, prefixed

type _Joints = Float64[NDArray[np.float64], "6"]

_ARM = len(VIPERX_JOINTS)
_DAMPING = 0.03
# The servos are damped by friction alone: each joint follows its command with a lag of its own (measured).
_LAGS_S = np.array([0.16, 0.10, 0.04, 0.08, 0.06, 0.04])
_COMMON_LAG_S = 0.12
# A step looks so far ahead at most: there inverse kinematics are nearly linear, and the arm does not flip over.
_AHEAD_M, _AHEAD_RAD = 0.05, 0.3
# How far it then leads each joint at top speed [rad]: 0.4 rad/s for the shoulder. Friction yields to commands much
# further ahead, and the joints overshoot.
_LEAD_RAD = np.array([0.05, 0.05, 0.15, 0.3, 0.3, 0.3])
# What an action may ask for at most, beyond what experts do: a hand that lags behind has to catch up.
_FAR_M, _FAR_RAD = 0.1, 0.6
_FAR_LEADS = 2.0
# So many iterations find the joints, but not near the singular posture of a straight wrist: to be exact there, the arm
# would turn its wrist by half a turn, and run out of range on the other side.
_ITERATIONS, _TOLERANCE = 10, 1e-7


class ArmMotion:
    """One arm of a model: where its gripper is, and servo commands that lead it towards another pose."""

    def __init__(self, model: mujoco.MjModel, side: Side) -> None:
        joints = arm_joints(side)[:_ARM]
        ids = [model.joint(name).id for name in joints]
        self.qpos, self._dofs = model.jnt_qposadr[ids], model.jnt_dofadr[ids]
        self._stiffness = model.actuator_gainprm[[model.actuator(name).id for name in joints], 0]
        self._site = int(model.site(prefixed(side, "gripper")).id)
        self._ik = SiteIK(model, prefixed(side, "gripper"), joints, damping=_DAMPING)

    def pose(self, data: mujoco.MjData) -> Pose:
        """X_world_gripper of the grasp point, a copy."""
        return pose(data.site_xpos[self._site], data.site_xmat[self._site].reshape(3, 3))

    def toward(self, data: mujoco.MjData, goal: Pose, speed: float = 1.0) -> tuple[_Joints, float]:
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

    def joints_commanded(
        self, data: mujoco.MjData, command: _Joints, bias: Float64[NDArray[np.float64], " nv"]
    ) -> _Joints:
        """Where the joints are sent by a servo command, (6,) [rad]: the inverse of `servo_command`."""
        present = data.qpos[self.qpos]
        return present + (command - bias[self._dofs] / self._stiffness - present) * (_COMMON_LAG_S / _LAGS_S)

    def joints_for(self, data: mujoco.MjData, goal: Pose) -> _Joints:
        """Joints at which the hand has a pose; of one far away, as far on the way as the servos can be led.

        Args:
            data: State to start from, kinematics up to date; its joints follow.
            goal: X_world_gripper.
        """
        present = data.qpos[self.qpos]
        now = self.pose(data)
        shift, turn = goal[:3, 3] - now[:3, 3], log_rotation(goal[:3, :3] @ now[:3, :3].T)
        near = 1.0 / max(1.0, float(np.linalg.norm(shift)) / _FAR_M, float(np.linalg.norm(turn)) / _FAR_RAD)
        step = goal if near == 1.0 else interpolate(now, goal, near)
        way = self._ik.solve(data, step, iterations=_ITERATIONS, tolerance=_TOLERANCE) - present
        return present + way / max(1.0, float(np.max(np.abs(way) / (_FAR_LEADS * _LEAD_RAD))))

    def search(self, data: mujoco.MjData, goal: Pose, *, iterations: int, tolerance: float) -> _Joints:
        """Joints of a pose, wherever it is, from where they are in `data`, which follows; see SiteIK.solve."""
        return self._ik.solve(data, goal, iterations=iterations, tolerance=tolerance)


def commanded_pose(command: Float64[NDArray[np.float64], " numbers"], present: Pose) -> Pose:
    """X_world_gripper that a command of `control=ee` says: position [m] and wxyz quaternion, of any length.

    Args:
        command: The pose; an opening may follow.
        present: Where the hand is.
    """
    norm = float(np.linalg.norm(command[3:7]))
    if norm < 1e-6:  # no turn at all: the hand keeps its own
        return pose(command[:3], present[:3, :3])
    return pose(command[:3], quat_to_matrix(command[3:7] / norm))
