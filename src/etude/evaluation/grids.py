"""Grids over a few factors: chosen values of each, in all combinations that the world can take."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np

from etude.core import (
    Case,
    ConfigError,
    InfeasibleError,
    Perturbation,
    PerturbationSpace,
)
from etude.evaluation.factors import same_seeds


@dataclass(frozen=True)
class Axis:
    """The values of one factor in a grid, physical units."""

    factor: str
    values: tuple[float, ...]

    @staticmethod
    def parse(text: str, space: PerturbationSpace) -> "Axis":
        """Read "factor=low:high:count" (evenly spaced, both ends included) or "factor=value,value".

        Raises:
            ConfigError: Of another form, or a value twice.
            UnknownNameError: The space has no such factor.
            FactorRangeError: A value outside the factor's range.
        """
        name, _, told = text.partition("=")
        factor, values = space[name], _values(told)
        if not values or len(set(values)) < len(values):
            raise ConfigError(
                f"--grid {text}: expected FACTOR=LOW:HIGH:COUNT or FACTOR=VALUE,VALUE with different numbers, e.g. "
                f"{name}={factor.low:g}:{factor.high:g}:5."
            )
        for value in values:
            factor.check(value)
        return Axis(name, values)


@dataclass(frozen=True, kw_only=True)
class Grid:
    """The cells of a grid, in order, the last axis running fastest.

    Attributes:
        cells: θ of each cell that the world can take.
        infeasible: θ of the others, each with why not.
    """

    cells: tuple[Perturbation, ...]
    infeasible: tuple[tuple[Perturbation, str], ...] = ()

    @staticmethod
    def of(space: PerturbationSpace, axes: Sequence[Axis], base: Perturbation | None = None) -> "Grid":
        """All combinations of the axes' values.

        Args:
            space: What can vary.
            axes: The factors and their values, each factor once.
            base: Values that all cells have; by default none.

        Raises:
            ConfigError: A factor twice.
            InfeasibleError: No cell is feasible.
        """
        fixed = base or Perturbation()
        names = [*fixed.values, *(axis.factor for axis in axes)]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice:
            raise ConfigError(f"factor '{twice}' is set twice: name it once, in --grid or in --theta.")
        cells: list[Perturbation] = []
        infeasible: list[tuple[Perturbation, str]] = []
        for values in product(*(axis.values for axis in axes)):
            theta = Perturbation({**fixed.values, **{a.factor: v for a, v in zip(axes, values, strict=True)}})
            reason = space.infeasible(theta)
            if reason is None:
                cells.append(theta)
            else:
                infeasible.append((theta, reason))
        if not cells:
            raise InfeasibleError(f"all {len(infeasible)} cells of the grid, the last because {infeasible[-1][1]}")
        return Grid(cells=tuple(cells), infeasible=tuple(infeasible))

    def cases(self, count: int, seed: int) -> list[Case]:
        """`count` cases of every cell, cell by cell, all cells on the same seeds."""
        return [Case(theta, case_seed) for theta in self.cells for case_seed in same_seeds(count, seed)]


def _values(told: str) -> tuple[float, ...]:
    """The numbers meant; none where that is not clear."""
    try:
        if ":" in told:
            low, high, count = told.split(":")
            return tuple(np.linspace(float(low), float(high), int(count)).tolist())
        values = tuple(float(value) for value in told.split(","))
    except ValueError:
        return ()
    return values if all(math.isfinite(value) for value in values) else ()
