"""Cross-entropy search for failures, restarted away from what it has found.

Each start moves a diagonal Gaussian in the unit cube towards its most severe samples (the elites):

    mu    <- (1 - a) mu    + a mean(elites)
    sigma <- max((1 - a) sigma + a std(elites), floor)

Alone it collapses on one pocket. So a start lasts a few batches only; then the boxes that all samples so far point at
are marked as known, severities in and near them count for less, and the next start begins at the worst sample left.
A share of every batch is uniform: it keeps looking everywhere, and shows how rare failures are outside the boxes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ConfigError, Perturbation, PerturbationSpace
from etude.search.boxes import Box, BoxConfig, find_boxes
from etude.search.turns import Turns

_UNIFORM_STD = 12**-0.5
_MAX_TRIES = 50


@dataclass(frozen=True, kw_only=True)
class CrossEntropyConfig:
    """How the search moves.

    Attributes:
        batch: Perturbations per ask, N.
        elite_fraction: Share of them that moves the Gaussian, K / N.
        smoothing: a, the weight of the elites in the average.
        std_floor: Smallest deviation in any factor (the unit cube is 1 wide).
        start_std: Deviation at a restart.
        uniform_fraction: Share of every batch drawn uniformly.
        batches_per_start: Batches before a restart.
        margin: Distance from known boxes from which severities count in full.
        severe: Severity from which a sample counts as failing when known boxes are marked.
        boxes: How those boxes are found.
    """

    batch: int = 40
    elite_fraction: float = 0.2
    smoothing: float = 0.7
    std_floor: float = 0.05
    start_std: float = 0.2
    uniform_fraction: float = 0.2
    batches_per_start: int = 4
    margin: float = 0.2
    severe: float = 0.5
    boxes: BoxConfig = field(default_factory=BoxConfig)

    def __post_init__(self) -> None:
        if self.batch < 2 or self.batches_per_start < 1:
            raise ConfigError(
                f"needs batch >= 2 and batches_per_start >= 1, got {self.batch}, {self.batches_per_start}."
            )
        for name in ("elite_fraction", "smoothing", "std_floor", "start_std", "margin"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} = {getattr(self, name):g}: needs a number in (0, 1].")
        if not 0.0 <= self.uniform_fraction < 1.0:
            raise ConfigError(f"uniform_fraction = {self.uniform_fraction:g}: needs a number in [0, 1).")

    def create(self, space: PerturbationSpace, rng: np.random.Generator) -> "CrossEntropySearch":
        """Make the searcher."""
        return CrossEntropySearch(space, self, rng)


class CrossEntropySearch:
    """Searcher; what it is told may be severities weighted by the probability that the expert succeeds.

    Args:
        space: Where to search.
        config: How.
        rng: Its only source of randomness.
        known: Boxes found before, by whomever: no start leads into them.

    Attributes:
        rejected: Infeasible perturbations drawn and thrown away so far.
        starts: Starts so far, the first included.
    """

    def __init__(
        self,
        space: PerturbationSpace,
        config: CrossEntropyConfig,
        rng: np.random.Generator,
        known: Sequence[Box] = (),
    ) -> None:
        self.rejected, self.starts = 0, 1
        self._space, self._config, self._rng, self._given = space, config, rng, tuple(known)
        self._turns = Turns()
        self._known = self._given
        self._points = np.empty((0, len(space.factors)))
        self._severities = np.empty(0)
        self._asked = self._points
        self._batches = 0
        self._mean = np.full(len(space.factors), 0.5)
        self._std = np.full(len(space.factors), _UNIFORM_STD)

    @property
    def known(self) -> tuple[Box, ...]:
        """Boxes that the current start keeps away from."""
        return self._known

    def ask(self) -> Sequence[Perturbation]:
        """Draw a batch of feasible perturbations."""
        config = self._config
        self._turns.ask(config.batch)
        uniform = round(config.uniform_fraction * config.batch) if self._batches or self.starts > 1 else config.batch
        thetas = [self._uniform() for _ in range(uniform)]
        thetas += [self._near() for _ in range(config.batch - uniform)]
        self._asked = np.array([self._space.to_unit(theta) for theta in thetas])
        return thetas

    def tell(self, severities: Sequence[float]) -> None:
        """Learn the severity of each perturbation asked for, in order."""
        self._turns.tell(severities)
        told = np.array(severities, dtype=np.float64)
        self._points = np.concatenate([self._points, self._asked])
        self._severities = np.concatenate([self._severities, told])
        self._move(self._asked, told * self._novelty(self._asked))
        self._batches += 1
        if self._batches >= self._config.batches_per_start:
            self._restart()

    def _move(
        self, points: Float64[NDArray[np.float64], "N D"], severities: Float64[NDArray[np.float64], " N"]
    ) -> None:
        if not severities.any():
            return  # nothing failed: without a direction, stay
        count = max(2, round(self._config.elite_fraction * len(points)))
        elites = points[np.argsort(-severities, kind="stable")[:count]]
        a = self._config.smoothing
        self._mean = (1 - a) * self._mean + a * elites.mean(axis=0)
        self._std = np.maximum((1 - a) * self._std + a * elites.std(axis=0), self._config.std_floor)

    def _restart(self) -> None:
        """Mark what is known, and begin at the worst sample that no known box explains."""
        failing = self._severities >= self._config.severe
        found = find_boxes(self._space, self._points, failing, self._config.boxes)
        self._known = (*self._given, *found)
        left = self._severities * self._novelty(self._points)
        self.starts, self._batches = self.starts + 1, 0
        # Ties are many where progress comes in stages: choose among the worst by chance.
        worst = np.flatnonzero(left >= left.max())
        self._mean = self._points[self._rng.choice(worst)] if left.any() else self._rng.random(len(self._mean))
        self._std = np.full(len(self._mean), self._config.start_std)

    def _novelty(self, points: Float64[NDArray[np.float64], "N D"]) -> Float64[NDArray[np.float64], " N"]:
        """0 inside known boxes, rising to 1 at `margin` from them, shape (N,): it is severe just outside as well."""
        novelty = np.ones(len(points))
        for box in self._known:
            novelty = np.minimum(novelty, box.distance(points, self._space) / self._config.margin)
        return novelty

    def _uniform(self) -> Perturbation:
        theta, rejected = self._space.sample_counted(self._rng)
        self.rejected += rejected
        return theta

    def _near(self) -> Perturbation:
        """A feasible draw of the Gaussian, folded at the walls so that they gather no mass."""
        for _ in range(_MAX_TRIES):
            u = np.abs(self._rng.normal(self._mean, self._std)) % 2.0
            theta = self._space.from_unit(np.where(u > 1.0, 2.0 - u, u))
            if self._space.infeasible(theta) is None:
                return theta
            self.rejected += 1
        return self._uniform()  # the Gaussian has moved where almost nothing is feasible
