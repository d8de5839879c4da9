"""Planted causes: a policy whose failures have causes that we know, answered at once, so that diagnoses meet the truth.

It fails with probability `failure` inside boxes of two to four factors and with `elsewhere` outside. A third of the
factors are layout: where θ leaves them unset, the seed draws them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import Bounds, Case, Factor, Outcome, Perturbation, PerturbationSpace, stream
from etude.diagnosis.episodes import Points, mask

_LAYOUTS = 3


@dataclass(frozen=True, kw_only=True)
class PlantedCauses:
    """A policy that fails for known causes.

    Attributes:
        space: What can vary.
        causes: Where it fails: factor -> (low, high), physical units.
        failure: Chance that it fails there.
        elsewhere: Chance that it fails outside all of them.
        chaotic: Whether chance is drawn anew for every θ, as where any change decides; else the seed keeps it.
    """

    space: PerturbationSpace
    causes: tuple[Bounds, ...]
    failure: float = 0.9
    elsewhere: float = 0.04
    chaotic: bool = False

    @staticmethod
    def draw(
        rng: np.random.Generator,
        *,
        factors: int = 10,
        holes: bool = False,
        elsewhere: float = 0.04,
        chaotic: bool = False,
    ) -> "PlantedCauses":
        """Draw one to three causes, each 3 to 8 % of the space's volume.

        Args:
            rng: Draws where they lie.
            factors: Of the space, D.
            holes: Whether a part of the space cannot be: where the first cause's last factor is undone.
            elsewhere: Chance of a failure outside all causes.
            chaotic: Whether any change rolls the dice again.
        """
        space = planted_space(factors, rng)
        causes = tuple(_box(space, rng) for _ in range(int(rng.integers(1, 4))))
        if holes:
            space = PerturbationSpace("planted-holes", space.factors, Hole.beside(space, causes[0]))
        return PlantedCauses(space=space, causes=causes, elsewhere=elsewhere, chaotic=chaotic)

    def policy(self, cases: Sequence[Case]) -> list[Outcome]:
        """What becomes of the policy, case by case."""
        failed = self._luck(cases) < self.chance(cases)
        return [_outcome(case, not fails) for case, fails in zip(cases, failed.tolist(), strict=True)]

    def chance(self, cases: Sequence[Case]) -> Float64[NDArray[np.float64], " N"]:
        """The chance that the policy fails, case by case, shape (N,)."""
        points = self._points(cases)
        inside = np.logical_or.reduce([mask(points, cause, self.space) for cause in self.causes])
        return np.where(inside, self.failure, self.elsewhere)

    def repair(self, cases: Sequence[Case], changed: Sequence[Case]) -> float:
        """The share of failures that a change repairs, in expectation: the truth a counterfactual estimates.

        Args:
            cases: The failures, as they were.
            changed: The same with something changed, in the same order.
        """
        before, after = self.chance(cases), self.chance(changed)
        kept = after if self.chaotic else np.minimum(1.0, after / before)
        return float(1 - kept.mean())

    def _points(self, cases: Sequence[Case]) -> Points:
        """Where the worlds are in the unit cube, shape (N, D): what θ leaves unset is nominal, or the seed's draw."""
        return np.array([self.space.to_unit(self._world(case)) for case in cases]).reshape(-1, len(self.space.factors))

    def _world(self, case: Case) -> Perturbation:
        missing = [f for f in self.space.factors if f.kind == "layout" and f.name not in case.theta.values]
        drawn = {f.name: float(stream(case.seed, "layout", f.name).uniform(f.low, f.high)) for f in missing}
        return Perturbation({**case.theta.values, **drawn})

    def _luck(self, cases: Sequence[Case]) -> Float64[NDArray[np.float64], " N"]:
        keys = [repr(case.theta.values) if self.chaotic else "" for case in cases]
        return np.array([stream(case.seed, "luck", key).random() for case, key in zip(cases, keys, strict=True)])


@dataclass(frozen=True)
class Hole:
    """A part of the space that cannot be: one factor near its nominal value while another lies in an interval."""

    undone: Factor
    near: float
    factor: Factor
    interval: tuple[float, float]

    @staticmethod
    def beside(space: PerturbationSpace, cause: Bounds) -> "Hole":
        """The hole that forbids to undo the last factor of a cause while its first stays."""
        (first, interval), *_, (last, (low, high)) = cause.items()
        factor = space[last]
        gap = max(low - factor.nominal, factor.nominal - high, 0.0)
        return Hole(factor, min(0.1 * (factor.high - factor.low), gap), space[first], interval)

    def __call__(self, theta: Perturbation) -> str | None:
        """Why θ cannot be, or None."""
        near = abs(theta.get(self.undone.name, self.undone.nominal) - self.undone.nominal) < self.near
        low, high = self.interval
        beside = low <= theta.get(self.factor.name, self.factor.nominal) <= high
        return f"{self.undone.name} and {self.factor.name} collide" if near and beside else None


def planted_space(factors: int, rng: np.random.Generator) -> PerturbationSpace:
    """A space of some factors, a few of them layout, with nominal values in the middle third."""
    return PerturbationSpace(
        "planted",
        tuple(
            Factor(
                name=f"thing_{i}.size_m",
                unit="m",
                low=-1.0,
                high=3.0,
                nominal=float(rng.uniform(0.3, 1.7)),
                kind="layout" if i < _LAYOUTS else "physics",
            )
            for i in range(factors)
        ),
    )


def _box(space: PerturbationSpace, rng: np.random.Generator) -> Bounds:
    """A box on two to four factors, its sides unequal."""
    count = int(rng.integers(2, 5))
    chosen = sorted(rng.choice(len(space.factors), count, replace=False).tolist())
    logs = rng.dirichlet(np.full(count, 4.0)) * np.log(rng.uniform(0.03, 0.08))
    bounds: dict[str, tuple[float, float]] = {}
    for index, width in zip(chosen, np.exp(logs).tolist(), strict=True):
        f = space.factors[index]
        low = f.low + rng.uniform(0, 1 - width) * (f.high - f.low)
        bounds[f.name] = (float(low), float(low + width * (f.high - f.low)))
    return bounds


def _outcome(case: Case, success: bool) -> Outcome:
    return Outcome(
        case=case,
        success=success,
        progress=1.0 if success else 0.2,
        stage="",
        failure_mode="" if success else "planted",
        length=1,
        total_reward=0.0,
    )
