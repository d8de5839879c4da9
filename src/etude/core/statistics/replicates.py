"""What replicates of an experiment agree on. The unit is the replicate, and every one has cases of its own."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core.errors import ConfigError
from etude.core.statistics.paired import Paired
from etude.core.statistics.rates import Rate

type Interval = tuple[float, float]
type Values = Float64[NDArray[np.float64], " R"]
"""One number per replicate."""

_DRAWS = 5000


@dataclass(frozen=True, kw_only=True)
class AcrossReplicates:
    """A difference between two ways of training, over replicates.

    Attributes:
        values: The difference in every replicate, shares in [-1, 1].
        mean: Their mean; NaN without replicates.
        t: Its interval by the paired t, without width where all replicates are alike; None with fewer than two.
        bootstrap: Its interval over replicates and the cases inside each; too narrow where replicates are few. None as
            above, for rates, and where cases are not known.
        score: The score interval of all cases together, Wilson's for rates: it has a width even where all came out
            alike. None as above, and where cases are not known.
        p: Two-sided p-value of "no difference": paired t, the sign test where all replicates are alike, for which t has
            no answer; 1 with fewer than two replicates.
    """

    values: tuple[float, ...]
    mean: float
    t: Interval | None
    bootstrap: Interval | None
    score: Interval | None
    p: float

    @property
    def interval(self) -> Interval | None:
        """What all of them allow: from the lowest of their lows to the highest of their highs."""
        known = [span for span in (self.t, self.bootstrap, self.score) if span is not None]
        return (min(low for low, _ in known), max(high for _, high in known)) if known else None

    @property
    def alike(self) -> bool:
        """Whether the interval has no width, not for certainty but because a few replicates came out equal."""
        return self.interval is not None and self.interval[0] == self.interval[1]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        ranges = {"t": self.t, "bootstrap": self.bootstrap, "score": self.score, "interval": self.interval}
        lists = {name: None if span is None else list(span) for name, span in ranges.items()}
        return {"n": len(self.values), "values": list(self.values), "mean": self.mean, "p": self.p, **lists}


def across_replicates(pairs: Sequence[Paired], rng: np.random.Generator, *, level: float = 0.95) -> AcrossReplicates:
    """Compare two ways of training that every replicate compared on its own cases.

    Args:
        pairs: The comparison in each replicate.
        rng: For the bootstrap.
        level: Of the intervals.
    """
    values = np.array([pair.difference for pair in pairs], dtype=np.float64)
    if len(pairs) < 2:
        return _record(values, level)
    drawn = nested_bootstrap(pairs, rng, level=level)
    return _record(values, level, bootstrap=drawn, score=_together(pairs).interval(level))


def mean_rate(rates: Sequence[Rate], *, level: float = 0.95) -> AcrossReplicates:
    """The mean of a rate, one per replicate; its p-value means nothing."""
    values = np.array([rate.value for rate in rates], dtype=np.float64)
    together = Rate(sum(rate.k for rate in rates), sum(rate.n for rate in rates), level)
    return _record(values, level, score=together.interval if len(rates) > 1 else None)


def mean_difference(values: Values, *, level: float = 0.95) -> AcrossReplicates:
    """The same for numbers whose cases are not known, one per replicate."""
    return _record(np.asarray(values, dtype=np.float64), level)


def paired_t(values: Values, *, level: float = 0.95) -> Interval:
    """Interval of the mean of differences, one per replicate, shape (R,).

    Raises:
        ConfigError: Fewer than two replicates.
    """
    from scipy.stats import t

    centre, half = float(values.mean()), float(t.ppf((1 + level) / 2, len(values) - 1)) * _error(values)
    return centre - half, centre + half


def nested_bootstrap(
    pairs: Sequence[Paired], rng: np.random.Generator, *, level: float = 0.95, draws: int = _DRAWS
) -> Interval:
    """Percentile interval of the mean difference: replicates are drawn again, then the cases of each that was drawn.

    Args:
        pairs: The comparison in each replicate, each on cases of its own.
        rng: For the draws.
        level: Of the interval.
        draws: How many.
    """
    counts = len(pairs)
    drawn = rng.integers(counts, size=(draws, counts))
    differences = np.empty((draws, counts))
    for index, pair in enumerate(pairs):  # a case is won, lost or tied: drawing cases again is one multinomial draw
        shares = np.array([pair.wins, pair.losses, pair.ties]) / pair.n
        here = drawn == index
        won = rng.multinomial(pair.n, shares, size=int(here.sum()))
        differences[here] = (won[:, 0] - won[:, 1]) / pair.n
    low, high = np.quantile(differences.mean(axis=1), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def spread_bound(values: Values, *, level: float = 0.8) -> float:
    """Upper bound of the standard deviation between replicates: few of them say little about it.

    Raises:
        ConfigError: Fewer than two replicates.
    """
    from scipy.stats import chi2

    freedom = len(values) - 1
    return _error(values) * sqrt(len(values)) * sqrt(freedom / float(chi2.ppf(1 - level, freedom)))


def replicates_needed(
    effect: float, spread: float, *, power: float = 0.8, alpha: float = 0.05, most: int = 1000
) -> int | None:
    """Fewest replicates among which a paired t-test (two-sided) sees an effect; None where `most` are too few.

    Args:
        effect: Mean difference that is to be seen.
        spread: Standard deviation of the difference between replicates.
        power: Probability that it is seen.
        alpha: How often the test may be wrong.
        most: Where to stop looking.
    """
    if spread < 0:
        raise ConfigError(f"a standard deviation is at least 0, got {spread:g}.")
    enough = (n for n in range(2, most + 1) if t_power(effect, spread, n, alpha=alpha) >= power)
    return next(enough, None)


def t_power(effect: float, spread: float, replicates: int, *, alpha: float = 0.05) -> float:
    """Probability that a two-sided paired t-test over so many replicates sees an effect, whichever its sign."""
    from scipy.stats import nct, t

    if spread == 0:
        return float(effect != 0)
    freedom = replicates - 1
    critical, shift = float(t.ppf(1 - alpha / 2, freedom)), abs(effect) / spread * sqrt(replicates)
    if shift > 30:  # beyond doubt, and beyond the noncentral t's numerics
        return 1.0
    return float(nct.sf(critical, freedom, shift))


def _together(pairs: Sequence[Paired]) -> Paired:
    """All cases of all replicates."""
    return Paired(*(sum(getattr(pair, name) for pair in pairs) for name in ("wins", "losses", "ties")))


def _record(
    values: Values, level: float, *, bootstrap: Interval | None = None, score: Interval | None = None
) -> AcrossReplicates:
    several = len(values) > 1
    return AcrossReplicates(
        values=tuple(values.tolist()),
        mean=float(values.mean()) if len(values) else float("nan"),
        t=paired_t(values, level=level) if several else None,
        bootstrap=bootstrap,
        score=score,
        p=_p(values) if several else 1.0,
    )


def _p(values: Values) -> float:
    from scipy.stats import t

    error, centre = _error(values), float(values.mean())
    if error == 0:
        return 2.0 ** (1 - len(values)) if centre else 1.0
    return float(2 * t.sf(abs(centre) / error, len(values) - 1))


def _error(values: Values) -> float:
    """Standard error of the mean."""
    if len(values) < 2:
        raise ConfigError(f"replicates vary only among several, got {len(values)}.")
    return float(values.std(ddof=1)) / sqrt(len(values)) if np.ptp(values) else 0.0  # not what rounding leaves of it
