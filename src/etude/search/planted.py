"""Planted truth: a policy that fails in boxes that we know, answered at once, so that searches are measured by truth.

A random instance has ten factors and six pockets of equal volume, each a box in two to four factors, its sides unequal.
What a searcher is told, the severity, must not give the answer away. So it

- rises towards a pocket only from `reach` away, and in the pocket's own factors only;
- rises towards decoys as well, which look like pockets from outside and hold no failure;
- never exceeds 0.5 without a failure, and is 0.75 to 1 with one;
- carries noise everywhere, drawn from the case's seed; so do the failures: a few lie outside all pockets, and some
  inside do not fail.

`graded=False` takes the slope away: every failure weighs the same, every success nothing, as where a task has no
stages.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import Bounds, Case, ConfigError, Factor, Outcome, PerturbationSpace, stream

_NEAR = 0.5  # severity at the edge of a pocket


@dataclass(frozen=True, kw_only=True)
class PlantedTruth:
    """A policy whose failures are known, and an expert who fails in `hard`.

    Attributes:
        space: What can vary.
        pockets: Where the policy fails: factor name -> (low, high), physical units.
        decoys: Where it nearly fails.
        hard: Where the expert fails.
        failure: Chance that the policy fails inside a pocket.
        elsewhere: Chance that it fails outside all.
        graded: Whether near misses show in the severity.
        reach: How far from a pocket they show, in widths of the unit cube.
        noise: Deviation of the severity.
    """

    space: PerturbationSpace
    pockets: tuple[Bounds, ...]
    decoys: tuple[Bounds, ...] = ()
    hard: tuple[Bounds, ...] = ()
    failure: float = 0.95
    elsewhere: float = 0.001
    graded: bool = True
    reach: float = 0.25
    noise: float = 0.05

    def __post_init__(self) -> None:
        if not 0 <= self.elsewhere <= self.failure <= 1:
            raise ConfigError(
                f"planted failures need 0 <= elsewhere <= failure <= 1, got {self.elsewhere:g} and {self.failure:g}."
            )
        if self.reach <= 0 or self.noise < 0:
            raise ConfigError(f"planted failures need reach > 0 and noise >= 0, got {self.reach:g}, {self.noise:g}.")

    @staticmethod
    def draw(
        volume: float, rng: np.random.Generator, *, factors: int = 10, pockets: int = 6, graded: bool = True
    ) -> "PlantedTruth":
        """Draw an instance.

        Args:
            volume: Of all pockets together, a share of the space, e.g. 0.003.
            rng: Draws where they lie.
            factors: Of the space, D.
            pockets: How many, and half as many decoys.
            graded: Whether near misses show in the severity.
        """
        space = planted_space(factors)
        boxes = [_box(space, volume / pockets, rng) for _ in range(pockets + pockets // 2)]
        return PlantedTruth(space=space, pockets=tuple(boxes[:pockets]), decoys=tuple(boxes[pockets:]), graded=graded)

    def policy(self, cases: Sequence[Case]) -> list[Outcome]:
        """What becomes of the policy, case by case. A near miss is a success whose progress is below 1."""
        points = self._points(cases)
        within, near = _gaps(self.space, self.pockets, points).min(axis=1) == 0, self._nearness(points)
        return [self._outcome(case, bool(w), float(n)) for case, w, n in zip(cases, within, near, strict=True)]

    def expert(self, cases: Sequence[Case]) -> list[Outcome]:
        """What becomes of the expert, case by case."""
        fails = _gaps(self.space, self.hard, self._points(cases)).min(axis=1) == 0
        return [_outcome(case, fail, float(fail)) for case, fail in zip(cases, fails.tolist(), strict=True)]

    def holders(self, cases: Sequence[Case]) -> NDArray[np.bool_]:
        """Which pockets hold which cases, shape (N, pockets)."""
        return _gaps(self.space, self.pockets, self._points(cases))[:, : len(self.pockets)] == 0

    def _points(self, cases: Sequence[Case]) -> Float64[NDArray[np.float64], "N D"]:
        return np.array([self.space.to_unit(case.theta) for case in cases]).reshape(-1, len(self.space.factors))

    def _nearness(self, points: Float64[NDArray[np.float64], "N D"]) -> Float64[NDArray[np.float64], " N"]:
        """Severity of a success, without its noise, shape (N,)."""
        distance = _gaps(self.space, (*self.pockets, *self.decoys), points).min(axis=1)
        return _NEAR * np.clip(1 - distance / self.reach, 0.0, 1.0)

    def _outcome(self, case: Case, within: bool, near: float) -> Outcome:
        rng = stream(case.seed, "planted")
        chance, noise, share = rng.random(), self.noise * rng.standard_normal(), rng.random()
        fails = chance < (self.failure if within else self.elsewhere)
        if not self.graded:
            return _outcome(case, fails, float(fails))
        severity = 0.75 + 0.25 * share if fails else float(np.clip(near + noise, 0.0, _NEAR))
        return _outcome(case, fails, severity)


def planted_space(factors: int = 10) -> PerturbationSpace:
    """A space of so many factors, 4 m wide each, all values feasible."""
    names = [f"thing_{i}.size_m" for i in range(factors)]
    made = [Factor(name=name, unit="m", low=-1.0, high=3.0, nominal=0.0, kind="layout") for name in names]
    return PerturbationSpace("planted", tuple(made))


def _box(space: PerturbationSpace, volume: float, rng: np.random.Generator) -> Bounds:
    """A box of that volume in two to four factors, sides up to about twice as long as one another."""
    count = int(rng.integers(2, 5))
    stretch = np.exp(rng.uniform(-0.35, 0.35, count))
    widths = volume ** (1 / count) * stretch / stretch.prod() ** (1 / count)
    chosen = rng.choice(len(space.factors), count, replace=False)
    corners = rng.random(count) * (1 - widths)
    return {
        space.names[d]: (
            float(space.low[d] + corner * (space.high[d] - space.low[d])),
            float(space.low[d] + (corner + width) * (space.high[d] - space.low[d])),
        )
        for d, corner, width in zip(chosen.tolist(), corners, widths, strict=True)
    }


def _gaps(
    space: PerturbationSpace, boxes: Sequence[Bounds], points: Float64[NDArray[np.float64], "N D"]
) -> Float64[NDArray[np.float64], "N B"]:
    """Euclidean distance of points of the unit cube to boxes, over each box's own factors; the last column is infinite.

    Shape (N, boxes + 1): so the smallest is defined without boxes, too.
    """
    gaps = np.full((len(points), len(boxes) + 1), np.inf)
    for column, bounds in enumerate(boxes):
        chosen = [space.names.index(name) for name in bounds]
        edges = np.array([bounds[space.names[d]] for d in chosen]).T
        low, high = (edges - space.low[chosen]) / (space.high[chosen] - space.low[chosen])
        own = points[:, chosen]
        gaps[:, column] = np.linalg.norm(np.maximum(np.maximum(low - own, own - high), 0.0), axis=1)
    return gaps


def _outcome(case: Case, fails: bool, severity: float) -> Outcome:
    return Outcome(
        case=case,
        success=not fails,
        progress=1.0 - severity,
        stage="",
        failure_mode="planted" if fails else "",
        length=1,
        total_reward=0.0,
    )
