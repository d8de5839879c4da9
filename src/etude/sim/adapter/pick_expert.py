"""A scripted expert for gym_hil's pick-up, by feedback alone: over the block, down, close, lift."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etude.core import ActionChunk, Memory, Observation, Vector

_ABOVE_M = np.array([0.0, 0.0, 0.08])
_OVER_M = 0.008  # so well centred, the fingers may go down
_GRASP_M = 0.012  # the fingertips this near the block's centre may close
_LIFT_M = 0.25
_CLOSED = 200.0  # of 255
_NOISE_M = 0.001


@dataclass(frozen=True)
class PickExpert:
    """Policy and memory in one: what it does follows from what it sees, but for a little noise.

    Attributes:
        step_m: How far an action of 1 moves the gripper.
        rotates: Whether actions have three rotations, and the gripper's number its middle at 0 instead of at 1.
    """

    step_m: float
    rotates: bool

    def begin(self, rng: np.random.Generator) -> Memory:
        """Remember the episode's stream."""
        return rng

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """One action for each, (1, A) float32."""
        return [self._action(o, rng)[None] for o, rng in zip(observations, memories, strict=True)]

    def _action(self, observation: Observation, rng: np.random.Generator) -> Vector:
        assert observation.object_state is not None
        block, gripper, closed = observation.object_state[:3], observation.state[15:18], observation.state[14]
        goal, close = _goal(block, gripper, held=bool(closed > _CLOSED))
        shift = (goal - gripper + rng.normal(0.0, _NOISE_M, 3)) / self.step_m
        bound = 0.025 / self.step_m
        shift = np.clip(shift, -bound, bound)
        parts = [shift, np.zeros(3), [close]] if self.rotates else [shift, [close + 1.0]]
        return np.concatenate(parts).astype(np.float32)


def _goal(block: Vector, gripper: Vector, *, held: bool) -> tuple[Vector, float]:
    """Where the gripper should go, and whether it closes (1) or opens (−1)."""
    away = float(np.linalg.norm(block[:2] - gripper[:2]))
    near = away < 3 * _GRASP_M and abs(float(block[2] - gripper[2])) < 2 * _GRASP_M
    if held and near:
        return np.array([*gripper[:2], _LIFT_M]), 1.0
    if held:
        return gripper, -1.0
    if near and abs(float(block[2] - gripper[2])) < _GRASP_M:
        return block, 1.0
    return (block if away < _OVER_M or near else block + _ABOVE_M), -1.0


def wrapped_expert() -> PickExpert:
    """The expert for gym_hil's wrapped environments: steps of 25 mm, no rotations."""
    return PickExpert(0.025, rotates=False)


def base_expert() -> PickExpert:
    """The expert for PandaPickCubeBase, whose actions are metres."""
    return PickExpert(1.0, rotates=True)
