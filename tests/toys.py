"""A tiny world for tests: a point on a table moves to a goal. Picklable, fast, with plantable failures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from etude.core import ActionChunk, Factor, Memory, Observation, Perturbation, PerturbationSpace, Pocket, Rate

GOAL_RADIUS_M = 0.05
STEP_M = 0.08


def _infeasible(theta: Perturbation) -> str | None:
    """Both goal coordinates near the start: nothing would be left to do."""
    x, y = theta.get("goal.x_m", 0.5), theta.get("goal.y_m", 0.5)
    return "the goal lies on the start" if max(abs(x), abs(y)) < 0.1 else None


SPACE = PerturbationSpace(
    "toy-point",
    (
        Factor(name="goal.x_m", unit="m", low=-0.5, high=0.5, nominal=0.0, kind="layout"),
        Factor(name="goal.y_m", unit="m", low=-0.5, high=0.5, nominal=0.0, kind="layout"),
        Factor(name="light.intensity", unit="1", low=0.2, high=1.0, nominal=0.8, kind="lighting"),
        Factor(name="front_camera.yaw_rad", unit="rad", low=-0.3, high=0.3, nominal=0.0, kind="camera"),
        Factor(name="cube.scale", unit="1", low=0.8, high=1.2, nominal=1.0, kind="physics"),
        Factor(name="table.friction", unit="1", low=0.5, high=1.5, nominal=1.0, kind="physics"),
    ),
    _infeasible,
)

POCKET = Pocket(
    name="pocket-1",
    bounds={"light.intensity": (0.2, 0.4)},
    inside=Rate(18, 20),
    outside=Rate(2, 40),
    expert=Rate(20, 20),
    volume=0.1,
)
"""In the dark; for `replace` where a test is about another one."""


@dataclass(frozen=True, kw_only=True)
class PointTask:
    """Move a point from the origin to a goal; the front camera shows both."""

    image_size: int = 16
    max_steps: int = 30
    fps: int = 20
    cameras: tuple[str, ...] = ("front",)
    action_size: int = 2
    state_size: int = 2
    subtasks: tuple[str, ...] = ("halfway", "reach")
    failure_modes: tuple[str, ...] = ("wandered_off", "timeout")
    action_names: tuple[str, ...] = ("dx", "dy")
    state_names: tuple[str, ...] = ("x_m", "y_m")

    @property
    def action_bounds(self) -> tuple[np.ndarray, np.ndarray]:
        return -np.ones(2), np.ones(2)

    @property
    def name(self) -> str:
        return f"toy-point:image_size={self.image_size},max_steps={self.max_steps}"

    @property
    def text(self) -> str:
        return PointEnvironment.task_text

    @property
    def space(self) -> PerturbationSpace:
        return SPACE

    def environment(self, *, lazy_images: bool = False, object_state: bool = False) -> "PointEnvironment":
        return PointEnvironment(self, lazy_images=lazy_images, object_state=object_state)

    def expert(self) -> "GoToGoal":
        return GoToGoal()


class PointEnvironment:
    """The world of PointTask; `environment_state` is the goal [m] and the other factors, so a toy policy can plant."""

    task_text = "move to the goal"

    def __init__(self, task: PointTask, *, lazy_images: bool, object_state: bool) -> None:
        self.task, self.lazy_images, self.object_state = task, lazy_images, object_state
        self.closed = False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        rng = np.random.default_rng(seed)
        self.theta: Perturbation = (options or {}).get("perturbation", Perturbation())
        SPACE.check(self.theta)
        sign, drawn = rng.choice([-1.0, 1.0], 2), rng.uniform(0.2, 0.5, 2)
        self.goal = np.array(
            [self.theta.get("goal.x_m", sign[0] * drawn[0]), self.theta.get("goal.y_m", sign[1] * drawn[1])]
        )
        self.position, self.steps = rng.normal(0, 0.005, 2), 0
        self.start_distance = float(np.linalg.norm(self.goal - self.position))
        self.nearest = self.start_distance
        return self._observe(), self._info()

    def step(self, action: Any) -> Any:
        slip = 2.0 - self.theta.get("table.friction", 1.0)
        self.position = self.position + STEP_M * (0.8 + 0.2 * slip) * np.clip(action, -1, 1)
        self.steps += 1
        self.nearest = min(self.nearest, self._distance())
        info = self._info()
        done = info["is_success"] or float(np.abs(self.position).max()) > 1.0
        return self._observe(), float(info["progress"]), bool(done), self.steps >= self.task.max_steps, info

    def close(self) -> None:
        self.closed = True

    def _distance(self) -> float:
        return float(np.linalg.norm(self.goal - self.position))

    def _info(self) -> dict[str, Any]:
        covered = 1.0 - self.nearest / self.start_distance
        success = self._distance() < GOAL_RADIUS_M
        away = float(np.abs(self.position).max()) > 1.0
        return {
            "progress": 1.0 if success else max(0.0, min(0.99, covered)),
            "stage": "reach" if success else "halfway" if covered > 0.5 else "",
            "is_success": success,
            "failure_mode": "" if success else "wandered_off" if away else "timeout",
            "subtasks": {"halfway": covered > 0.5, "reach": success},
            "object_poses": {"goal": np.array([*self.goal, 0.0, 1.0, 0.0, 0.0, 0.0])},
        }

    def _observe(self) -> dict[str, Any]:
        images = Drawing(self) if self.lazy_images else {"front": self.draw()}
        observed: dict[str, Any] = {"pixels": images, "agent_pos": self.position.astype(np.float32)}
        if self.object_state:
            rest = [self.theta.get(f.name, f.nominal) for f in SPACE.factors[2:]]
            observed["environment_state"] = np.array([*self.goal, *rest], np.float32)
        return observed

    def draw(self) -> np.ndarray:
        size = self.task.image_size
        image = np.full((size, size, 3), int(200 * self.theta.get("light.intensity", 0.8)), np.uint8)
        for place, colour in ((self.goal, (200, 30, 30)), (self.position, (30, 30, 200))):
            column, row = np.clip(((place + 1) / 2 * size).astype(int), 1, size - 2)
            image[row - 1 : row + 2, column - 1 : column + 2] = colour
        return image


class Drawing(Mapping[str, np.ndarray]):
    """The image, drawn when asked for."""

    def __init__(self, environment: PointEnvironment) -> None:
        self._environment = environment

    @cached_property
    def _front(self) -> np.ndarray:
        return self._environment.draw()

    def __getitem__(self, name: str) -> np.ndarray:
        if name != "front":
            raise KeyError(name)
        return self._front

    def __iter__(self) -> Any:
        return iter(("front",))

    def __len__(self) -> int:
        return 1


class GoToGoal:
    """The expert: straight to the goal, four steps at a time."""

    def begin(self, rng: np.random.Generator) -> Memory:
        return rng

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> list[ActionChunk]:
        return [self.chunk(o, m) for o, m in zip(observations, memories, strict=True)]

    def chunk(self, observation: Observation, memory: Memory, direction: float = 1.0) -> ActionChunk:
        assert observation.object_state is not None
        gap = observation.object_state[:2] - observation.state
        noise = memory.normal(0, 0.05, (4, 2))
        return np.clip(direction * gap / max(float(np.linalg.norm(gap)), STEP_M) + noise, -1, 1).astype(np.float32)


@dataclass(frozen=True)
class PlantedPolicy(GoToGoal):
    """Goes to the goal, but inside a planted box goes away from it (in a share `failure` of the seeds).

    Also its own factory. Boxes: each a tuple of (factor name, low, high).
    """

    boxes: tuple[tuple[tuple[str, float, float], ...], ...] = ((("light.intensity", 0.2, 0.4),),)
    failure: float = 0.95
    object_state: bool = True

    def create(self) -> "PlantedPolicy":
        return self

    def begin(self, rng: np.random.Generator) -> Memory:
        return rng, bool(rng.random() < self.failure)

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> list[ActionChunk]:
        pairs = zip(observations, memories, strict=True)
        return [self.chunk(o, rng, -1.0 if fails and self.planted(o) else 1.0) for o, (rng, fails) in pairs]

    def planted(self, observation: Observation) -> bool:
        assert observation.object_state is not None
        values = dict(zip(SPACE.names, observation.object_state.tolist(), strict=True))
        return any(all(low <= values[name] <= high for name, low, high in box) for box in self.boxes)
