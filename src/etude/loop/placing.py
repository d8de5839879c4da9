"""Where demonstrations are made: draws of θ."""

from dataclasses import dataclass

import numpy as np

from etude.acquisition.distributions import MutationDistributions
from etude.core import InfeasibleError, Perturbation, PerturbationSpace, Task
from etude.loop.config import LoopConfig

_MAX_TRIES = 10_000


@dataclass(frozen=True)
class FirstDemonstrations:
    """Draws θ as a person's first demonstrations have it: broad in most factors, narrow in a few that are disclosed."""

    task: Task
    config: LoopConfig

    def __call__(self, rng: np.random.Generator) -> Perturbation:
        """Draw one θ; a narrow layout is left to the seed, but for what is narrower still."""
        space = self.task.space.narrowed(self.config.narrow)
        if not self.config.narrow_layout:
            return space.sample(rng)
        kinds = ("layout", "distractor")
        published = [f.name for f in space.factors if f.kind in kinds and f.name not in self.config.narrow]
        return space.sample(rng).without(*published)


@dataclass(frozen=True)
class Mutations:
    """Draws θ from mutation distributions, rejecting what the world cannot take.

    Which source demonstration a draw came from is not told: given θ it can be drawn anew, see
    `MutationDistributions.source_of`, whatever was rejected between the two.
    """

    space: PerturbationSpace
    distributions: MutationDistributions

    def __call__(self, rng: np.random.Generator) -> Perturbation:
        """Draw one feasible θ.

        Raises:
            InfeasibleError: Hardly any draw is.
        """
        for _ in range(_MAX_TRIES):
            theta = self.space.from_unit(self.distributions.sample(rng)[1])
            if self.space.infeasible(theta) is None:
                return theta
        raise InfeasibleError(f"no feasible point in {_MAX_TRIES} draws from the mutation distributions")
