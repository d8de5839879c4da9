"""How scripted ALOHA experts move: read where the hands are, decide where each shall go, command a step of the way.

An expert is a function from what there is to see to a goal per hand; it keeps no phase, so it retries a grasp that
missed and picks up what it dropped.
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
from etude.core.se3 import Pose, exp_rotation, interpolate, matrix_to_quat, pose, quat_to_matrix
from etude.sim.robots.viperx import (
    SIDES,
    Side,
    finger_gap_m,
    gripper_at_gap,
)
from etude.sim.worlds.aloha.motion import ArmMotion
from etude.sim.worlds.aloha.scene import aloha_spec

type _Rotation = Float64[NDArray[np.float64], "3 3"]

_ARM_NUMBERS = 7  # of proprioception, for each arm


class Hand(NamedTuple):
    """A gripper: its pose X_world_gripper and the gap between its fingertips [m]."""

    pose: Pose
    gap_m: float


class Goal(NamedTuple):
    """Where a gripper shall go, the gap between its fingertips there [m], and how fast (a share of the top speed)."""

    pose: Pose
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
    objects: Sequence[Pose]
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
        self._model = _arms_model(sides)
        self._data = mujoco.MjData(self._model)
        self._arms: dict[Side, ArmMotion] = {side: ArmMotion(self._model, side) for side in sides}
        self._gravity = np.zeros(self._model.nv)

    def read(self, state: Vector) -> dict[Side, Hand]:
        """The hands at joints and openings as in proprioception, (7 n,), with which a state begins."""
        numbers = state[: _ARM_NUMBERS * len(self._arms)].astype(np.float64).reshape(len(self._arms), _ARM_NUMBERS)
        for arm, joints in zip(self._arms.values(), numbers[:, :-1], strict=True):
            self._data.qpos[arm.qpos] = joints
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)
        mujoco.mj_rne(self._model, self._data, 0, self._gravity)
        openings: list[float] = numbers[:, -1].tolist()
        hands: dict[Side, Hand] = {}
        for (side, arm), opening in zip(self._arms.items(), openings, strict=True):
            hands[side] = Hand(arm.pose(self._data), finger_gap_m(opening))
        return hands

    def command(self, side: Side, hand: Hand, goal: Goal, control: str) -> list[float]:
        """The numbers of one arm's action that lead its hand towards a goal; call after `read`."""
        arm, opening = self._arms[side], gripper_at_gap(goal.gap_m)
        joints, share = arm.toward(self._data, goal.pose, goal.speed)
        if control == "joints":
            return [*arm.servo_command(self._data, joints, self._gravity).tolist(), opening]
        step = interpolate(hand.pose, goal.pose, share)
        return [*step[:3, 3].tolist(), *matrix_to_quat(step[:3, :3]).tolist(), opening]


@cache
def _arms_model(sides: tuple[Side, ...]) -> mujoco.MjModel:
    return aloha_spec(sides).compile()
