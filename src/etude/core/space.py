"""Factors of the world, the space they span, and one point of it."""

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from types import MappingProxyType
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.errors import ConfigError, FactorRangeError, InfeasibleError, ShapeError, UnknownNameError

type FactorKind = Literal["layout", "camera", "lighting", "appearance", "physics", "distractor"]
FACTOR_KINDS: tuple[str, ...] = get_args(FactorKind.__value__)
PICTURES_ONLY: tuple[str, ...] = ("camera", "lighting", "appearance")
"""Kinds of factors that change images and nothing else."""


@dataclass(frozen=True, kw_only=True)
class Factor:
    """One named, bounded, continuous thing about the world that can be varied.

    Attributes:
        name: `thing.quantity_unit`, e.g. "front_camera.yaw_rad".
        unit: "m", "rad", or "1" for a ratio.
        low: Smallest value.
        high: Largest value.
        nominal: Value of the unperturbed world; for a layout factor the centre of the range that the seed draws from.
        kind: What part of the world it belongs to.
        description: What a person sees change.
    """

    name: str
    unit: str
    low: float
    high: float
    nominal: float
    kind: FactorKind
    description: str = ""

    def __post_init__(self) -> None:
        if not self.low < self.high or not self.low <= self.nominal <= self.high:
            raise ConfigError(
                f"factor '{self.name}': needs low < high and low <= nominal <= high, "
                f"got {self.low:g}, {self.nominal:g}, {self.high:g}."
            )
        if self.kind not in FACTOR_KINDS:
            raise UnknownNameError("factor kind", self.kind, FACTOR_KINDS)

    def check(self, value: float) -> None:
        """Raise FactorRangeError unless a value is in the factor's range."""
        if not self.low <= value <= self.high:
            raise FactorRangeError(self.name, value, self.low, self.high, self.unit)


@dataclass(frozen=True)
class Perturbation:
    """Values for some or all factors of a space, in physical units; the others are nominal, or the seed's draw.

    The empty perturbation is the nominal world.
    """

    values: Mapping[str, float] = field(default_factory=dict[str, float])

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", MappingProxyType({k: float(v) for k, v in sorted(self.values.items())}))

    def __reduce__(self) -> tuple[type["Perturbation"], tuple[dict[str, float]]]:
        return Perturbation, (dict(self.values),)  # a mapping proxy does not pickle

    def __hash__(self) -> int:
        return hash(tuple(self.values.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Perturbation) and dict(self.values) == dict(other.values)

    def get(self, name: str, default: float) -> float:
        """The value set for a factor, or `default`."""
        return self.values.get(name, default)

    def without(self, *names: str) -> "Perturbation":
        """The same perturbation with some factors left to their nominal value."""
        return Perturbation({k: v for k, v in self.values.items() if k not in names})


def always_feasible(theta: Perturbation) -> str | None:
    """Accept every perturbation: the feasibility rule of a space without one."""
    del theta
    return None


@dataclass(frozen=True)
class PerturbationSpace:
    """An ordered set of factors with a rule that says which combinations the world can take.

    Attributes:
        name: Name of the space, part of its hash.
        factors: The factors, in the order of vectors.
        infeasible: θ -> why the world cannot take it, or None. Must be picklable (a module-level function or partial).
    """

    name: str
    factors: tuple[Factor, ...]
    infeasible: Callable[[Perturbation], str | None] = always_feasible

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Factor names, in order."""
        return tuple(f.name for f in self.factors)

    @cached_property
    def low(self) -> Float64[NDArray[np.float64], " D"]:
        """Lower bounds, shape (D,), physical units."""
        return _read_only([f.low for f in self.factors])

    @cached_property
    def high(self) -> Float64[NDArray[np.float64], " D"]:
        """Upper bounds, shape (D,), physical units."""
        return _read_only([f.high for f in self.factors])

    @cached_property
    def hash(self) -> str:
        """Hash of name and factors (16 hex digits): suites, archives and datasets carry it."""
        text = json.dumps([self.name, [asdict(f) for f in self.factors]], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def __getitem__(self, name: str) -> Factor:
        """The factor of that name. Raises UnknownNameError."""
        for factor in self.factors:
            if factor.name == name:
                return factor
        raise UnknownNameError("factor", name, self.names)

    def check(self, theta: Perturbation) -> None:
        """Raise unless every value set is of this space, in its range, and feasible together.

        Raises:
            UnknownNameError: A factor that is not of this space.
            FactorRangeError: A value out of range or not finite.
            InfeasibleError: A combination the world cannot take.
        """
        for name, value in theta.values.items():
            self[name].check(value)
        reason = self.infeasible(theta)
        if reason is not None:
            raise InfeasibleError(reason)

    def vector(self, theta: Perturbation) -> Float64[NDArray[np.float64], " D"]:
        """θ as a vector, shape (D,), physical units; unset factors stand at their nominal value."""
        return np.array([theta.get(f.name, f.nominal) for f in self.factors])

    def perturbation(self, vector: Float64[NDArray[np.float64], " D"]) -> Perturbation:
        """The full perturbation of a vector, shape (D,), physical units."""
        if vector.shape != (len(self.factors),):
            raise ShapeError("perturbation vector", (len(self.factors),), vector.shape)
        return Perturbation(dict(zip(self.names, vector.tolist(), strict=True)))

    def to_unit(self, theta: Perturbation) -> Float64[NDArray[np.float64], " D"]:
        """θ in the unit cube, shape (D,)."""
        return (self.vector(theta) - self.low) / (self.high - self.low)

    def from_unit(self, u: Float64[NDArray[np.float64], " D"]) -> Perturbation:
        """The full perturbation at a point of the unit cube, shape (D,); clipped to it."""
        clipped = np.clip(u, 0.0, 1.0)
        return self.perturbation(np.clip(self.low + clipped * (self.high - self.low), self.low, self.high))

    def sample(self, rng: np.random.Generator) -> Perturbation:
        """Draw a feasible θ uniformly (by rejection)."""
        return self.sample_counted(rng)[0]

    def sample_counted(self, rng: np.random.Generator, max_tries: int = 100_000) -> tuple[Perturbation, int]:
        """Draw a feasible θ uniformly.

        Returns:
            The perturbation and how many infeasible ones were rejected before it.

        Raises:
            InfeasibleError: None of `max_tries` draws was feasible.
        """
        for rejected in range(max_tries):
            theta = self.from_unit(rng.random(len(self.factors)))
            if self.infeasible(theta) is None:
                return theta, rejected
        raise InfeasibleError(f"no feasible point in {max_tries} draws of space '{self.name}'")

    def narrowed(self, ranges: Mapping[str, tuple[float, float]], name: str | None = None) -> "PerturbationSpace":
        """The same space with tighter ranges for some factors (nominal values are clipped into them).

        Args:
            ranges: Factor name -> (low, high), physical units, inside the factor's own range.
            name: Name of the new space; by default the old one with "-narrow".
        """
        for key, (low, high) in ranges.items():
            for value in (low, high):
                self[key].check(value)
        factors = tuple(_narrow(f, ranges[f.name]) if f.name in ranges else f for f in self.factors)
        return PerturbationSpace(name or f"{self.name}-narrow", factors, self.infeasible)


def _narrow(factor: Factor, bounds: tuple[float, float]) -> Factor:
    low, high = bounds
    return replace(factor, low=low, high=high, nominal=min(max(factor.nominal, low), high))


def _read_only(values: Iterable[float]) -> Float64[NDArray[np.float64], " D"]:
    array = np.array(list(values), dtype=np.float64)
    array.flags.writeable = False
    return array
