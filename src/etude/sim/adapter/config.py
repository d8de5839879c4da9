"""What a person says about somebody else's environment, beyond what it says about itself."""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from etude.core import ConfigError, Perturbation, Policy, UnknownNameError
from etude.core.space import always_feasible
from etude.sim.adapter.factors import FactorSource
from etude.sim.adapter.making import Factory
from etude.sim.adapter.observation import Fit, ObservationMapping
from etude.sim.adapter.success import SuccessRule

OPTIONS = ("cameras", "image_size", "fit", "fps", "max_steps", "success", "full_reward", "end_at_success")
"""Settings that can be written behind a task's name."""


@dataclass(frozen=True, kw_only=True)
class GymnasiumConfig:
    """What an environment does not say about itself, or says otherwise than wanted.

    Attributes:
        env: Gymnasium id with its namespace, "gym_aloha/AlohaInsertion-v0", whose package is then imported; or a
            module-level function (or a partial of one) that makes an environment, single or a vector of one.
        name: Name of the task; needed with a function, else the id.
        make: Keyword arguments of the environment, as pairs.
        text: The task in words.
        factors: What can vary, and how.
        infeasible: Combinations of factors that the world cannot take: θ -> why not, or None.
        observe: Which parts of an observation are what; most are found without.
        observe_again: Unwrapped environment -> a fresh observation; for factors that are set after its reset, and
            recomputes what follows from them.
        object_state: Attribute path of what experts see, where observations have no "environment_state".
        success: How success shows; see SuccessRule.
        full_reward: Step reward that means the task is done: progress is the largest share of it so far. With 0,
            progress is success.
        end_at_success: Whether success ends an episode.
        cameras: Which cameras observe; none makes a state-only task.
        image_size: Height and width of every image [px]; 0 for the shortest side of all.
        fit: What happens to the longer side of an image: "crop" keeps the middle, "pad" keeps all, on black.
        fps: Control steps a second; 0 for the environment's render_fps.
        max_steps: Control steps of an episode; 0 for the id's own limit.
        clip_actions: Whether actions are clipped to the bounds of the action space.
        state_names: Names of proprioception's numbers; by default state_0, state_1, ….
        action_names: Names of an action's numbers; by default action_0, action_1, ….
        make_expert: Makes a scripted expert, a module-level function.
    """

    env: str | Factory
    name: str = ""
    make: tuple[tuple[str, Any], ...] = ()
    text: str = ""
    factors: tuple[FactorSource, ...] = ()
    infeasible: Callable[[Perturbation], str | None] = always_feasible
    observe: ObservationMapping = field(default_factory=ObservationMapping)
    observe_again: Callable[[Any], Any] | None = None
    object_state: str = ""
    success: str = ""
    full_reward: float = 0.0
    end_at_success: bool = True
    cameras: tuple[str, ...] = ("all",)
    image_size: int = 0
    fit: Fit = "crop"
    fps: int = 0
    max_steps: int = 0
    clip_actions: bool = True
    state_names: tuple[str, ...] = ()
    action_names: tuple[str, ...] = ()
    make_expert: Callable[[], Policy] | None = None

    def __post_init__(self) -> None:
        if callable(self.env):
            _require_picklable(self.env)
            if not self.name:
                raise ConfigError("a task made from a function needs a name: GymnasiumConfig(env=…, name='my-task').")
        elif "/" not in self.env:
            raise ConfigError(f"environment '{self.env}': write it with its namespace, e.g. gymnasium/{self.env}.")
        for setting, least in (("image_size", 8), ("fps", 1), ("max_steps", 1)):
            if (value := getattr(self, setting)) != 0 and value < least:
                raise ConfigError(f"{setting} = {value}: choose at least {least}, or 0 for the environment's own.")
        if self.fit not in ("crop", "pad"):
            raise UnknownNameError("fit", self.fit, ("crop", "pad"))
        try:
            hash(self.make)
        except TypeError:
            raise ConfigError(f"make = {self.make}: write (name, value) pairs, and lists in them as tuples.") from None
        SuccessRule(self.success)

    @property
    def title(self) -> str:
        """The name, or the id."""
        return self.name or str(self.env)

    @property
    def world(self) -> str:
        """The title without options: what the space of factors belongs to."""
        return self.title.partition(":")[0]

    def with_options(self, values: Mapping[str, Any], arguments: Mapping[str, str]) -> "GymnasiumConfig":
        """The same with some settings replaced, which its name then tells.

        Args:
            values: Settings of OPTIONS.
            arguments: Keyword arguments of the environment, as written.
        """
        make = {**dict(self.make), **{key: _literal(value) for key, value in arguments.items()}}
        changed = [f"{k}={_option_text(values[k])}" for k in OPTIONS if k in values and values[k] != getattr(self, k)]
        changed += [f"make.{key}={value}" for key, value in sorted(arguments.items())]
        name = f"{self.world}:{','.join(changed)}" if changed else self.name
        return replace(self, **values, make=tuple(sorted(make.items())), name=name)


def _require_picklable(factory: Factory) -> None:
    try:
        pickle.dumps(factory)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise ConfigError(
            f"{factory!r} cannot be sent to other processes: make the environment in a function of a module."
        ) from error


def _option_text(value: object) -> str:
    if isinstance(value, tuple):
        return "+".join(str(part) for part in value) or "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _literal(text: str) -> Any:
    """What was meant: true, false, none, a number, or the text itself."""
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
