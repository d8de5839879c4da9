"""Two policies on the same cases."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import exp, inf, sqrt
from statistics import NormalDist

from etude.core.statistics.sequential import (
    LARGEST_LOG,
    confidence_sequence,
    fewer_wins,
    log_evidence_either,
    log_evidence_first,
)


@dataclass(frozen=True)
class Paired:
    """Two policies on the same cases: how often only the first, or only the second, succeeded.

    Attributes:
        wins: Cases where only the first succeeded.
        losses: Cases where only the second succeeded.
        ties: Cases where both did the same.
    """

    wins: int
    losses: int
    ties: int = 0

    @staticmethod
    def of(first: Sequence[bool], second: Sequence[bool]) -> "Paired":
        """Compare success case by case; both sequences follow the same cases."""
        pairs = list(zip(first, second, strict=True))
        wins = sum(a and not b for a, b in pairs)
        losses = sum(b and not a for a, b in pairs)
        return Paired(wins, losses, len(pairs) - wins - losses)

    @property
    def n(self) -> int:
        """Cases."""
        return self.wins + self.losses + self.ties

    @property
    def difference(self) -> float:
        """Success rate of the first less that of the second."""
        return (self.wins - self.losses) / self.n if self.n else float("nan")

    @property
    def p(self) -> float:
        """Exact two-sided McNemar p-value: under equality, wins are Binomial(wins + losses, 1/2).

        It holds for a number of cases that was fixed before; who looks earlier reads an e-value.
        """
        discordant = self.wins + self.losses
        return min(1.0, 2 * fewer_wins(discordant, min(self.wins, self.losses)) / 2**discordant)

    @property
    def e_value(self) -> float:
        """Anytime-valid evidence that the first is better; stop at 20 for a 5 % error whenever one looks."""
        return exp(min(log_evidence_first(self.wins, self.losses), LARGEST_LOG))

    @property
    def two_sided_e_value(self) -> float:
        """Anytime-valid evidence that they differ, whichever is better; see `e_value`."""
        return exp(min(log_evidence_either(self.wins, self.losses), LARGEST_LOG))

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Score interval of the difference, for a number of cases that was fixed before; (−1, 1) without cases.

        All differences that the score test does not reject. At 0 that is McNemar's test without continuity correction,
        so that among few cases the interval may leave out 0 while the exact `p` does not yet reject.

        Source: Tango 1998; recommended by Newcombe 1998 and by Fagerland, Lydersen and Laake 2014.
        """
        if self.n == 0:
            return -1.0, 1.0
        z = NormalDist().inv_cdf(0.5 + level / 2)
        low = _crossing(lambda delta: self._score(delta) > z, -1.0, self.difference)
        high = _crossing(lambda delta: self._score(delta) < -z, 1.0, self.difference)
        return low, high

    def anytime_interval(self, alpha: float = 0.05) -> tuple[float, float]:
        """Interval of the difference that holds at all numbers of cases at once; (−1, 1) without cases.

        It leaves out 0 exactly where `two_sided_e_value` reaches 1 / alpha.
        """
        return confidence_sequence(self.wins, self.losses, self.ties, alpha)

    def _score(self, delta: float) -> float:
        """Tango's score statistic of "the difference is delta"; it falls as delta rises.

        q is the most likely share of losses under that difference, the root of 2n q² + B q + C = 0.
        """
        n, w, l = self.n, self.wins, self.losses
        b = (2 * n - w + l) * delta - w - l
        c = -l * delta * (1 - delta)
        q = (sqrt(max(0.0, b * b - 8 * n * c)) - b) / (4 * n)
        gap, variance = w - l - n * delta, n * (2 * q + delta * (1 - delta))
        if variance <= 0:
            return 0.0 if gap == 0 else inf * gap
        return gap / sqrt(variance)


def _crossing(rejected: Callable[[float], bool], outside: float, inside: float) -> float:
    """Where a test stops rejecting on the way from `outside` to `inside`; `outside` where it never rejects."""
    if not rejected(outside):
        return outside
    for _ in range(60):
        middle = (outside + inside) / 2
        outside, inside = (middle, inside) if rejected(middle) else (outside, middle)
    return inside
