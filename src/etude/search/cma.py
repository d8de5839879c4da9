"""CMA-ES as a searcher: the whole covariance instead of a diagonal, restarted at random (package `cma`, an extra).

It knows no pockets: every restart may climb the hill that the last one did.

Source: Hansen 2016, The CMA Evolution Strategy: A Tutorial.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etude.core import ConfigError, MissingDependencyError, Perturbation, PerturbationSpace
from etude.search.turns import FAILED, Turns

_INFEASIBLE = 1.0  # a cost above all others: severities are at most 1, costs their negatives


@dataclass(frozen=True, kw_only=True)
class CmaConfig:
    """How the search moves.

    Attributes:
        batch: Samples of a generation; what is infeasible among them is not asked for.
        start_std: Deviation at a start (the unit cube is 1 wide).
        enough: Failures after which a start ends.
        longest: Samples after which a start ends in any case.
    """

    batch: int = 20
    start_std: float = 0.2
    enough: int = 12
    longest: int = 400

    def __post_init__(self) -> None:
        if self.batch < 4 or self.enough < 1 or self.longest < self.batch:
            raise ConfigError(
                f"needs batch >= 4, enough >= 1 and longest >= batch, got {self.batch}, {self.enough}, {self.longest}."
            )
        if not 0.0 < self.start_std <= 1.0:
            raise ConfigError(f"start_std = {self.start_std:g}: needs a number in (0, 1].")

    def create(self, space: PerturbationSpace, rng: np.random.Generator) -> "CmaSearch":
        """Make the searcher. Raises MissingDependencyError without the package."""
        return CmaSearch(space, self, rng)


class CmaSearch:
    """Searcher over one evolution strategy after another.

    Args:
        space: Where to search.
        config: How.
        rng: Its only source of randomness.
    """

    def __init__(self, space: PerturbationSpace, config: CmaConfig, rng: np.random.Generator) -> None:
        self._space, self._config, self._rng, self._turns = space, config, rng, Turns()
        self._begin()

    def ask(self) -> Sequence[Perturbation]:
        """The feasible ones of a generation; generations without any are passed over."""
        self._turns.require_told()
        while True:
            self._solutions = self._strategy.ask()
            thetas = [self._space.from_unit(np.asarray(u)) for u in self._solutions]
            self._feasible = [self._space.infeasible(theta) is None for theta in thetas]
            if any(self._feasible):
                asked = [theta for theta, ok in zip(thetas, self._feasible, strict=True) if ok]
                self._turns.ask(len(asked))
                return asked
            self._begin()

    def tell(self, severities: Sequence[float]) -> None:
        """Learn the severity of each perturbation asked for, in order."""
        self._turns.tell(severities)
        told = iter(severities)
        costs = [-next(told) if ok else _INFEASIBLE for ok in self._feasible]
        self._strategy.tell(self._solutions, costs)
        self._spent += len(costs)
        self._failures += sum(severity > FAILED for severity in severities)
        if self._failures >= self._config.enough or self._spent >= self._config.longest or self._strategy.stop():
            self._begin()

    def _begin(self) -> None:
        """Start at a random feasible point."""
        rng, config = self._rng, self._config

        def normal(*shape: int) -> Any:
            return rng.standard_normal(shape)

        options: dict[str, Any] = {
            "bounds": [0.0, 1.0],
            "popsize": config.batch,
            "randn": normal,
            "seed": np.nan,  # leaves numpy's global generator alone
            "verbose": -9,
        }
        start = self._space.to_unit(self._space.sample(rng))
        self._strategy = load_cma().CMAEvolutionStrategy(start, config.start_std, options)
        self._spent = self._failures = 0


def load_cma() -> Any:
    """The package. Raises MissingDependencyError."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Could not import matplotlib")  # it plots; we do not
            import cma
    except ImportError as error:
        raise MissingDependencyError(
            "searcher 'cma' needs the package cma: install the extra with `pip install 'etude[search]'`."
        ) from error
    return cma
