"""Environments as strangers write them, for the adapter's tests: module-level, so that other processes find them."""

from types import SimpleNamespace
from typing import Any, ClassVar

import gymnasium
import numpy as np
from gymnasium import spaces

NUMBERS = spaces.Box(-np.inf, np.inf, (2,), np.float64)


class Reach(gymnasium.Env[Any, Any]):
    """A point moves to a target; cameras of two kinds, nested state."""

    metadata: ClassVar[dict[str, Any]] = {"render_fps": 10}
    spec = SimpleNamespace(max_episode_steps=20)

    def __init__(self, *, speed: float = 0.2, says_success: bool = True) -> None:
        self.speed, self.says_success = speed, says_success
        self.scene = SimpleNamespace(light=np.array([1.0, 1.0, 1.0]), steps_kept=3, label="reach", table=[0.5])
        self.observation_space = spaces.Dict(
            {
                "views": spaces.Dict(
                    {
                        "front": spaces.Box(0, 255, (24, 32, 3), np.uint8),
                        "side": spaces.Box(0.0, 1.0, (1, 16, 16), np.float32),
                    }
                ),
                "robot": spaces.Dict({"pos": NUMBERS, "vel": NUMBERS, "work": spaces.Discrete(3)}),
                "environment_state": NUMBERS,
            }
        )
        self.action_space = spaces.Box(-1.0, 1.0, (2,), np.float32)
        self.resets, self.closed = 0, False

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=seed)
        self.resets += 1
        drawn = self.np_random.uniform(-0.8, 0.8, 2)
        self.target = np.array([(options or {}).get("target_x", drawn[0]), drawn[1]])
        self.position, self.velocity = np.zeros(2), np.zeros(2)
        return self.observe(), {}

    def step(self, action: Any) -> Any:
        assert self.action_space.contains(action)
        self.velocity = self.speed * action.astype(float)
        self.position = self.position + self.velocity
        distance = float(np.linalg.norm(self.target - self.position))
        info = {"success": distance < 0.2} if self.says_success else {"distance": distance}
        fell = bool(np.abs(self.position).max() > 1.5)
        return self.observe(), 1.0 - distance, fell, False, info

    def observe(self) -> dict[str, Any]:
        front = np.full((24, 32, 3), 100 * self.scene.light, np.uint8)
        front[:, :4] = 255  # beyond the middle square
        side = np.full((1, 16, 16), 0.5, np.float32)
        robot = {"pos": self.position, "vel": self.velocity, "work": 1}
        return {"views": {"front": front, "side": side}, "robot": robot, "environment_state": self.target}

    def close(self) -> None:
        self.closed = True


class Careless(Reach):
    """Draws its target from a global state, as some do."""

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        super().reset(seed=None, options=options)
        return self.observe(), {}


class InAnotherProcess(gymnasium.Env[Any, Any]):
    """A vector of one that keeps its environment to itself and starts the next episode in the same step."""

    def __init__(self) -> None:
        self.vector = gymnasium.vector.SyncVectorEnv([Reach], autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP)
        self.num_envs = 1
        self.metadata, self.spec = Reach.metadata, Reach.spec
        self.single_observation_space = self.vector.single_observation_space
        self.single_action_space = self.vector.single_action_space
        self.reset, self.step, self.close = self.vector.reset, self.vector.step, self.vector.close


def reach() -> Reach:
    return Reach()


def reach_without_success() -> Reach:
    return Reach(says_success=False)


def careless() -> Careless:
    return Careless()


def vector_of_one() -> Any:
    return gymnasium.vector.SyncVectorEnv([Reach])


def vector_of_two() -> Any:
    return gymnasium.vector.SyncVectorEnv([Reach, Reach])


def hidden_vector() -> Any:
    return InAnotherProcess()


def broken() -> Reach:
    raise RuntimeError("no graphics card\nwas found")


def set_speed(env: Any, value: float) -> None:
    env.unwrapped.speed = value
