"""Searchers by the names that people type."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from etude.core import PerturbationSpace, Searcher, UnknownNameError
from etude.search.archive import Archive
from etude.search.cma import CmaConfig, load_cma
from etude.search.cross_entropy import CrossEntropyConfig
from etude.search.grid import GridConfig
from etude.search.quality_diversity import QualityDiversityConfig, load_ribs
from etude.search.random_search import RandomSearch
from etude.search.sobol import SobolSearch


@dataclass(frozen=True, kw_only=True)
class Hunt:
    """What a searcher is made for.

    Attributes:
        space: Where to search.
        rng: Its only source of randomness.
        budget: Rollouts that it will have.
        known: What was tried before, by whomever.
    """

    space: PerturbationSpace
    rng: np.random.Generator
    budget: int
    known: Archive

    def batch(self, most: int, least: int = 4) -> int:
        """Perturbations per ask: few where the budget is small, so that there are turns to learn in."""
        return max(least, min(most, self.budget // 8))


SEARCHERS: Mapping[str, Callable[[Hunt], Searcher]] = MappingProxyType(
    {
        "cross-entropy": lambda h: CrossEntropyConfig(batch=h.batch(20)).create(h.space, h.rng, h.known),
        "random": lambda h: RandomSearch(h.space, h.rng, batch=h.batch(40)),
        "sobol": lambda h: SobolSearch(h.space, h.rng, batch=h.batch(40)),
        "grid": lambda h: GridConfig(points=h.budget, batch=h.batch(40)).create(h.space, h.rng),
        "cma": lambda h: CmaConfig(batch=h.batch(20)).create(h.space, h.rng),
        "quality-diversity": lambda h: QualityDiversityConfig(batch=h.batch(32, least=16)).create(h.space, h.rng),
    }
)
"""Name -> what makes the searcher."""


def make_searcher(name: str, hunt: Hunt) -> Searcher:
    """Make a searcher by its name.

    Raises:
        UnknownNameError: There is none of that name.
        MissingDependencyError: It needs a package that is not installed.
    """
    require_searchers([name])
    return SEARCHERS[name](hunt)


def require_searchers(names: Sequence[str]) -> None:
    """Raise UnknownNameError unless there are searchers of these names."""
    for name in names:
        if name not in SEARCHERS:
            raise UnknownNameError("searcher", name, SEARCHERS)


def require_installed(names: Sequence[str]) -> None:
    """Raise MissingDependencyError unless what searchers of these names need is installed."""
    for name, load in {"cma": load_cma, "quality-diversity": load_ribs}.items():
        if name in names:
            load()
