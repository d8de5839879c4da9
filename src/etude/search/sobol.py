"""Sobol points: a sequence that fills the unit cube more evenly than chance, scrambled so that seeds differ.

Source: Sobol' 1967; Owen's scrambling, as in scipy.
"""

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import InfeasibleError, Perturbation, PerturbationSpace
from etude.search.turns import Turns

_BLOCK = 256  # a power of two: what the sequence is balanced over
_MAX_BLOCKS = 40  # without a feasible point


class SobolSearch:
    """The points in their order, the infeasible ones skipped; learns nothing from what it is told.

    Args:
        space: Where to search.
        rng: Scrambles the sequence.
        batch: Perturbations per `ask`.
    """

    def __init__(self, space: PerturbationSpace, rng: np.random.Generator, batch: int = 40) -> None:
        self._batch, self._turns = batch, Turns()
        self._feasible = feasible(space, _points(len(space.factors), rng), _MAX_BLOCKS * _BLOCK)

    def ask(self) -> Sequence[Perturbation]:
        """The next batch of feasible perturbations."""
        self._turns.ask(self._batch)
        return list(islice(self._feasible, self._batch))

    def tell(self, severities: Sequence[float]) -> None:
        """Accept the severities of the batch asked for."""
        self._turns.tell(severities)


def feasible(
    space: PerturbationSpace, points: Iterator[Float64[NDArray[np.float64], " D"]], max_tries: int
) -> Iterator[Perturbation]:
    """The feasible ones among points of the unit cube, in order.

    Raises:
        InfeasibleError: None of `max_tries` in a row is.
    """
    tries = 0
    for point in points:
        theta, tries = space.from_unit(point), tries + 1
        if space.infeasible(theta) is None:
            tries = 0
            yield theta
        elif tries >= max_tries:
            raise InfeasibleError(f"no feasible point among {tries} of space '{space.name}'")


def _points(factors: int, rng: np.random.Generator) -> Iterator[Float64[NDArray[np.float64], " D"]]:
    from scipy.stats import qmc

    sequence = qmc.Sobol(factors, scramble=True, rng=rng)
    while True:
        yield from sequence.random(_BLOCK)
