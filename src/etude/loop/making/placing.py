"""Where demonstrations are made: draws of θ, and what came of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etude.acquisition.distributions import MutationDistributions
from etude.core import InfeasibleError, Perturbation, PerturbationSpace, Task, derive_seed
from etude.data import DatasetMeta
from etude.loop.config import LoopConfig
from etude.loop.making.collecting import Draw, attempt_stream
from etude.loop.making.fallback import BY_EXPERT
from etude.search import KeepsAway, TargetedSampler

_MAX_TRIES = 10_000


@dataclass(frozen=True)
class FirstDemonstrations:
    """Draws θ as a person's first demonstrations have it: broad in most factors, narrow in a few that are disclosed."""

    task: Task
    config: LoopConfig

    def __call__(self, rng: np.random.Generator) -> Perturbation:
        """Draw one feasible θ; a narrow layout is left to the seed, but for what is narrower still.

        Raises:
            InfeasibleError: Hardly any draw is.
        """
        space = self.task.space.narrowed(self.config.narrow)
        if not self.config.narrow_layout:
            return space.sample(rng)
        kinds = ("layout", "distractor")
        published = [f.name for f in space.factors if f.kind in kinds and f.name not in self.config.narrow]
        return _feasible(
            space, lambda: space.sample(rng).without(*published), "first demonstrations in published layouts"
        )


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
        return _feasible(
            self.space, lambda: self.space.from_unit(self.distributions.sample(rng)[1]), "the mutation distributions"
        )


def _feasible(space: PerturbationSpace, draw: Callable[[], Perturbation], whence: str) -> Perturbation:
    """The first of many draws that the world can take."""
    for _ in range(_MAX_TRIES):
        theta = draw()
        if space.infeasible(theta) is None:
            return theta
    raise InfeasibleError(f"no feasible point in {_MAX_TRIES} draws from {whence}")


def place_of(draw: KeepsAway, rng: np.random.Generator) -> str:
    """The label of the place that a draw with this stream comes from; "" where there are no places."""
    if not isinstance(draw.draw, TargetedSampler):
        return ""
    while True:
        theta, label = draw.draw.sample(rng)
        if not draw.exclusion(theta):
            return label


def made_where(dataset: Path, draw: Draw, seed: int, attempts: int) -> dict[str, Any]:
    """What a collection tells of its attempts: how many draws were refused, and the yield of every place.

    Args:
        dataset: What was made.
        draw: Where attempts were made.
        seed: Of the collection.
        attempts: How many there were.

    Returns:
        `excluded` draws, `places`: label -> [made, attempts], and how many were made `by_expert` where another maker
        failed.
    """
    episodes = DatasetMeta.open(dataset).episodes
    by_expert = sum(episode.generator.endswith(BY_EXPERT) for episode in episodes)
    if not isinstance(draw, KeepsAway):
        return {"excluded": 0, "places": {}, "by_expert": by_expert}
    seeds = {episode.case.seed for episode in episodes if episode.case}
    places: dict[str, list[int]] = {}
    excluded = 0
    for index in range(attempts):
        excluded += draw.counted(attempt_stream(seed, index))[1]
        counts = places.setdefault(place_of(draw, attempt_stream(seed, index)), [0, 0])
        counts[0] += derive_seed(seed, "attempt", index) in seeds
        counts[1] += 1
    return {"excluded": excluded, "places": places, "by_expert": by_expert}
