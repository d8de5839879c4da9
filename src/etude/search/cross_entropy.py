"""Cross-entropy search for failures, restarted away from what it has found.

A start begins at the worst sample that nothing explains yet, and moves a diagonal Gaussian in the unit cube towards its
most severe samples so far (the elites):

    mu    <- (1 - a) mu    + a mean(elites)
    sigma <- max((1 - a) sigma + a w std(elites), floor)

w is 1 on the way there. Once failures are found they alone are the elites, and w > 1: the Gaussian widens wherever
failing goes on and stays narrow in the factors that matter, which is how a pocket is told from a point.

One start finds one pocket. It ends when it has failures enough, or none for a while, and leaves a mark: a box in the
factors that stayed narrow. Near marks severities count for less, so the next start begins elsewhere; a hill without
failures at its top is marked as well, or every start would climb it. A share of every batch is uniform: it keeps
looking.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ConfigError, Perturbation, PerturbationSpace
from etude.search.archive import Archive
from etude.search.turns import FAILED, Turns

type Points = Float64[NDArray[np.float64], "N D"]
type Severities = Float64[NDArray[np.float64], " N"]

_UNIFORM_STD = 12**-0.5
_MAX_TRIES = 50
_FEW = 3  # failures that make a pocket of a start


@dataclass(frozen=True, kw_only=True)
class CrossEntropyConfig:
    """How the search moves.

    Attributes:
        batch: Perturbations per ask, N.
        scouting: Samples, its own and those of the archive, before the first start.
        elite_fraction: Elites on the way to failures, as a share of a batch: K / N.
        smoothing: a, the weight of the elites in the average.
        start_std: Deviation at a start (the unit cube is 1 wide).
        std_floor: Smallest deviation in any factor.
        widening: w, once failures are found.
        uniform_fraction: Share of every batch drawn uniformly.
        enough: Failures after which a start has found its pocket.
        patience: Samples without a failure after which a start is given up.
        longest: Samples after which a start ends in any case.
        widenings: Batches that widen the Gaussian before a start may end with its pocket.
        narrow: Deviation below which a factor matters to a hill that is given up.
        bounded: Deviation below which it matters to a pocket, which was widened where it could be.
        margin: Distance from marks from which severities count in full.
    """

    batch: int = 20
    scouting: int = 160
    elite_fraction: float = 0.2
    smoothing: float = 0.7
    start_std: float = 0.12
    std_floor: float = 0.03
    widening: float = 1.8
    uniform_fraction: float = 0.15
    enough: int = 20
    patience: int = 120
    longest: int = 400
    widenings: int = 3
    narrow: float = 0.1
    bounded: float = 0.14
    margin: float = 0.2

    def __post_init__(self) -> None:
        if self.batch < 2 or self.enough < _FEW:
            raise ConfigError(f"needs batch >= 2 and enough >= {_FEW}, got {self.batch} and {self.enough}.")
        if self.widening < 1 or min(self.scouting, self.patience, self.longest, self.widenings) < 1:
            raise ConfigError("widening, widenings, scouting, patience and longest must be at least 1.")
        for name in ("elite_fraction", "smoothing", "start_std", "std_floor", "narrow", "bounded", "margin"):
            if not 0.0 < getattr(self, name) <= 1.0:
                raise ConfigError(f"{name} = {getattr(self, name):g}: needs a number in (0, 1].")
        if not 0.0 <= self.uniform_fraction < 1.0:
            raise ConfigError(f"uniform_fraction = {self.uniform_fraction:g}: needs a number in [0, 1).")

    def create(
        self, space: PerturbationSpace, rng: np.random.Generator, known: Archive | None = None
    ) -> "CrossEntropySearch":
        """Make the searcher; it begins with what others have tried."""
        return CrossEntropySearch(space, self, rng, known or Archive(space))


@dataclass(frozen=True)
class Mark:
    """A box in some factors that an ended start leaves.

    Attributes:
        factors: Their indices, F of them.
        low: Lower edges, shape (F,), unit cube.
        high: Upper edges, shape (F,).
    """

    factors: NDArray[np.intp]
    low: Float64[NDArray[np.float64], " F"]
    high: Float64[NDArray[np.float64], " F"]

    def distance(self, points: Points) -> Severities:
        """Distance of points to the box, shape (N,): max-norm over its factors, 0 inside."""
        own = points[:, self.factors]
        return np.maximum(np.maximum(self.low - own, own - self.high), 0.0).max(axis=1)


class CrossEntropySearch:
    """Searcher; what it is told may be severities weighted by the probability that the expert succeeds.

    Args:
        space: Where to search.
        config: How.
        rng: Its only source of randomness.
        known: What was tried before, by whomever.

    Attributes:
        rejected: Infeasible perturbations drawn and thrown away so far.
        marks: Boxes that new starts keep away from.
    """

    def __init__(
        self, space: PerturbationSpace, config: CrossEntropyConfig, rng: np.random.Generator, known: Archive
    ) -> None:
        self.rejected = 0
        self.marks: list[Mark] = []
        self._space, self._config, self._rng = space, config, rng
        self._turns = Turns()
        self._points, self._severities = known.points(), known.severities()
        self._start: _Start | None = None
        self._begin()

    def ask(self) -> Sequence[Perturbation]:
        """Draw a batch of feasible perturbations."""
        batch, start = self._config.batch, self._start
        self._turns.ask(batch)
        uniform = round(self._config.uniform_fraction * batch) if start else batch
        thetas = [self._uniform() for _ in range(uniform)]
        if start:
            thetas += [self._near(start) for _ in range(batch - uniform)]
        self._asked = np.array([self._space.to_unit(theta) for theta in thetas])
        return thetas

    def tell(self, severities: Sequence[float]) -> None:
        """Learn the severity of each perturbation asked for, in order."""
        self._turns.tell(severities)
        told = np.array(severities, dtype=np.float64)
        self._points = np.concatenate([self._points, self._asked])
        self._severities = np.concatenate([self._severities, told])
        if self._start:
            self._start.move(self._asked, told * self._novelty(self._asked))
            if not self._start.over:
                return
            self.marks += self._start.mark()
        self._begin()

    def _begin(self) -> None:
        """Start at the worst sample that no mark explains; without one, draw uniformly."""
        left = self._severities * self._novelty(self._points)
        if len(left) < self._config.scouting or not left.any():
            self._start = None
            return
        # Ties are many where progress comes in stages: choose among the worst by chance.
        worst = int(self._rng.choice(np.flatnonzero(left >= left.max())))
        self._start = _Start(self._config, self._points[[worst]], left[[worst]])

    def _novelty(self, points: Points) -> Severities:
        """0 inside marks, rising to 1 at `margin` from them, shape (N,): it is severe just outside as well."""
        novelty = np.ones(len(points))
        for mark in self.marks:
            novelty = np.minimum(novelty, mark.distance(points) / self._config.margin)
        return novelty

    def _uniform(self) -> Perturbation:
        theta, rejected = self._space.sample_counted(self._rng)
        self.rejected += rejected
        return theta

    def _near(self, start: "_Start") -> Perturbation:
        """A feasible draw of the Gaussian, folded at the walls so that they gather no mass."""
        for _ in range(_MAX_TRIES):
            u = np.abs(self._rng.normal(start.mean, start.std)) % 2.0
            theta = self._space.from_unit(np.where(u > 1.0, 2.0 - u, u))
            if self._space.infeasible(theta) is None:
                return theta
            self.rejected += 1
        return self._uniform()  # the Gaussian has moved where almost nothing is feasible


class _Start:
    """One Gaussian on its way, and all the samples it has had."""

    def __init__(self, config: CrossEntropyConfig, points: Points, severities: Severities) -> None:
        self._config, self._points, self._severities = config, points, severities
        self._idle = self._widenings = 0
        self.mean, self.std = points[0], np.full(points.shape[1], config.start_std)

    @property
    def over(self) -> bool:
        """Whether it has found its pocket, or there is none."""
        config, spent = self._config, len(self._points)
        found = np.sum(self._failing) >= config.enough and self._widenings >= config.widenings
        return bool(found or self._idle >= config.patience or spent >= config.longest)

    def move(self, points: Points, severities: Severities) -> None:
        """Move the Gaussian, given a batch, shape (N, D), and its severities as far as no mark explains them."""
        config = self._config
        self._idle = 0 if (severities > FAILED).any() else self._idle + len(points)
        self._points = np.concatenate([self._points, points])
        self._severities = np.concatenate([self._severities, severities])
        elites = self._elites()
        self._widenings += self._found
        a, widening = config.smoothing, config.widening if self._found else 1.0
        spread = elites.std(axis=0, ddof=1) if len(elites) > 1 else np.zeros(len(self.std))
        self.mean = (1 - a) * self.mean + a * elites.mean(axis=0)
        self.std = np.clip((1 - a) * self.std + a * widening * spread, config.std_floor, _UNIFORM_STD)

    def mark(self) -> list[Mark]:
        """The box it leaves: around its failures, or around its Gaussian; none where no factor mattered."""
        factors = np.flatnonzero(self.std < (self._config.bounded if self._found else self._config.narrow))
        if not len(factors):
            return []
        if self._found:
            failures = self._points[self._failing][:, factors]
            return [Mark(factors, failures.min(axis=0), failures.max(axis=0))]
        mean, std = self.mean[factors], self.std[factors]
        return [Mark(factors, mean - std, mean + std)]

    @property
    def _failing(self) -> NDArray[np.bool_]:
        return self._severities > FAILED

    @property
    def _found(self) -> bool:
        return int(np.sum(self._failing)) >= _FEW

    def _elites(self) -> Points:
        """The failures if there are a few, else the most severe samples so far, shape (K, D)."""
        if self._found:
            return self._points[self._failing]
        count = max(2, round(self._config.elite_fraction * self._config.batch))
        best = np.argsort(-self._severities, kind="stable")[:count]
        return self._points[best[self._severities[best] > 0]]
