"""From which demonstration the next one is made, and how it is mutated: one distribution per source demonstration.

    p(φ | d) = N(μ_d, Σ_d), Σ_d diagonal, truncated to the unit cube
    P(d)     = (1 − ε) S(d)^β / Σ S^β + ε / |D|

μ_d and Σ_d follow the mutations of d that scored best, S(d) is how well these scored. Both forget slowly, and neither
ever gives up a place or a demonstration: the variance has a floor, and ε is shared by all.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from math import log, pi, sqrt
from pathlib import Path
from statistics import NormalDist
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from etude.acquisition.shares import relative_scores
from etude.core import ConfigError, EtudeError, MismatchError
from etude.core.files import read_json, write_json

type PerSource = Float64[NDArray[np.float64], " sources"]
type PerFactor = Float64[NDArray[np.float64], "sources factors"]

_NORMAL = NormalDist()


@dataclass(frozen=True, kw_only=True)
class DistributionSettings:
    """How the distributions follow the scores.

    Attributes:
        elite_share: Share of a demonstration's mutations, those that scored best, that it moves towards.
        smoothing: α, how far it moves, in (0, 1].
        start_deviation: Standard deviation of every factor before the first update, as a share of its range; 0.5 is
            nearly uniform once truncated.
        least_deviation: Floor of the standard deviation.
        widening: ε I, what every update adds to the variances.
        sharpness: β, how much more often a demonstration with a high score is chosen.
        exploration: ε, the share of choices that no score decides.
        memory: ρ, how much of its old score a demonstration keeps.
    """

    elite_share: float = 0.25
    smoothing: float = 0.5
    start_deviation: float = 0.5
    least_deviation: float = 0.05
    widening: float = 0.001
    sharpness: float = 1.0
    exploration: float = 0.2
    memory: float = 0.5

    def __post_init__(self) -> None:
        for name in ("elite_share", "smoothing", "start_deviation", "least_deviation"):
            if not 0 < getattr(self, name) <= 1:
                raise ConfigError(f"{name} must lie in (0, 1], got {getattr(self, name):g}.")
        for name in ("exploration", "memory"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must lie in [0, 1], got {getattr(self, name):g}.")
        for name in ("widening", "sharpness"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ConfigError(f"{name} must be at least 0, got {getattr(self, name):g}.")


@dataclass(frozen=True, kw_only=True, eq=False)
class MutationDistributions:
    """One truncated Gaussian per source demonstration, and how often each is chosen; never changed, only replaced.

    Attributes:
        factors: What is mutated, in the order of vectors.
        sources: Episode index of every source demonstration.
        mean: μ, (sources, factors), in the unit cube.
        variance: Diagonals of Σ, (sources, factors), in units of the cube.
        strength: S, (sources,), in units of a round's median score; 1 before the first update.
        updates: How often each was updated, (sources,).
        settings: How they follow the scores.
    """

    factors: tuple[str, ...]
    sources: tuple[int, ...]
    mean: PerFactor
    variance: PerFactor
    strength: PerSource
    updates: Int64[NDArray[np.int64], " sources"]
    settings: DistributionSettings = field(default_factory=DistributionSettings)

    def __post_init__(self) -> None:
        n, d = len(self.sources), len(self.factors)
        if not n or not d or len(set(self.sources)) < n:
            raise ConfigError(f"needs factors and different source demonstrations, got {d} and {list(self.sources)}.")
        for name, shape in {"mean": (n, d), "variance": (n, d), "strength": (n,), "updates": (n,)}.items():
            array = np.array(getattr(self, name))
            if array.shape != shape or not np.isfinite(array).all() or (array < 0).any():
                raise ConfigError(f"{name} must be {shape} numbers that are not negative, got shape {array.shape}.")
            array.flags.writeable = False
            object.__setattr__(self, name, array)

    @staticmethod
    def start(
        factors: Sequence[str], sources: Sequence[int], settings: DistributionSettings | None = None
    ) -> "MutationDistributions":
        """Everything equally likely, nearly everywhere."""
        settings = settings or DistributionSettings()
        shape = (len(sources), len(factors))
        return MutationDistributions(
            factors=tuple(factors),
            sources=tuple(sources),
            mean=np.full(shape, 0.5),
            variance=np.full(shape, settings.start_deviation**2),
            strength=np.ones(len(sources)),
            updates=np.zeros(len(sources), np.int64),
            settings=settings,
        )

    @property
    def probabilities(self) -> PerSource:
        """P(d) of every source demonstration, (sources,)."""
        power = self.strength**self.settings.sharpness
        share = power / power.sum() if power.sum() > 0 else np.full(len(power), 1 / len(power))
        return (1 - self.settings.exploration) * share + self.settings.exploration / len(power)

    def sample(self, rng: np.random.Generator) -> tuple[int, Float64[NDArray[np.float64], " factors"]]:
        """Choose a source demonstration and draw a mutation of it.

        Returns:
            The source's episode index, and a point of the unit cube, (factors,).
        """
        source = self.sources[int(rng.choice(len(self.sources), p=self.probabilities))]
        return source, self.mutate(source, rng)

    def mutate(self, source: int, rng: np.random.Generator) -> Float64[NDArray[np.float64], " factors"]:
        """Draw a mutation of one source demonstration: a point of the unit cube, (factors,)."""
        row = self.sources.index(source)
        numbers = zip(self.mean[row].tolist(), self.deviation[row].tolist(), rng.random(len(self.factors)), strict=True)
        return np.array([_truncated(mean, deviation, float(u)) for mean, deviation, u in numbers])

    def source_of(self, point: Float64[NDArray[np.float64], " factors"], rng: np.random.Generator) -> int:
        """Draw the source demonstration of a point that `sample` drew, by P(d | φ) ∝ P(d) p(φ | d).

        So θ may be drawn in one place, rejected and drawn again, and its source in another.
        """
        pairs = zip(self.mean.ravel().tolist(), self.deviation.ravel().tolist(), strict=True)
        mass = np.array([_log_mass(mean, deviation) for mean, deviation in pairs]).reshape(self.mean.shape)
        likelihood = (-0.5 * np.square(point - self.mean) / self.variance - mass).sum(axis=1)
        share = self.probabilities * np.exp(likelihood - likelihood.max())
        return self.sources[int(rng.choice(len(self.sources), p=share / share.sum()))]

    @property
    def deviation(self) -> PerFactor:
        """Standard deviations before truncation, (sources, factors)."""
        return np.sqrt(self.variance)

    def updated(
        self,
        sources: Sequence[int] | Int64[NDArray[np.int64], " N"],
        points: Float64[NDArray[np.float64], "N factors"],
        scores: Float64[NDArray[np.float64], " N"],
    ) -> "MutationDistributions":
        """The distributions after a round: each follows the best of its own mutations, scores in units of the median.

        Args:
            sources: Which demonstration each candidate was made from.
            points: Its mutation, in the unit cube.
            scores: How much it would teach; those below 0 count as 0.
        """
        scores = relative_scores(scores)
        mean, variance, strength = self.mean.copy(), self.variance.copy(), self.strength.copy()
        updates = self.updates.copy()
        for row, source in enumerate(self.sources):
            own = np.flatnonzero(np.asarray(sources) == source)
            if not len(own):
                continue
            count = max(1, round(self.settings.elite_share * len(own)))
            elites = own[np.argsort(-scores[own], kind="stable")[:count]]
            mean[row], variance[row] = self._moved(row, points[elites])
            kept = self.settings.memory if updates[row] else 0.0  # what it starts with says nothing of it
            strength[row] = kept * strength[row] + (1 - kept) * scores[elites].mean()
            updates[row] += 1
        return replace(self, mean=mean, variance=variance, strength=strength, updates=updates)

    def _moved(
        self, row: int, elites: Float64[NDArray[np.float64], "K factors"]
    ) -> tuple[Float64[NDArray[np.float64], " factors"], Float64[NDArray[np.float64], " factors"]]:
        """Mean and variance of one distribution after its elites; a single elite tells of no variance."""
        s = self.settings
        mean = (1 - s.smoothing) * self.mean[row] + s.smoothing * elites.mean(axis=0)
        spread = elites.var(axis=0) if len(elites) > 1 else self.variance[row]
        variance = (1 - s.smoothing) * self.variance[row] + s.smoothing * spread + s.widening
        return mean, np.maximum(variance, s.least_deviation**2)

    def density(self, factor: str, at: Float64[NDArray[np.float64], " M"]) -> Float64[NDArray[np.float64], " M"]:
        """Probability density of one factor over all that is drawn, at points of [0, 1], both (M,)."""
        column, total = self.factors.index(factor), np.zeros(len(at))
        for share, mean, deviation in zip(
            self.probabilities, self.mean[:, column].tolist(), self.deviation[:, column].tolist(), strict=True
        ):
            total += share * np.exp(-0.5 * ((at - mean) / deviation) ** 2 - _log_mass(mean, deviation))
        return total

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        arrays = {name: getattr(self, name).tolist() for name in ("mean", "variance", "strength", "updates")}
        names = {"factors": list(self.factors), "sources": list(self.sources)}
        return {**names, **arrays, "settings": asdict(self.settings)}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "MutationDistributions":
        """The inverse of to_json."""
        return MutationDistributions(
            factors=tuple(record["factors"]),
            sources=tuple(int(source) for source in record["sources"]),
            mean=np.array(record["mean"], np.float64),
            variance=np.array(record["variance"], np.float64),
            strength=np.array(record["strength"], np.float64),
            updates=np.array(record["updates"], np.int64),
            settings=DistributionSettings(**record["settings"]),
        )

    def save(self, path: Path) -> None:
        """Write them as JSON."""
        write_json(path, self.to_json())

    @staticmethod
    def load(path: Path, factors: Sequence[str] | None = None) -> "MutationDistributions":
        """Read distributions.json.

        Args:
            path: The file.
            factors: What they must mutate, in this order.

        Raises:
            EtudeError: The file is missing, or holds something else.
            MismatchError: They mutate other factors.
        """
        if not path.exists():
            raise EtudeError(f"'{path}' does not exist: name the distributions.json of a round.")
        record = read_json(path)
        try:
            found = MutationDistributions.from_json(record)
        except (AttributeError, KeyError, TypeError, ValueError, ConfigError) as error:
            raise EtudeError(
                f"'{path}' holds no mutation distributions: name the distributions.json of a round."
            ) from error
        if factors is not None and found.factors != tuple(factors):
            more, fewer = (sorted(set(a) - set(b)) for a, b in ((found.factors, factors), (factors, found.factors)))
            told = [f"mutates {', '.join(more)}, which this world has not"] if more else []
            told += [f"does not mutate {', '.join(fewer)}, which this world varies"] if fewer else []
            raise MismatchError(
                f"'{path}' {' and '.join(told) or 'has its factors in another order'}: use it with the task that it "
                "was made for."
            )
        return found


def _log_mass(mean: float, deviation: float) -> float:
    """Logarithm of what exp(−½ ((x − mean) / deviation)²) has over [0, 1]."""
    inside = _NORMAL.cdf((1 - mean) / deviation) - _NORMAL.cdf(-mean / deviation)
    return log(deviation * sqrt(2 * pi) * inside)


def _truncated(mean: float, deviation: float, u: float) -> float:
    """The quantile u of a Gaussian truncated to [0, 1]."""
    low, high = _NORMAL.cdf(-mean / deviation), _NORMAL.cdf((1 - mean) / deviation)
    quantile = min(max(low + u * (high - low), 1e-15), 1 - 1e-15)
    return min(max(mean + deviation * _NORMAL.inv_cdf(quantile), 0.0), 1.0)
