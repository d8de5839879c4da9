"""How factors reach an environment that was not made for them: as options of its reset, or by writing its attributes.

What is written is remembered and put back before the next reset, so that nothing accumulates over episodes.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import gymnasium
import numpy as np

from etude.core import ConfigError, EtudeError, Factor, Perturbation, UnknownNameError, stream
from etude.sim.adapter.paths import Place, follow, parse
from etude.sim.variations import Variation

type Moment = Literal["before", "after"]
"""Of the environment's own reset."""
type How = Literal["set", "add", "scale"]
type AnyEnv = gymnasium.Env[Any, Any]


class FactorNotSettableError(EtudeError):
    """A factor that this environment has no place for."""

    def __init__(self, factor: str, reason: str) -> None:
        self.factor, self.reason = factor, reason
        super().__init__(f"factor '{factor}' cannot be set in this environment: {reason.rstrip('.')}.")


@dataclass(frozen=True)
class ResetOption:
    """The factor's value is passed as `reset(options={key: value})`."""

    key: str


@dataclass(frozen=True)
class Attribute:
    """The factor's value goes to an attribute of the environment.

    Attributes:
        path: E.g. "unwrapped.model.light_diffuse[0]", from the outermost wrapper; see `adapter.paths`.
        how: The value itself, or what is added to or multiplied with what is there, be it a number or a whole array.
        when: Before the environment's own reset, or after it for what that would overwrite.
        also: Further paths that get the same.
    """

    path: str
    how: How = "set"
    when: Moment = "before"
    also: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for path in self.writes:
            parse(path)
        if self.how not in ("set", "add", "scale"):
            raise UnknownNameError("way to write an attribute", self.how, ("set", "add", "scale"))
        _require_moment(self.when)

    @property
    def writes(self) -> tuple[str, ...]:
        """All paths."""
        return (self.path, *self.also)

    def apply(self, env: AnyEnv, value: float) -> None:
        """Write the value."""
        for path in self.writes:
            place = Place.find(env, path)
            present = place.read()
            if self.how == "set" and np.size(present) != 1:
                raise ConfigError(
                    f"'{path}' has shape {np.shape(present)}: name one number with [index], or use how='scale'."
                )
            place.write(value if self.how == "set" else present + value if self.how == "add" else present * value)


@dataclass(frozen=True)
class Call:
    """The factor's value is given to a function of one's own.

    Attributes:
        function: (environment, outermost wrapper first; value); a function of a module, so that it can be sent to
            other processes.
        writes: Attribute paths that it changes and the environment's reset does not put back.
        when: Before the environment's own reset, or after it for what that would overwrite.
    """

    function: Callable[[Any, float], None]
    writes: tuple[str, ...] = ()
    when: Moment = "after"

    def __post_init__(self) -> None:
        _require_moment(self.when)

    def apply(self, env: AnyEnv, value: float) -> None:
        """Call it."""
        self.function(env, value)


class FactorSource(Protocol):
    """Factors, and how they reach an environment; frozen, compared by value, picklable."""

    @property
    def factors(self) -> tuple[Factor, ...]:
        """In the order of the space."""
        ...

    @property
    def drawn(self) -> bool:
        """Whether the seed draws values that θ leaves unset."""
        ...

    @property
    def when(self) -> Moment:
        """Before the environment's own reset, or after it."""
        ...

    @property
    def writes(self) -> tuple[str, ...]:
        """Attribute paths that `apply` changes: they are put back before the next reset."""
        ...

    def options(self, values: Mapping[str, float]) -> dict[str, float]:
        """Options for the environment's own reset, for the values that are set."""
        ...

    def apply(self, env: AnyEnv, values: Mapping[str, float]) -> None:
        """Write the values that are set; ConfigError where the environment has no place for them."""
        ...


