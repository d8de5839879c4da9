"""Making one single Gymnasium environment out of an id or a factory, with errors that a person can act on."""

import importlib
import warnings
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import Any

import gymnasium
from gymnasium.error import UnregisteredEnv

from etude.core import ConfigError, EtudeError, MissingDependencyError, UnknownNameError
from etude.sim.adapter.factors import AnyEnv
from etude.sim.adapter.observation import to_numpy
from etude.sim.adapter.offscreen import lent_binding

type Factory = Callable[..., Any]

BUILT_IN = "gymnasium"
"""Namespace for Gymnasium's own environments, whose ids have none: "gymnasium/Pusher-v5"."""

_EXTRAS = {"gym_aloha": "aloha", "gym_hil": "hil"}


class EnvironmentNotMadeError(EtudeError):
    """An environment whose own constructor failed."""

    def __init__(self, name: str, error: Exception) -> None:
        self.name = name
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        super().__init__(f"environment '{name}' could not be made: {reason}.")


def make_single(env: str | Factory, name: str, arguments: Mapping[str, Any], max_steps: int = 0) -> AnyEnv:
    """Make one environment that is not a vector.

    Args:
        env: A Gymnasium id with its namespace, or what makes an environment, single or a vector of one.
        name: For error messages.
        arguments: Keyword arguments of the environment.
        max_steps: Time limit to ask Gymnasium for, if not the id's own.

    Raises:
        MissingDependencyError: The package that registers the id is not installed.
        UnknownNameError: It registers no such id.
        ConfigError: A vector of several environments.
        EnvironmentNotMadeError: Its constructor failed.
    """
    settings = {"max_episode_steps": max_steps} if max_steps else {}
    try:
        with lent_binding(), quiet():
            make = env if callable(env) else _maker(env, settings)
            made = make(**arguments)
    except EtudeError:
        raise
    except Exception as error:
        raise EnvironmentNotMadeError(name, error) from error
    return _single(made, name)


@contextmanager
def quiet() -> Generator[None]:
    """Without the warnings of other people's packages, which whoever runs a policy in them cannot act on."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _maker(env_id: str, settings: Mapping[str, Any]) -> Factory:
    namespace, _, rest = env_id.partition("/")
    registered = rest if namespace == BUILT_IN else env_id
    if registered not in gymnasium.registry:
        _import(namespace, env_id)
    try:
        gymnasium.spec(registered)
    except UnregisteredEnv:  # Gymnasium guesses at names too, in several lines
        ids = sorted(known for known in gymnasium.registry if known.startswith(f"{namespace}/"))
        known = ids or [f"{BUILT_IN}/{spec}" for spec in gymnasium.registry if "/" not in spec]
        raise UnknownNameError("environment", env_id, known) from None

    def make(**arguments: Any) -> AnyEnv:
        return gymnasium.make(registered, disable_env_checker=True, **settings, **arguments)

    return make


def _import(namespace: str, env_id: str) -> None:
    """Import the package that registers a namespace's environments."""
    try:
        importlib.import_module(namespace)
    except ModuleNotFoundError as error:
        if error.name != namespace:
            raise MissingDependencyError(f"'{env_id}' needs the module '{error.name}', which is missing.") from error
        extra = _EXTRAS.get(namespace)
        remedy = f"pip install 'etude[{extra}]'" if extra else f"install the package that brings it, '{namespace}'"
        raise MissingDependencyError(
            f"'{env_id}' needs the package '{namespace}', which is not installed: {remedy}."
        ) from error


def _single(made: Any, name: str) -> AnyEnv:
    count = getattr(getattr(made, "unwrapped", made), "num_envs", None)
    if count is None:
        return made
    if count != 1:
        made.close()
        raise ConfigError(f"'{name}' is a vector of {count} environments: make it with one.")
    inner = getattr(made, "envs", None)
    return inner[0] if inner else Unbatched(made)


class Unbatched(gymnasium.Env[Any, Any]):
    """The one environment of a vector that keeps it to itself: in another process, or on a graphics card."""

    def __init__(self, vector: Any) -> None:
        self.vector = vector
        self.metadata, self.spec = vector.metadata, vector.spec
        # Wrappers of single environments, which some vectors wear, hide these.
        spaces = vector if hasattr(vector, "single_action_space") else vector.unwrapped
        self.observation_space, self.action_space = spaces.single_observation_space, spaces.single_action_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        """Reset it."""
        observation, info = self.vector.reset(seed=seed, options=options)
        return first(observation), first(info)

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Step it; where the vector starts the next episode at once, the last moment of this one is what counts."""
        observation, reward, terminated, truncated, info = self.vector.step(action[None])
        info = first(info)
        if terminated[0] or truncated[0]:
            observation = info.get("final_obs", None) or first(observation)
            info = {**info, **info.get("final_info", {})}
        else:
            observation = first(observation)
        return observation, float(reward[0]), bool(terminated[0]), bool(truncated[0]), info

    def close(self) -> None:
        """Close the vector."""
        self.vector.close()


def first(batched: Any) -> Any:
    """The first of everything in nested dictionaries, tuples, arrays and tensors."""
    if isinstance(batched, Mapping):
        return {key: first(value) for key, value in batched.items()}
    if isinstance(batched, tuple):
        return tuple(first(value) for value in batched)
    try:
        array = to_numpy(batched)
        return array[0] if array.ndim else batched
    except (TypeError, ValueError):
        return batched
