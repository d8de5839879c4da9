"""A tiny world for tests of generation: one gripper fetches a puck; an action asks for a step and an opening."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np

from etude.core import ActionChunk, Factor, Memory, Observation, Perturbation, PerturbationSpace, Segment, SegmentPlan
from etude.core.segments import Target

STEP_M, NEAR_M = 0.05, 0.03
SPACE = PerturbationSpace(
    "toy-grasp",
    (
        Factor(name="puck.x_m", unit="m", low=-0.5, high=0.5, nominal=0.3, kind="layout"),
        Factor(name="puck.y_m", unit="m", low=-0.5, high=0.5, nominal=0.0, kind="layout"),
    ),
)
GOAL = np.array([0.0, 0.4, 0.0])


@dataclass(frozen=True, kw_only=True)
class GraspTask:
    """Fetch the puck and bring it to the goal; `slip` makes a world in which steps are shorter."""

    slip: float = 0.0
    max_steps: int = 80
    fps: int = 10
    cameras: tuple[str, ...] = ()
    image_size: int = 16
    subtasks: tuple[str, ...] = ("grasp", "bring")
    failure_modes: tuple[str, ...] = ("dropped", "timeout")
    action_names: tuple[str, ...] = ("dx", "dy", "grip")
    state_names: tuple[str, ...] = ("x_m", "y_m", "grip")
    name: str = "toy-grasp"
    text: str = "bring the puck"

    @property
    def action_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return -np.ones(3), np.ones(3)

    @property
    def space(self) -> PerturbationSpace:
        return SPACE

    @property
    def segments(self) -> SegmentPlan:
        return SegmentPlan(segments={"hand": (Segment(signal="grasp", object="puck"), Segment(object="goal"))})

    def environment(self, *, lazy_images: bool = False, object_state: bool = False) -> "GraspEnvironment":
        return GraspEnvironment(self, object_state)

    def expert(self) -> "Fetch":
        return Fetch()


class GraspEnvironment:
    """The world of GraspTask."""

    task_text = "bring the puck"

    def __init__(self, task: GraspTask, object_state: bool) -> None:
        self.task, self.object_state = task, object_state
        self.action_space = SimpleNamespace(low=-np.ones(3), high=np.ones(3), shape=(3,))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        rng = np.random.default_rng(seed)
        theta: Perturbation = (options or {}).get("perturbation", Perturbation())
        drawn = rng.uniform(0.2, 0.4, 2) * rng.choice([-1.0, 1.0], 2)
        self.puck = np.array([theta.get("puck.x_m", drawn[0]), theta.get("puck.y_m", drawn[1]), 0.0])
        self.hand, self.grip, self.steps, self.held, self.grasped = np.zeros(3), 1.0, 0, False, False
        return self._observe(), self._info()

    def step(self, action: Any) -> Any:
        action = np.clip(np.asarray(action, float), -1, 1)
        self.hand = self.hand + (1 - self.task.slip) * STEP_M * np.array([*action[:2], 0.0])
        self.grip = float(action[2])
        near = np.linalg.norm(self.hand - self.puck) < NEAR_M
        self.held = self.grip < 0 and (self.held or bool(near))
        self.grasped |= self.held
        if self.held:
            self.puck = self.hand.copy()
        self.steps += 1
        info = self._info()
        return self._observe(), 0.0, info["is_success"], self.steps >= self.task.max_steps, info

    def close(self) -> None:
        pass

    def asked(self, action: Any) -> Mapping[str, Target]:
        action = np.clip(np.asarray(action, float), -1, 1)
        return {"hand": Target(_pose(self.hand + STEP_M * np.array([*action[:2], 0.0])), float(action[2]))}

    def action_for(self, targets: Mapping[str, Target]) -> np.ndarray:
        offset = (targets["hand"].pose[:3, 3] - self.hand) / STEP_M
        return np.clip([offset[0], offset[1], targets["hand"].command], -1, 1).astype(np.float32)

    def unreachable(self, gripper: str, target: np.ndarray) -> str | None:
        return "too far away" if np.abs(target[:2, 3]).max() > 2 else None

    def _info(self) -> dict[str, Any]:
        success = self.grasped and not self.held and float(np.linalg.norm(self.puck - GOAL)) < NEAR_M
        return {
            "progress": 1.0 if success else 0.5 * self.grasped,
            "stage": "bring" if success else "grasp" if self.grasped else "",
            "is_success": success,
            "failure_mode": "" if success else "timeout",
            "subtasks": {"grasp": self.grasped, "bring": success},
            "object_poses": {"puck": _pose(self.puck), "goal": _pose(GOAL)},
            "gripper_poses": {"hand": _pose(self.hand)},
        }

    def _observe(self) -> dict[str, Any]:
        observed: dict[str, Any] = {"agent_pos": np.array([*self.hand[:2], self.grip], np.float32)}
        if self.object_state:
            observed["environment_state"] = np.array([*self.puck[:2], self.held], np.float32)
        return observed


class Fetch:
    """The expert: to the puck, close, to the goal, open."""

    def begin(self, rng: np.random.Generator) -> Memory:
        del rng

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        return [self._act(observation) for observation in observations]

    def _act(self, seen: Observation) -> ActionChunk:
        assert seen.object_state is not None
        held = seen.object_state[2] > 0.5
        to = (GOAL[:2] if held else seen.object_state[:2]) - seen.state[:2]
        there = float(np.linalg.norm(to)) < 0.5 * NEAR_M
        grip = (1.0 if there else -1.0) if held else (-1.0 if there else 1.0)
        return np.array([[*np.clip(to / STEP_M, -1, 1), grip]], np.float32)


def _pose(position: np.ndarray) -> np.ndarray:
    pose = np.eye(4)
    pose[:3, 3] = position
    return pose