@dataclass(frozen=True)
class FactorMapping:
    """One factor, and how it reaches the environment.

    Attributes:
        factor: What varies. Where it is added to what is there its nominal value is 0, where multiplied 1.
        to: How its value is set.
        drawn: Where θ leaves it unset, the seed draws it from its range: for what the environment itself does not
            vary, or not by its seed. If not, the environment decides.
    """

    factor: Factor
    to: ResetOption | Attribute | Call
    drawn: bool = False

    def __post_init__(self) -> None:
        neutral = {"add": 0.0, "scale": 1.0}.get(self.to.how) if isinstance(self.to, Attribute) else None
        if neutral is not None and self.factor.nominal != neutral:
            raise ConfigError(
                f"factor '{self.factor.name}' changes an attribute by what is there already: "
                f"its nominal value is {neutral:g}, not {self.factor.nominal:g}."
            )

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The one."""
        return (self.factor,)

    @property
    def when(self) -> Moment:
        """As its setting says."""
        return "before" if isinstance(self.to, ResetOption) else self.to.when

    @property
    def writes(self) -> tuple[str, ...]:
        """As its setting says."""
        return () if isinstance(self.to, ResetOption) else self.to.writes

    def options(self, values: Mapping[str, float]) -> dict[str, float]:
        """Its option, if it is one."""
        return {self.to.key: values[self.factor.name]} if isinstance(self.to, ResetOption) else {}

    def apply(self, env: AnyEnv, values: Mapping[str, float]) -> None:
        """Set it."""
        if not isinstance(self.to, ResetOption):
            self.to.apply(env, values[self.factor.name])


@dataclass(frozen=True)
class ModelVariation:
    """Factors of Etude's own worlds (cameras, colours, friction, sizes) in somebody else's MuJoCo model.

    Attributes:
        model: Path of the mujoco.MjModel, e.g. "unwrapped.model".
        variation: What varies.
        when: "after" where the environment's reset compiles a new model.
    """

    model: str
    variation: Variation
    when: Moment = "before"
    drawn = False

    def __post_init__(self) -> None:
        parse(self.model)
        _require_moment(self.when)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """Those of the variation."""
        return self.variation.factors

    @property
    def writes(self) -> tuple[str, ...]:
        """The arrays of the model that change."""
        return tuple(f"{self.model}.{name}" for name in self.variation.fields)

    def options(self, values: Mapping[str, float]) -> dict[str, float]:
        """None."""
        del values
        return {}

    def apply(self, env: AnyEnv, values: Mapping[str, float]) -> None:
        """Change the model."""
        self.variation.apply(follow(env, parse(self.model)), Perturbation(values))


def complete(sources: Iterable[FactorSource], theta: Perturbation, seed: int) -> dict[str, float]:
    """The values that θ sets, and those that the seed draws; each draw is the same whatever θ says."""
    rng = stream(seed, "layout")
    factors = [factor for source in sources if source.drawn for factor in source.factors]
    return {**{f.name: float(rng.uniform(f.low, f.high)) for f in factors}, **theta.values}


class Adjuster:
    """Sets factors in one environment, and puts back what it changed."""

    def __init__(self, env: AnyEnv, sources: Sequence[FactorSource]) -> None:
        self._env, self._sources = env, sources
        self._changed: list[tuple[Place, Any]] = []

    def options(self, values: Mapping[str, float]) -> dict[str, float]:
        """The options of the environment's own reset."""
        return {k: v for source, some in self._due(values) for k, v in source.options(some).items()}

    def restore(self) -> None:
        """Put back everything that was changed, the last change first."""
        _put_back(self._changed)

    def apply(self, values: Mapping[str, float], when: Moment) -> bool:
        """Write the values whose moment this is, in the order of the sources.

        Returns:
            Whether there were any.

        Raises:
            FactorNotSettableError: The environment has no place for one of them; `restore` undoes the others.
        """
        due = [(source, some) for source, some in self._due(values) if source.when == when]
        for source, some in due:
            nominal: list[tuple[Place, Any]] = []
            try:
                nominal += [(p, p.read()) for p in (Place.find(self._env, path) for path in source.writes)]
                source.apply(self._env, some)
            except (ConfigError, AttributeError, LookupError, TypeError, ValueError) as error:
                with suppress(ConfigError):  # what could not be written need not be put back
                    _put_back(nominal)
                reason = str(error) if isinstance(error, ConfigError) else repr(error)
                raise FactorNotSettableError(next(iter(some)), reason) from error
            self._changed += nominal
        return bool(due)

    def _due(self, values: Mapping[str, float]) -> list[tuple[FactorSource, dict[str, float]]]:
        """Sources that have something to set, with what."""
        found = [(s, {f.name: values[f.name] for f in s.factors if f.name in values}) for s in self._sources]
        return [(source, some) for source, some in found if some]


def _put_back(changed: list[tuple[Place, Any]]) -> None:
    while changed:
        place, nominal = changed.pop()
        place.write(nominal)


def _require_moment(when: Moment) -> None:
    if when not in ("before", "after"):
        raise UnknownNameError("moment", when, ("before", "after"))
