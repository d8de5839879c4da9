"""An Etude world's settings as LeRobot's config, registered under the name "etude"."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import gymnasium
from lerobot.configs import FeatureType, PolicyFeature
from lerobot.envs.configs import EnvConfig
from lerobot.envs.utils import freeze_after_episode_end
from lerobot.utils.constants import ACTION, OBS_IMAGES, OBS_STATE

from etude.core import ConfigError, Task, UnknownNameError
from lerobot_env_etude.environment import SPREADS, EpisodeEnv

type VectorEnvs = dict[str, dict[int, gymnasium.vector.VectorEnv[Any, Any, Any]]]


@EnvConfig.register_subclass("etude")
@dataclass
class EtudeEnvConfig(EnvConfig):
    """One of Etude's worlds for LeRobot's commands.

    Attributes:
        task: A registered task with its options, e.g. "franka-stack:cubes=2,image_size=128".
        fps: Control steps a second: the task's own. 0 stands for it, and no other number is possible.
        space: "nominal", or "uniform" to draw every factor of the world for each episode.
    """

    task: str | None = "franka-stack"
    fps: int = 0
    space: str = "nominal"

    def __post_init__(self) -> None:
        task = self._make_task()
        if self.space not in SPREADS:
            raise UnknownNameError("space", self.space, SPREADS)
        if self.fps not in (0, task.fps):
            raise ConfigError(f"--env.fps={self.fps}: task '{task.name}' runs at {task.fps}; leave it out.")
        self.fps = task.fps
        self.features, self.features_map = _features(task), _names(task)

    @property
    def gym_kwargs(self) -> dict[str, Any]:
        """None: these environments are not made by `gymnasium.make`."""
        return {}

    def create_envs(self, n_envs: int, use_async_envs: bool = False) -> VectorEnvs:
        """Make the vector environment, {"etude": {0: …}}.

        Args:
            n_envs: How many episodes run at a time.
            use_async_envs: Whether each has a process of its own, if there are several.
        """
        # An environment whose episode is over stands still until the next rollout. LeRobot counts one step too many of
        # each episode: restarted at once, a finished environment would lend it the first step of another.
        make = freeze_after_episode_end(partial(EpisodeEnv, self._make_task(), self.space))
        mode = gymnasium.vector.AutoresetMode.NEXT_STEP
        if use_async_envs and n_envs > 1:
            # Processes that inherit nothing: an OpenGL context does not survive a fork.
            vector = gymnasium.vector.AsyncVectorEnv([make] * n_envs, context="forkserver", autoreset_mode=mode)
        else:
            vector = gymnasium.vector.SyncVectorEnv([make] * n_envs, autoreset_mode=mode)
        return {self.type: {0: vector}}

    def _make_task(self) -> Task:
        from etude.sim import make_task  # here, since every LeRobot command imports this module, and MuJoCo is heavy

        return make_task(self.task or "")


def _features(task: Task) -> dict[str, PolicyFeature]:
    image = PolicyFeature(type=FeatureType.VISUAL, shape=(task.image_size, task.image_size, 3))
    return {
        ACTION: PolicyFeature(type=FeatureType.ACTION, shape=(len(task.action_names),)),
        "agent_pos": PolicyFeature(type=FeatureType.STATE, shape=(len(task.state_names),)),
        **{f"pixels/{camera}": image for camera in task.cameras},
    }


def _names(task: Task) -> dict[str, str]:
    """The environment's names of its features -> LeRobot's."""
    images = {f"pixels/{camera}": f"{OBS_IMAGES}.{camera}" for camera in task.cameras}
    return {ACTION: ACTION, "agent_pos": OBS_STATE, **images}
