"""Grid search: every combination of a few levels, over as many factors as the budget allows.

A full grid of 3 levels over 26 factors has 3^26 points. So the grid spans a few factors only, chosen by name or by
chance, and the others are stratified: each takes every one of N equally spaced values once, in random order (a Latin
hypercube). When a grid is done the next begins, over other factors.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ConfigError, Perturbation, PerturbationSpace
from etude.search.sobol import feasible
from etude.search.turns import Turns

_LEAST_LEVELS = 3
_MAX_PASSES = 20  # without a feasible point


@dataclass(frozen=True, kw_only=True)
class GridConfig:
    """How fine the grid is.

    Attributes:
        points: Points of a grid, at most: the budget.
        factors: Factors that it spans; by default as many, drawn by chance, as give at least three levels each.
        batch: Perturbations per `ask`.
    """

    points: int = 400
    factors: tuple[str, ...] = ()
    batch: int = 40

    def __post_init__(self) -> None:
        if min(self.points, self.batch) < 1:
            raise ConfigError(f"a grid needs points >= 1 and batch >= 1, got {self.points} and {self.batch}.")
        if self.factors and self.points < 2 ** len(self.factors):
            raise ConfigError(
                f"{self.points} points give no two levels for {len(self.factors)} factors: "
                f"name fewer, or allow {2 ** len(self.factors)}."
            )

    def create(self, space: PerturbationSpace, rng: np.random.Generator) -> "GridSearch":
        """Make the searcher. Raises UnknownNameError for a factor that is not of the space."""
        return GridSearch(space, self, rng)


class GridSearch:
    """The points in random order, the infeasible ones skipped; learns nothing from what it is told.

    Args:
        space: Where to search.
        config: How fine.
        rng: Draws factors and orders.
    """

    def __init__(self, space: PerturbationSpace, config: GridConfig, rng: np.random.Generator) -> None:
        self._batch, self._turns = config.batch, Turns()
        spanned = [space.names.index(space[name].name) for name in config.factors]
        points = _points(len(space.factors), config.points, spanned, rng)
        self._feasible = feasible(space, points, _MAX_PASSES * config.points)

    def ask(self) -> Sequence[Perturbation]:
        """The next batch of feasible perturbations."""
        self._turns.ask(self._batch)
        return list(islice(self._feasible, self._batch))

    def tell(self, severities: Sequence[float]) -> None:
        """Accept the severities of the batch asked for."""
        self._turns.tell(severities)


def spanned_factors(factors: int, points: int) -> int:
    """How many of D factors a grid of so many points spans with at least three levels each; at least one."""
    count = 1
    while count < factors and _LEAST_LEVELS ** (count + 1) <= points:
        count += 1
    return count


def levels_of(points: int, factors: int) -> int:
    """The most levels that so many factors can have on a grid of at most so many points."""
    levels = 1
    while (levels + 1) ** factors <= points:
        levels += 1
    return levels


def _points(
    factors: int, points: int, spanned: Sequence[int], rng: np.random.Generator
) -> Iterator[Float64[NDArray[np.float64], " D"]]:
    """Points of the unit cube, one grid after another."""
    count = len(spanned) or spanned_factors(factors, points)
    levels = levels_of(points, count)
    total = levels**count
    while True:
        chosen = list(spanned) or rng.choice(factors, count, replace=False).tolist()
        u = (np.array([rng.permutation(total) for _ in range(factors)]).T + 0.5) / total
        cells = np.indices((levels,) * count).reshape(count, total).T
        u[:, chosen] = (rng.permutation(cells, axis=0) + 0.5) / levels
        yield from u
