"""Relative Cartesian control: an action moves the grasp point from where it is, and closes or opens the fingers."""

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import Target, Vector
from etude.core.se3 import Pose, exp_rotation, log_rotation, pose
from etude.sim.ik import SiteIK
from etude.sim.robots.panda import PANDA_FINGER_JOINTS, PANDA_JOINTS
from etude.sim.worlds.franka.tabletop import FINGER_OPEN_M, FPS, HOME_RAD, STATE_NAMES, SUBSTEP_S

ACTION_NAMES = ("dx", "dy", "dz", "rot_x", "rot_y", "rot_z", "gripper")
"""Translation, axis-angle rotation (both in the world frame, about the grasp point), fingers: < 0 closes, else open."""
TRANSLATION_M = 0.05
"""What an action of 1 moves in one control step."""
ROTATION_RAD = 0.5
"""What an action of 1 turns in one control step."""

WORKSPACE_LOW_M = np.array([0.20, -0.45, 0.004])
WORKSPACE_HIGH_M = np.array([0.80, 0.45, 0.60])
_JITTER_RAD = 0.02  # standard deviation of the joints at the start, as in Isaac Lab's stack task
_DAMPING = 0.02  # of least squares; larger is slower near singularities
_POSTURE_GAIN = 0.1  # share of the way back to the home posture per step, in the null space of the hand's motion
_RAMPS = 5  # a new joint command is reached in so many equal parts of the control period: smooth, not a jolt
# Each finger is sent this far ahead of where it is: free, it moves at Franka's 0.1 m/s; holding, it presses with 16 N.
_FINGER_STEP_M = 0.008
_ARM_DOFS = slice(0, len(PANDA_JOINTS))
_FINGER_DOFS = slice(len(PANDA_JOINTS), len(PANDA_JOINTS) + len(PANDA_FINGER_JOINTS))


class RelativePoseController:
    """Turns actions into joint commands by inverse kinematics, and steps the physics.

    The target is the present pose moved by the action, so nothing unseen decides the motion.
    """

    def __init__(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        self._model, self._data = model, data
        self._site = int(model.site("gripper").id)
        self._substeps = round(1 / FPS / SUBSTEP_S) // _RAMPS
        self._ik = SiteIK(
            model, "gripper", PANDA_JOINTS, damping=_DAMPING, home=np.array(HOME_RAD), posture_gain=_POSTURE_GAIN
        )
        arm = [model.actuator(name).id for name in (*PANDA_JOINTS, *PANDA_FINGER_JOINTS)]
        if arm != list(range(len(arm))):
            raise AssertionError("the arm's servos come first")
        self._target = np.eye(4)

    @property
    def target(self) -> Pose:
        """The pose that the last action asked for, X_world_gripper."""
        return self._target.copy()

    def reset(self, rng: np.random.Generator) -> None:
        """Hold the arm near its home, the fingers open."""
        arm = np.array(HOME_RAD) + _JITTER_RAD * rng.standard_normal(len(HOME_RAD))
        self._data.qpos[: len(arm) + 2] = [*arm, FINGER_OPEN_M, FINGER_OPEN_M]
        self._data.ctrl[:] = self._data.qpos[: self._data.ctrl.size]
        self.refresh()
        self._target = pose(self.position, self.rotation)

    @property
    def position(self) -> Float64[NDArray[np.float64], "3"]:
        """The grasp point, [m]."""
        return self._data.site_xpos[self._site]

    @property
    def rotation(self) -> Float64[NDArray[np.float64], "3 3"]:
        """Of the hand: z out of it, y from the right to the left finger."""
        return self._data.site_xmat[self._site].reshape(3, 3)

    def asked(self, action: Float64[NDArray[np.float64], "7"]) -> Target:
        """The present pose moved by an action, and the action's own number for the fingers.

        It may lie beyond the workspace, to which the arm's motion is cut: so no two actions ask for the same.
        """
        turned = exp_rotation(ROTATION_RAD * action[3:6]) @ self.rotation
        return Target(pose(self.position + TRANSLATION_M * action[:3], turned), float(action[6]))

    def action_for(self, target: Target) -> Float64[NDArray[np.float64], "7"]:
        """The action that asks for a target; one farther than a step is approached straight, and turned to likewise."""
        shift = (target.pose[:3, 3] - self.position) / TRANSLATION_M
        turn = log_rotation(target.pose[:3, :3] @ self.rotation.T) / ROTATION_RAD
        return np.concatenate([_shortened(shift), _shortened(turn), [min(max(target.command, -1.0), 1.0)]])

    def refresh(self) -> None:
        """Bring positions up to date with the joints (a physics step leaves them one substep behind)."""
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)

    def step(self, action: Float64[NDArray[np.float64], "7"]) -> None:
        """Execute one action in [−1, 1] for one control period."""
        data = self._data
        command = np.concatenate([self._arm_command(action), self._finger_command(bool(action[6] < 0))])
        start = data.ctrl.copy()
        for ramp in range(1, _RAMPS + 1):
            data.ctrl[:] = start + (command - start) * (ramp / _RAMPS)
            mujoco.mj_step(self._model, data, nstep=self._substeps)
        self.refresh()

    def proprioception(self) -> Vector:
        """The numbers of STATE_NAMES, (17,) float32."""
        state = np.empty(len(STATE_NAMES), np.float32)
        state[:3] = self.position
        state[3:9] = self.rotation[:, :2].T.ravel()
        state[9] = self.opening
        state[10:] = self._data.qpos[_ARM_DOFS]
        return state

    @property
    def opening(self) -> float:
        """Between the fingers, [m]."""
        left, right = self._data.qpos[_FINGER_DOFS].tolist()
        return left + right

    def _arm_command(self, action: Float64[NDArray[np.float64], "7"]) -> Float64[NDArray[np.float64], "7"]:
        turn, position = ROTATION_RAD * action[3:6], self.position
        goal = np.minimum(np.maximum(position + TRANSLATION_M * action[:3], WORKSPACE_LOW_M), WORKSPACE_HIGH_M)
        self._target = pose(goal, exp_rotation(turn) @ self.rotation)
        return self._ik.step(self._data, goal - position, turn)

    def _finger_command(self, close: bool) -> Float64[NDArray[np.float64], "2"]:
        fingers = self._data.qpos[_FINGER_DOFS] + (-_FINGER_STEP_M if close else _FINGER_STEP_M)
        return np.minimum(np.maximum(fingers, 0.0), FINGER_OPEN_M)


def _shortened(step: Float64[NDArray[np.float64], "3"]) -> Float64[NDArray[np.float64], "3"]:
    """The step, or that part of it in its direction which an action can make."""
    return step / max(1.0, float(np.abs(step).max()))
