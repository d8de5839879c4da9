"""How scripted ALOHA experts move: read where the hands are, decide where each shall go, command a step of the way.

An expert is a function from what there is to see to a goal per hand; it keeps no phase, so it retries a grasp that
missed and picks up what it dropped. A step leads the hand by a bounded distance, which bounds its speed, because the
arms follow their commands with a lag; what gravity makes them sag is added, so that they arrive where they were sent.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from math import cos, sin
from typing import NamedTuple

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ActionChunk, Memory, Observation, ShapeError, Vector
from etude.core.se3 import exp_rotation, log_rotation, matrix_to_quat, pose, quat_to_matrix
from etude.sim.ik import SiteIK
from etude.sim.robots.viperx import (
    SIDES,
    VIPERX_JOINTS,
    Side,
    arm_joints,
    finger_gap_m,
    gripper_at_gap,
    prefixed,
)
from etude.sim.worlds.aloha.control import in_step
from etude.sim.worlds.aloha.scene import aloha_spec

type _Pose = Float64[NDArray[np.float64], "4 4"]
type _Rotation = Float64[NDArray[np.float64], "3 3"]

# A step looks so far ahead at most: inverse kinematics are linear in it.
_AHEAD_M, _AHEAD_RAD = 0.05, 0.3
# How far it then leads each joint at top speed [rad]: 0.4 rad/s for the shoulder. Friction yields to commands much
# further ahead, and the joints overshoot.
_LEAD_RAD = np.array([0.05, 0.05, 0.15, 0.3, 0.3, 0.3])
_DAMPING = 0.03
_ARM = len(VIPERX_JOINTS)


class Hand(NamedTuple):
    """A gripper: its pose X_world_gripper and the gap between its fingertips [m]."""

    pose: _Pose
    gap_m: float


class Goal(NamedTuple):
    """Where a gripper shall go, the gap between its fingertips there [m], and how fast (a share of the top speed)."""

    pose: _Pose
    gap_m: float
    speed: float = 1.0


class Look(NamedTuple):
    """What an expert sees.

    Attributes:
        hands: The grippers.
        objects: X_world_object of the task's objects, in the world's order.
        sizes: What the world says of them beside that.
        obstacles: Distractors on the table: x, y, z of the centre and half the edge [m].
    """

    hands: Mapping[Side, Hand]
    objects: Sequence[_Pose]
    sizes: Sequence[float]
    obstacles: Sequence[Sequence[float]]


def hand_rotation(heading_rad: float, pitch_rad: float, roll_rad: float = 0.0) -> _Rotation:
    """Orientation of a gripper that points along a heading (about the vertical, from x), dipping by a pitch.

    Without roll the fingers open horizontally; roll turns them about the direction it points in.
    """
    ch, sh, cp, sp = cos(heading_rad), sin(heading_rad), cos(pitch_rad), sin(pitch_rad)
    z, y = np.array([ch * cp, sh * cp, -sp]), np.array([-sh, ch, 0.0])
    level = np.array([np.cross(y, z), y, z]).T
    return level @ exp_rotation(np.array([0.0, 0.0, roll_rad]))


class ScriptedArms:
    """A core Policy that moves the hands as a function of what it sees; its memory is the episode's generator."""

    def __init__(
        self,
        decide: Callable[[Look], Mapping[Side, Goal]],
        *,
        objects: int,
        sizes: int,
        distractors: int,
        control: str = "joints",
        sides: Sequence[Side] = SIDES,
    ) -> None:
        """Prepare the reading of observations.

        Args:
            decide: Chooses a goal for every hand.
            objects: How many objects' poses the object state starts with.
            sizes: How many numbers follow them.
            distractors: How many distractors there may be.
            control: One of control.CONTROLS.
            sides: The arms.
        """
        self._decide, self._control, self._sides = decide, control, tuple(sides)
        self._objects, self._sizes, self._size = objects, sizes, 7 * objects + sizes + 4 * distractors
        self._arms: _Kinematics | None = None

    def begin(self, rng: np.random.Generator) -> Memory:
        """Start an episode."""
        return rng

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """One action per observation, (1, A).

        Raises:
            ShapeError: An observation lacks the objects' poses.
        """
        del memories
        return [self._act(observation)[None] for observation in observations]

    def _act(self, observation: Observation) -> Vector:
        if self._arms is None:
            self._arms = _Kinematics(self._sides)
        hands = self._arms.read(observation.state)
        goals = self._decide(self._look(observation, hands))
        numbers = [n for side in self._sides for n in self._arms.command(side, hands[side], goals[side], self._control)]
        return np.array(numbers, np.float32)

    def _look(self, observation: Observation, hands: Mapping[Side, Hand]) -> Look:
        seen = observation.object_state
        if seen is None or seen.shape != (self._size,):
            raise ShapeError("the expert's object state", (self._size,), None if seen is None else seen.shape)
        numbers = seen.astype(np.float64)
        poses, others = numbers[: 7 * self._objects].reshape(-1, 7), numbers[7 * self._objects + self._sizes :]
        return Look(
            hands=hands,
            objects=[pose(p[:3], quat_to_matrix(p[3:] / np.linalg.norm(p[3:]))) for p in poses],
            sizes=numbers[7 * self._objects : 7 * self._objects + self._sizes].tolist(),
            obstacles=[other for other in others.reshape(-1, 4).tolist() if other[2] > 0.0],
        )


