"""What a diagnosis looks at: episodes with their factors, and which of them failed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from etude.core import Bounds, Case, Factor, MismatchError, PerturbationSpace, Rate

type Points = Float64[NDArray[np.float64], "N D"]
type Flags = Bool[NDArray[np.bool_], " N"]


@dataclass(frozen=True, kw_only=True)
class Episodes:
    """Episodes of one policy in one space.

    Attributes:
        space: Its factors are those in question.
        cases: (θ, seed) of each episode; unset factors stand at their nominal value.
        success: Whether the policy succeeded.
        failure_modes: How each ended, "" where it succeeded or where nobody wrote it down.
        expert: Whether the expert succeeded at the same case; None where it was not asked.
    """

    space: PerturbationSpace
    cases: tuple[Case, ...]
    success: tuple[bool, ...]
    failure_modes: tuple[str, ...] = ()
    expert: tuple[bool | None, ...] = ()

    def __post_init__(self) -> None:
        for name in ("success", "failure_modes", "expert"):
            if name != "success" and not getattr(self, name):
                object.__setattr__(self, name, ("" if name == "failure_modes" else None,) * len(self.cases))
            if len(getattr(self, name)) != len(self.cases):
                raise MismatchError(f"{len(self.cases)} cases, but {len(getattr(self, name))} of '{name}'.")

    def __len__(self) -> int:
        return len(self.cases)

    @cached_property
    def points(self) -> Points:
        """All θ in the unit cube, shape (N, D)."""
        return np.array([self.space.to_unit(case.theta) for case in self.cases]).reshape(-1, len(self.space.factors))

    @cached_property
    def weaknesses(self) -> Flags:
        """Which failures are the policy's: it failed, and the expert is not known to fail as well. Shape (N,)."""
        return np.array(
            [not ok and expert is not False for ok, expert in zip(self.success, self.expert, strict=True)], dtype=bool
        )

    @property
    def failures(self) -> Rate:
        """The policy's failures among all episodes."""
        return Rate(int(self.weaknesses.sum()), len(self))

    def inside(self, bounds: Bounds) -> Flags:
        """Which episodes lie in a box, shape (N,)."""
        return mask(self.points, bounds, self.space)

    def varying(self) -> "Episodes":
        """The same episodes with only the factors that differ between them in question."""
        varies = np.ptp(self.points, axis=0) > 0 if len(self) else np.zeros(len(self.space.factors), dtype=bool)
        factors = tuple(f for f, moves in zip(self.space.factors, varies.tolist(), strict=True) if moves)
        space = PerturbationSpace(self.space.name, factors, self.space.infeasible)
        return replace(self, space=space)


def mask(points: Points, bounds: Bounds, space: PerturbationSpace) -> Flags:
    """Which points of the unit cube lie in a box, shape (N,)."""
    inside = np.ones(len(points), dtype=bool)
    for name, (low, high) in bounds.items():
        d = space.names.index(name)
        values = space.low[d] + points[:, d] * (space.high[d] - space.low[d])
        slack = 1e-9 * (space.high[d] - space.low[d])  # a value on an edge stays there when scaled back and forth
        inside &= (values >= low - slack) & (values <= high + slack)
    return inside


def space_of(columns: Mapping[str, Sequence[float]]) -> PerturbationSpace:
    """The space that measured factors span, for episodes of which no simulator knows; constant factors are left out.

    Args:
        columns: Factor -> its value in every episode.
    """
    spans = {name: (min(values), max(values)) for name, values in columns.items() if len(set(values)) > 1}
    return PerturbationSpace(
        "measured",
        tuple(
            Factor(name=name, unit="1", low=low, high=high, nominal=float(np.median(columns[name])), kind="layout")
            for name, (low, high) in spans.items()
        ),
    )
