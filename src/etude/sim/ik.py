"""Inverse kinematics of one site by damped least squares.

dq = J⁺ (e − J dq₀) + dq₀ with J⁺ = Jᵀ (J Jᵀ + λ² I)⁻¹: e is the step asked of the site, dq₀ pulls to the home posture
in the null space of the site's motion.
Source: Wampler 1986; Siciliano et al., Robotics, Sec. 3.5 and 3.7.
"""

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.se3 import Pose, log_rotation

type _Joints = Float64[NDArray[np.float64], " n"]


class SiteIK:
    """Moves one site of a model by some of its hinge or sliding joints, each of one degree of freedom."""

    def __init__(
        self,
        model: mujoco.MjModel,
        site: str,
        joints: tuple[str, ...],
        *,
        damping: float = 0.02,
        home: _Joints | None = None,
        posture_gain: float = 0.0,
        rotation_weight: float = 1.0,
    ) -> None:
        """Look up the site and the joints.

        Args:
            model: The model; only its structure and joint ranges matter.
            site: Name of the site to move.
            joints: Names of the joints that move it, n of them.
            damping: λ; larger is slower near singularities.
            home: Posture to pull to, (n,).
            posture_gain: Share of the way back to it per step.
            rotation_weight: Of a radian against a metre; less lets the orientation give way where both cannot be had.
        """
        self._model = model
        self._site = int(model.site(site).id)
        ids = [int(model.joint(name).id) for name in joints]
        self._dofs, self._qpos = model.jnt_dofadr[ids], model.jnt_qposadr[ids]
        self._low, self._high = model.jnt_range[ids].T
        self._ridge, self._posture_gain = damping**2 * np.eye(6), posture_gain
        self._home = np.zeros(len(ids)) if home is None else np.asarray(home, np.float64)
        self._weights = np.repeat([1.0, rotation_weight], 3)
        self._jacobian = np.zeros((6, model.nv))

    def step(
        self,
        data: mujoco.MjData,
        position_m: Float64[NDArray[np.float64], "3"],
        rotation_rad: Float64[NDArray[np.float64], "3"],
    ) -> _Joints:
        """Joint values that bring the site closer by one step, within the joints' ranges.

        Args:
            data: State whose kinematics are up to date.
            position_m: How far the site shall go, in the world's axes, (3,).
            rotation_rad: How far it shall turn, axis-angle in the world's axes, (3,).

        Returns:
            Joint values, (n,), [rad] or [m].
        """
        mujoco.mj_jacSite(self._model, data, self._jacobian[:3], self._jacobian[3:], self._site)
        J = self._jacobian[:, self._dofs] * self._weights[:, None]
        q = data.qpos[self._qpos]
        error = np.concatenate([position_m, rotation_rad]) * self._weights
        dq0 = self._posture_gain * (self._home - q)
        dq = J.T @ np.linalg.solve(J @ J.T + self._ridge, error - J @ dq0) + dq0
        return np.minimum(np.maximum(q + dq, self._low), self._high)

    def solve(
        self,
        data: mujoco.MjData,
        X_world_site: Pose,
        *,
        iterations: int = 20,
        tolerance: float = 1e-4,
    ) -> _Joints:
        """Joint values that bring the site to a pose, from where the joints are; `data` follows (kinematics only).

        Args:
            data: Scratch state; its joints are the first guess.
            X_world_site: Goal.
            iterations: At most so many steps.
            tolerance: Error, in metres and (weighted) radians together, that is good enough.

        Returns:
            Joint values, (n,): the best found when the pose is out of reach.
        """
        for _ in range(iterations):
            mujoco.mj_kinematics(self._model, data)
            mujoco.mj_comPos(self._model, data)
            shift = X_world_site[:3, 3] - data.site_xpos[self._site]
            turn = log_rotation(X_world_site[:3, :3] @ data.site_xmat[self._site].reshape(3, 3).T)
            if np.linalg.norm(np.concatenate([shift, turn]) * self._weights) < tolerance:
                break
            data.qpos[self._qpos] = self.step(data, shift, turn)
        return data.qpos[self._qpos].copy()
