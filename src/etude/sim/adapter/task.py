"""Any Gymnasium environment as a task."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from etude.core import ConfigError, PerturbationSpace, Policy, Vector
from etude.sim.adapter.config import GymnasiumConfig
from etude.sim.adapter.environment import FAILURE_MODES, AdaptedEnv
from etude.sim.adapter.making import make_single, quiet
from etude.sim.adapter.observation import Camera, Sources, choose_cameras, find_sources

_PAGE = "docs/any-environment.md"


@dataclass(frozen=True)
class Probe:
    """What an environment says about itself.

    Attributes:
        cameras: Those that observe.
        sources: Where everything lies in an observation.
        action_bounds: Lowest and highest action, in the shape and kind that the environment takes.
        image_size: Of every camera [px].
        fps: Control steps a second.
        max_steps: Of an episode.
    """

    cameras: tuple[Camera, ...]
    sources: Sources
    action_bounds: tuple[NDArray[Any], NDArray[Any]]
    image_size: int
    fps: int
    max_steps: int


@dataclass(frozen=True)
class GymnasiumTask:
    """A core Task around any Gymnasium environment.

    The environment is made once, when one of its properties is first asked for, and closed again; this process then
    remembers what it said.

    Attributes:
        config: All that decides it.
    """

    config: GymnasiumConfig

    @property
    def name(self) -> str:
        """The id or given name, with the options that make_task was given."""
        return self.config.title

    @property
    def text(self) -> str:
        """The task in words; by default those of its name."""
        return self.config.text or _words(self.config.world)

    @property
    def fps(self) -> int:
        """Control steps a second."""
        return self.probe.fps

    @property
    def max_steps(self) -> int:
        """Control steps after which an episode is over."""
        return self.probe.max_steps

    @property
    def cameras(self) -> tuple[str, ...]:
        """Camera names."""
        return tuple(camera.name for camera in self.probe.cameras)

    @property
    def image_size(self) -> int:
        """Height and width of every image [px]."""
        return self.probe.image_size

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the S numbers of proprioception."""
        return _names("state", self.config.state_names, self.probe.sources.state_size)

    @property
    def action_names(self) -> tuple[str, ...]:
        """Names of the A numbers of an action."""
        return _names("action", self.config.action_names, self.probe.action_bounds[0].size)

    @property
    def action_bounds(self) -> tuple[Vector, Vector]:
        """Smallest and largest action, (A,) each."""
        low, high = self.probe.action_bounds
        return low.ravel(), high.ravel()

    @property
    def subtasks(self) -> tuple[str, ...]:
        """None: an environment has no common way to tell them."""
        return ()

    @property
    def failure_modes(self) -> tuple[str, ...]:
        """Ended without success by the environment, or by time."""
        return FAILURE_MODES

    @property
    def space(self) -> PerturbationSpace:
        """The factors that were mapped; none of them makes an empty space."""
        factors = tuple(factor for source in self.config.factors for factor in source.factors)
        return PerturbationSpace(self.config.world, factors, self.config.infeasible)

    @property
    def probe(self) -> Probe:
        """What the environment says about itself."""
        return _probe(self.config)

    def environment(self, *, lazy_images: bool = False, object_state: bool = False) -> AdaptedEnv:
        """Make the environment; its images are never lazy, for the environment has drawn them already."""
        del lazy_images
        return AdaptedEnv(self, make_env(self.config), object_state=object_state)

    def expert(self) -> Policy:
        """Make the scripted expert.

        Raises:
            ConfigError: There is none.
        """
        if self.config.make_expert is None:
            raise ConfigError(
                f"task '{self.name}' has no scripted expert, and demonstrations, searches and practice need one: "
                f"give GymnasiumConfig(make_expert=…) as {_PAGE} shows, or name a checkpoint, or random."
            )
        return self.config.make_expert()


def make_env(config: GymnasiumConfig) -> gymnasium.Env[Any, Any]:
    """Make the environment itself."""
    return make_single(config.env, config.title, dict(config.make), config.max_steps)


@lru_cache(maxsize=64)
def _probe(config: GymnasiumConfig) -> Probe:
    env = make_env(config)
    try:
        return _ask(config, env)
    finally:
        with quiet():
            env.close()


def _ask(config: GymnasiumConfig, env: gymnasium.Env[Any, Any]) -> Probe:
    if not isinstance(env.action_space, spaces.Box):
        raise ConfigError(f"'{config.title}' takes {env.action_space} as actions: only those of a Box can be learned.")
    sources = find_sources(env.observation_space, config.observe)
    cameras = choose_cameras(sources, config.cameras)
    spec, metadata = getattr(env, "spec", None), getattr(env, "metadata", None) or {}
    limit = config.max_steps or (spec.max_episode_steps if spec else None)
    fps = config.fps or round(metadata.get("render_fps") or 0)
    for setting, value in (("max_steps", limit), ("fps", fps)):
        if not value:
            raise ConfigError(f"'{config.title}' does not say its {setting}: give it, e.g. {setting}=100.")
    sides = [side for camera in cameras for side in (camera.height_px, camera.width_px)]
    return Probe(
        cameras=cameras,
        sources=sources,
        action_bounds=(np.array(env.action_space.low), np.array(env.action_space.high)),
        image_size=config.image_size or min(sides, default=0),
        fps=fps,
        max_steps=int(limit or 0),
    )


def _names(kind: str, given: tuple[str, ...], size: int) -> tuple[str, ...]:
    if given and len(given) != size:
        raise ConfigError(f"{kind}_names has {len(given)} names, and the environment {size} numbers.")
    return given or tuple(f"{kind}_{index}" for index in range(size))


def _words(title: str) -> str:
    """Turn "gym_aloha/AlohaTransferCube-v0" into "aloha transfer cube"."""
    plain = title.rpartition("/")[2].partition("-v")[0]
    return " ".join("".join(f" {c.lower()}" if c.isupper() else c for c in plain).replace("-", " ").split())