class _Kinematics:
    """The arms alone, to find where the hands are and which joints bring them elsewhere."""

    def __init__(self, sides: tuple[Side, ...]) -> None:
        self._sides = sides
        self._model = model = _arms_model(sides)
        self._data = mujoco.MjData(model)
        joints = {side: [model.joint(name).id for name in arm_joints(side)[:_ARM]] for side in sides}
        self._qpos = {side: model.jnt_qposadr[ids] for side, ids in joints.items()}
        self._dofs = {side: model.jnt_dofadr[ids] for side, ids in joints.items()}
        servos = {side: [model.actuator(name).id for name in arm_joints(side)[:_ARM]] for side in sides}
        self._stiffness = {side: model.actuator_gainprm[ids, 0] for side, ids in servos.items()}
        self._sites = {side: int(model.site(prefixed(side, "gripper")).id) for side in sides}
        self._ik = {
            side: SiteIK(model, prefixed(side, "gripper"), arm_joints(side)[:_ARM], damping=_DAMPING) for side in sides
        }
        self._gravity = np.zeros(model.nv)

    def read(self, state: Vector) -> dict[Side, Hand]:
        """The hands at joints and openings as in proprioception, (7 n,)."""
        arms = state.astype(np.float64).reshape(len(self._sides), -1)
        for side, arm in zip(self._sides, arms, strict=True):
            self._data.qpos[self._qpos[side]] = arm[:_ARM]
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_rne(self._model, self._data, 0, self._gravity)
        hands: dict[Side, Hand] = {}
        for side, arm in zip(self._sides, arms, strict=True):
            hands[side] = Hand(self._pose(self._sites[side]), finger_gap_m(float(arm[_ARM])))
        return hands

    def command(self, side: Side, hand: Hand, goal: Goal, control: str) -> list[float]:
        """The numbers of one arm's action that lead its hand towards a goal; call after `read`."""
        shift = goal.pose[:3, 3] - hand.pose[:3, 3]
        turn = log_rotation(goal.pose[:3, :3] @ hand.pose[:3, :3].T)
        near = 1.0 / max(1.0, float(np.linalg.norm(shift)) / _AHEAD_M, float(np.linalg.norm(turn)) / _AHEAD_RAD)
        shift, turn = near * shift, near * turn
        ik, data, opening = self._ik[side], self._data, gripper_at_gap(goal.gap_m)
        joints = data.qpos[self._qpos[side]]
        way = ik.step(data, shift, turn) - joints
        share = goal.speed / max(goal.speed, float(np.max(np.abs(way) / _LEAD_RAD)))
        if control == "ee":
            rotation = exp_rotation(share * turn) @ hand.pose[:3, :3]
            return [*(hand.pose[:3, 3] + share * shift).tolist(), *matrix_to_quat(rotation).tolist(), opening]
        sag = self._gravity[self._dofs[side]] / self._stiffness[side]
        return [*(in_step(joints, joints + share * way) + sag).tolist(), opening]

    def _pose(self, site: int) -> _Pose:
        return pose(self._data.site_xpos[site].copy(), self._data.site_xmat[site].reshape(3, 3))


@cache
def _arms_model(sides: tuple[Side, ...]) -> mujoco.MjModel:
    return aloha_spec(sides).compile()
