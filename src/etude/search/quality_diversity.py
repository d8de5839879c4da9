"""Quality-diversity search: the worst failure in every cell of a map, by CMA-ME (package `ribs`, an extra).

The map spans two factors, named or drawn by chance. The emitters climb where a cell becomes worse or is new, so the
search spreads over the map instead of gathering on one pocket; what tells two pockets apart must be on the map, though.

Source: Fontaine et al. 2020, Covariance Matrix Adaptation for the Rapid Illumination of Behavior Space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ConfigError, MissingDependencyError, Perturbation, PerturbationSpace
from etude.search.turns import Turns

_AXES = 2
_MAX_TRIES = 100


@dataclass(frozen=True, kw_only=True)
class QualityDiversityConfig:
    """How the search moves.

    Attributes:
        batch: Samples per ask, over all emitters; what is infeasible among them is not asked for.
        emitters: Evolution strategies side by side.
        start_std: Their deviation at a start (the unit cube is 1 wide).
        cells: Cells of the map along each of its two factors.
        factors: The map's two factors; drawn by chance where none are named.
    """

    batch: int = 32
    emitters: int = 4
    start_std: float = 0.2
    cells: int = 20
    factors: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.emitters < 1 or self.batch < 4 * self.emitters or self.cells < 2:
            raise ConfigError(
                f"needs emitters >= 1, four samples for each and cells >= 2, got {self.emitters}, batch {self.batch}, "
                f"{self.cells}."
            )
        if not 0.0 < self.start_std <= 1.0:
            raise ConfigError(f"start_std = {self.start_std:g}: needs a number in (0, 1].")
        if len(self.factors) not in (0, _AXES):
            raise ConfigError(f"the map spans two factors, got {', '.join(self.factors)}.")

    def create(self, space: PerturbationSpace, rng: np.random.Generator) -> "QualityDiversitySearch":
        """Make the searcher. Raises MissingDependencyError without the package."""
        return QualityDiversitySearch(space, self, rng)


class QualityDiversitySearch:
    """Searcher over a map of the space.

    Args:
        space: Where to search.
        config: How.
        rng: Its only source of randomness.
    """

    def __init__(self, space: PerturbationSpace, config: QualityDiversityConfig, rng: np.random.Generator) -> None:
        self._space, self._turns = space, Turns()
        size = len(space.factors)
        chosen = [space.names.index(space[name].name) for name in config.factors]
        self._axes = chosen or rng.choice(size, min(_AXES, size), replace=False).tolist()
        self._scheduler = _scheduler(space, config, len(self._axes), rng)

    def ask(self) -> Sequence[Perturbation]:
        """The feasible ones of a batch; batches without any are told to the emitters and passed over."""
        self._turns.require_told()
        for _ in range(_MAX_TRIES):
            asked: Float64[NDArray[np.float64], "N D"] = self._scheduler.ask()
            self._points = 1.0 - np.abs(asked % 2.0 - 1.0)  # folded at the walls: the emitters know none
            thetas = [self._space.from_unit(u) for u in self._points]
            self._feasible = np.array([self._space.infeasible(theta) is None for theta in thetas])
            if self._feasible.any():
                self._turns.ask(int(self._feasible.sum()))
                return [theta for theta, ok in zip(thetas, self._feasible, strict=True) if ok]
            self._answer(())
        raise ConfigError(f"no feasible perturbation in {_MAX_TRIES} batches of space '{self._space.name}'.")

    def tell(self, severities: Sequence[float]) -> None:
        """Learn the severity of each perturbation asked for, in order."""
        self._turns.tell(severities)
        self._answer(severities)

    def _answer(self, severities: Sequence[float]) -> None:
        """Tell the emitters; what is infeasible is no failure."""
        objective = np.zeros(len(self._points))
        objective[self._feasible] = severities
        self._scheduler.tell(objective, self._points[:, self._axes])


def load_ribs() -> tuple[Any, Any, Any]:
    """The package's map, emitter and scheduler. Raises MissingDependencyError."""
    try:
        from ribs.archives import GridArchive
        from ribs.emitters import EvolutionStrategyEmitter
        from ribs.schedulers import Scheduler
    except ImportError as error:
        raise MissingDependencyError(
            "searcher 'quality-diversity' needs the package ribs: install the extra with `pip install 'etude[search]'`."
        ) from error
    return GridArchive, EvolutionStrategyEmitter, Scheduler


def _scheduler(space: PerturbationSpace, config: QualityDiversityConfig, axes: int, rng: np.random.Generator) -> Any:
    GridArchive, EvolutionStrategyEmitter, Scheduler = load_ribs()
    size = len(space.factors)
    cells: Any = GridArchive(
        solution_dim=size, dims=(config.cells,) * axes, ranges=[(0.0, 1.0)] * axes, seed=int(rng.integers(2**31))
    )
    emitters: list[Any] = [
        EvolutionStrategyEmitter(
            cells,
            x0=space.to_unit(space.sample(rng)),
            sigma0=config.start_std,
            ranker="2imp",
            batch_size=config.batch // config.emitters,
            seed=int(rng.integers(2**31)),
        )
        for _ in range(config.emitters)
    ]
    return Scheduler(cells, emitters)
