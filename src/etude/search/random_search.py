"""The baseline of every search: uniform draws of the feasible space."""

from collections.abc import Sequence

import numpy as np

from etude.core import Perturbation, PerturbationSpace
from etude.search.turns import Turns


class RandomSearch:
    """Uniform draws; learns nothing from what it is told.

    Args:
        space: Where to search.
        rng: Its only source of randomness.
        batch: Perturbations per `ask`.
    """

    def __init__(self, space: PerturbationSpace, rng: np.random.Generator, batch: int = 40) -> None:
        self._space, self._rng, self._batch = space, rng, batch
        self._turns = Turns()

    def ask(self) -> Sequence[Perturbation]:
        """Draw a batch of feasible perturbations."""
        self._turns.ask(self._batch)
        return [self._space.sample(self._rng) for _ in range(self._batch)]

    def tell(self, severities: Sequence[float]) -> None:
        """Accept the severities of the batch asked for."""
        self._turns.tell(severities)
