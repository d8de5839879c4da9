"""Where a Panda's hand can be brought: a rough test without physics, before time is spent on trying."""

from math import atan2, degrees

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.se3 import Pose, log_rotation
from etude.sim.ik import SiteIK
from etude.sim.robots.panda import PANDA_JOINTS
from etude.sim.worlds.franka.control import WORKSPACE_HIGH_M, WORKSPACE_LOW_M
from etude.sim.worlds.franka.tabletop import HOME_RAD

_NEAR_M, _NEAR_RAD = 0.005, 0.05  # good enough: the joints exist
_ITERATIONS = 30
_SLACK_M = 1e-3  # of the workspace's borders


class PandaReach:
    """Tells whether there are joints for a pose, by inverse kinematics from the home posture turned towards it."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._scratch = model, mujoco.MjData(model)
        self._site = int(model.site("gripper").id)
        self._ik = SiteIK(model, "gripper", PANDA_JOINTS)

    def why_not(self, target: Pose) -> str | None:
        """Why the hand cannot be brought to X_world_gripper, or None."""
        position = target[:3, 3]
        outside = (position < WORKSPACE_LOW_M - _SLACK_M) | (position > WORKSPACE_HIGH_M + _SLACK_M)
        if outside.any():
            axis = int(np.argmax(outside))
            low, high = WORKSPACE_LOW_M[axis], WORKSPACE_HIGH_M[axis]
            return f"{'xyz'[axis]} = {position[axis]:.3f} m is outside the workspace ({low:g} to {high:g} m)"
        data = self._scratch
        data.qpos[: len(HOME_RAD)] = self._guess(target)
        data.qpos[: len(HOME_RAD)] = self._ik.solve(data, target, iterations=_ITERATIONS, tolerance=_NEAR_M)
        mujoco.mj_kinematics(self._model, data)
        away = float(np.linalg.norm(position - data.site_xpos[self._site]))
        turned = float(np.linalg.norm(log_rotation(target[:3, :3] @ data.site_xmat[self._site].reshape(3, 3).T)))
        if away > _NEAR_M or turned > _NEAR_RAD:
            return f"the arm comes no nearer than {1000 * away:.0f} mm and {degrees(turned):.0f}°"
        return None

    def _guess(self, target: Pose) -> Float64[NDArray[np.float64], "7"]:
        """The home posture, its base turned to the place and its last joint to the hand's turn."""
        x, y, _ = target[:3, 3]
        pan, yaw = atan2(y, x), atan2(target[1, 0], target[0, 0])
        joints = np.array(HOME_RAD)
        joints[0] = pan
        joints[6] = np.clip(joints[6] + pan - yaw, *self._model.joint(PANDA_JOINTS[6]).range)
        return joints
