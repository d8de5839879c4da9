"""A stranger's environment behind the contract of Etude's own: θ at reset, square images, one vocabulary of info."""

import weakref
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import gymnasium
import numpy as np
from gymnasium import spaces

from etude.core import Image, Perturbation, ShapeError, Vector
from etude.sim.adapter.factors import Adjuster, AnyEnv, complete
from etude.sim.adapter.making import quiet
from etude.sim.adapter.paths import follow, parse
from etude.sim.adapter.success import SuccessRule

if TYPE_CHECKING:
    from etude.sim.adapter.task import GymnasiumTask

FAILURE_MODES = ("failed", "timeout")
"""The episode was ended by the environment, or by time."""

_ALMOST = 0.99  # the most progress without success


class AdaptedEnv(gymnasium.Env[Mapping[str, Any], Vector]):
    """The environment of one GymnasiumTask; see core's Environment for the contract.

    Rewards and the environment's own info pass through. `inner` is the environment that does the work.
    """

    def __init__(self, task: "GymnasiumTask", inner: AnyEnv, *, object_state: bool = False) -> None:
        self.task, self.task_text, self.inner = task, task.text, inner
        self.metadata = {"render_modes": ["rgb_array"], "render_fps": task.fps}
        self.render_mode = "rgb_array"
        self._config, self._probe, self._space = task.config, task.probe, task.space
        self._size_px, self._cameras = task.image_size, task.probe.cameras
        self._object_state = object_state
        self._success = SuccessRule(task.config.success)
        self._adjuster = Adjuster(inner, task.config.factors)
        # Graphics contexts must be closed before the interpreter ends, or their libraries complain.
        self._close = weakref.finalize(self, inner.close)
        self._raw: Any = None
        self._steps, self._progress = 0, 0.0
        low, high = (np.float32(bound.ravel()) for bound in self._probe.action_bounds)
        self.action_space = spaces.Box(low, high, dtype=np.float32)
        self.observation_space = self._make_observation_space()

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """Start an episode in the world that (θ, seed) fixes, as far as the environment lets its seed fix it.

        Args:
            seed: For the environment, and for the factors that θ leaves to the seed; None continues this one's stream.
            options: {"perturbation": Perturbation or mapping of factor -> value}; others go to the environment.

        Raises:
            UnknownNameError, FactorRangeError, InfeasibleError: θ is not of this task; the last episode goes on.
            FactorNotSettableError: The environment has no place for a factor; the next reset is whole again.
        """
        super().reset(seed=seed)
        given = dict(options or {})
        theta = given.pop("perturbation", Perturbation())
        theta = theta if isinstance(theta, Perturbation) else Perturbation(theta)
        self._space.check(theta)
        seed = int(self.np_random.integers(2**31)) if seed is None else seed
        self._raw, info = self._start(complete(self._config.factors, theta, seed), seed, given)
        self._steps, self._progress = 0, 0.0
        return self._observe(), self._info(info, success=False, terminated=False)

    def step(self, action: Vector) -> tuple[Mapping[str, Any], float, bool, bool, dict[str, Any]]:
        """Advance one control period.

        Raises:
            ShapeError: The action has another shape or is not finite; the world has not moved.
            ConfigError: The episode is over, and nothing said whether it was a success.
        """
        self._raw, reward, terminated, truncated, info = self.inner.step(self._checked(action))
        reward, terminated = float(reward), bool(terminated)
        self._steps += 1
        over = terminated or bool(truncated) or self._steps >= self.task.max_steps
        success = self._success.judge(reward, terminated, info)
        if over and success is None:
            raise self._success.missing(self.task.name, info)
        if success and self._config.end_at_success:
            terminated = over = True
        if self._config.full_reward:
            self._progress = max(self._progress, min(_ALMOST, reward / self._config.full_reward))
        facts = self._info(info, success=bool(success), terminated=terminated)
        return self._observe(), reward, terminated, over and not terminated, facts

    def render(self) -> Image:
        """What the first camera sees now; without cameras, what the environment itself draws, or one black pixel."""
        if self._cameras:
            return self._cameras[0].read(self._raw, self._size_px, self._config.fit)
        drawn = self.inner.render() if self.inner.render_mode == "rgb_array" else None
        return np.asarray(drawn, np.uint8) if drawn is not None else np.zeros((1, 1, 3), np.uint8)

    def close(self) -> None:
        """Close the environment."""
        self._close()

    def _start(self, values: Mapping[str, float], seed: int, options: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
        self._adjuster.restore()
        self._adjuster.apply(values, "before")
        with quiet():  # many environments warn about themselves the first time they start
            raw, info = self.inner.reset(seed=seed, options={**options, **self._adjuster.options(values)} or None)
        if self._adjuster.apply(values, "after") and self._config.observe_again is not None:
            raw = through_wrappers(self.inner, self._config.observe_again(self.inner.unwrapped))
        return raw, info

    def _checked(self, action: Vector) -> Any:
        """The action as the environment wants it."""
        array = np.asarray(action, dtype=np.float64)
        low, high = self._probe.action_bounds
        if array.shape != (low.size,):
            raise ShapeError("action", (low.size,), array.shape)
        if not np.isfinite(array).all():
            raise ShapeError("action", "finite numbers", array.tolist())
        array = array.reshape(low.shape)
        return (np.clip(array, low, high) if self._config.clip_actions else array).astype(low.dtype)

    def _observe(self) -> dict[str, Any]:
        observation: dict[str, Any] = {"agent_pos": self._probe.sources.read_state(self._raw)}
        if self._cameras:
            fit = self._config.fit
            observation["pixels"] = {c.name: c.read(self._raw, self._size_px, fit) for c in self._cameras}
        if self._object_state and (objects := self._objects()) is not None:
            observation["environment_state"] = objects
        return observation

    def _objects(self) -> Vector | None:
        if self._config.object_state:
            return self._attribute_state()
        return self._probe.sources.read_object_state(self._raw)

    def _attribute_state(self) -> Vector:
        return np.array(follow(self.inner, parse(self._config.object_state)), dtype=np.float32).ravel()

    def _info(self, info: Mapping[str, Any], *, success: bool, terminated: bool) -> dict[str, Any]:
        return {
            **info,
            "progress": 1.0 if success else self._progress,
            "stage": "",
            "is_success": success,
            "failure_mode": "" if success else "failed" if terminated else "timeout",
            "subtasks": {},
            "object_poses": {},
        }

    def _make_observation_space(self) -> spaces.Dict:
        image = spaces.Box(0, 255, (self._size_px, self._size_px, 3), np.uint8)
        parts: dict[str, spaces.Space[Any]] = {"agent_pos": _numbers(self._probe.sources.state_size)}
        if self._cameras:
            parts["pixels"] = spaces.Dict({camera.name: image for camera in self._cameras})
        if self._object_state and self._config.object_state:
            parts["environment_state"] = _numbers(self._attribute_state().size)
        elif self._object_state and self._probe.sources.object_state:
            parts["environment_state"] = _numbers(self._probe.sources.object_size)
        return spaces.Dict(parts)


def through_wrappers(env: AnyEnv, observation: Any) -> Any:
    """What an observation of the unwrapped environment becomes on its way out through observation wrappers."""
    if not isinstance(env, gymnasium.Wrapper):
        return observation
    observation = through_wrappers(env.env, observation)
    return env.observation(observation) if isinstance(env, gymnasium.ObservationWrapper) else observation


def _numbers(size: int) -> spaces.Box:
    largest = float(np.finfo(np.float32).max)
    return spaces.Box(-largest, largest, (size,), np.float32)
