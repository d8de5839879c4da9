"""A task's environment as LeRobot's commands drive it: a seed fixes an episode, and its last step judges it."""

from collections.abc import Mapping
from typing import Any, cast

import gymnasium
import numpy as np

from etude.core import Image, Perturbation, Task, Vector, stream

SPREADS = ("nominal", "uniform")

type _Environment = gymnasium.Env[Mapping[str, Any], Vector]
type _Observed = tuple[Mapping[str, Any], dict[str, Any]]
type _Stepped = tuple[Mapping[str, Any], float, bool, bool, dict[str, Any]]


class EpisodeEnv(gymnasium.Wrapper[Mapping[str, Any], Vector, Mapping[str, Any], Vector]):
    """One environment of a task.

    LeRobot calls an episode a success if `is_success` is true at any of its steps; so that it means what `etude eval`
    means by it, the goal reached in passing does not count here: `is_success` is false until the episode ends.

    Attributes:
        task: The task's name, with its options.
        task_description: The task in words, for the policy.
    """

    def __init__(self, task: Task, space: str) -> None:
        super().__init__(cast(_Environment, task.environment()))
        self.task, self.task_description = task.name, task.text
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": task.fps}
        self._max_episode_steps = task.max_steps  # LeRobot asks for it by this name
        self._space = task.space if space == "uniform" else None
        self._images: Mapping[str, Image] = {}

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> _Observed:
        """Start the episode that `seed` fixes; without one, the next of the environment's own stream.

        Args:
            seed: Draws θ where every factor varies, and then what θ leaves to the seed.
            options: LeRobot's own marks, which are not the world's.
        """
        del options
        if seed is None:
            seed = int(self.np_random.integers(2**31))
        theta = self._space.sample(stream(seed, "theta")) if self._space else Perturbation()
        observation, info = self.env.reset(seed=seed, options={"perturbation": theta})
        return self._seen(observation), self._judged(info, over=False)

    def step(self, action: Vector) -> _Stepped:
        """Advance one control period."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return (
            self._seen(observation),
            float(reward),
            terminated,
            truncated,
            self._judged(info, over=terminated or truncated),
        )

    def render(self) -> Image:
        """What the policy's cameras see now, side by side; a task without cameras draws its own view."""
        if self._images:
            return np.concatenate(list(self._images.values()), axis=1)
        return cast(Image, self.env.render())

    def _seen(self, observation: Mapping[str, Any]) -> Mapping[str, Any]:
        self._images = observation.get("pixels", {})
        return observation

    def _judged(self, info: Mapping[str, Any], *, over: bool) -> dict[str, Any]:
        """What LeRobot asks for; poses and sub-tasks would only slow down a vector of environments."""
        return {"is_success": over and bool(info["is_success"]), "progress": float(info["progress"])}
