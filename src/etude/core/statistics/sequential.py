"""Evidence that stays valid however often one looks: bets against "the difference is m" that nobody can win for long.

Of every case a bettor's capital is multiplied by

    u · y / μ + (1 − u) · (1 − y) / (1 − μ)         y = 1 for a win, 0 for a loss, ½ for a tie;  μ = (1 + m) / 2

whose mean is 1 where the mean of y is μ, whatever else the cases have in common. So is that of a mixture over u, and a
capital that began as 1 ever reaches 1/α with probability at most α (Ville 1939): the e-value. For m = 0 ties change
nothing, and the mixture over Beta(a, b) is E = 2^(w+l) · B(a+w, b+l) / B(a, b).

Source: Ramdas, Grünwald, Vovk and Shafer 2023; Waudby-Smith and Ramdas 2023, Sec. 4, for the confidence sequence.
"""

from functools import cache
from math import lgamma, log

import numpy as np
from numpy.typing import NDArray

MIXTURE = 2.0
"""a = b of the two-sided mixture. 2 needs the fewest cases at 20 points, and nearly so from 10 to 30; 1 is uniform."""

LARGEST_LOG = 700.0
"""Evidence beyond e^700 is given as that: it is a number in JSON too."""

_NODES = 512


def log_evidence_first(wins: int, losses: int) -> float:
    """Log of the e-value for "the first is better", uniform over u > ½.

    E = ∫_{1/2}^{1} 2^(w+l) u^w (1−u)^l · 2 du, exact through the binomial identity of the incomplete beta function,
    I_{1/2}(w+1, l+1) = P(Bin(w+l+1, ½) > w).
    """
    discordant = wins + losses
    # The logarithm of an integer does not overflow; 2^(w+l), the binomial's 2^(w+l+1) and the density's 2 cancel.
    return _log_beta(wins + 1.0, losses + 1.0) + log(fewer_wins(discordant + 1, wins))


def log_evidence_either(wins: int, losses: int) -> float:
    """Log of the e-value for "they differ", over Beta(2, 2).

    Its halves u > ½ and u < ½ are the two one-sided e-values with the same mixture, and it is their mean.
    """
    a = MIXTURE
    return (wins + losses) * log(2) + _log_beta(a + wins, a + losses) - _log_beta(a, a)


def confidence_sequence(wins: int, losses: int, ties: int, alpha: float) -> tuple[float, float]:
    """All differences m against which no capital of 1/α was won; over all numbers of cases at once they hold the
    true one with probability 1 − α.

    The capital is log-convex in m (1/μ and 1/(1−μ) are, and sums and products keep it) and at most 1 at the observed
    difference, so these m are an interval around it.
    """
    if wins + losses + ties == 0:
        return -1.0, 1.0
    centre = (1 + (wins - losses) / (wins + losses + ties)) / 2
    low = _reach(wins, losses, ties, alpha, 0.0, centre)
    return 2 * low - 1, 2 * _reach(wins, losses, ties, alpha, 1.0, centre) - 1


def fewer_wins(n: int, k: int) -> int:
    """How many of the 2^n sequences of wins and losses have at most k wins, 0 <= k <= n."""
    total = term = 1
    for i in range(k):
        term = term * (n - i) // (i + 1)
        total += term
    return total


def _reach(wins: int, losses: int, ties: int, alpha: float, outside: float, inside: float) -> float:
    """Where the capital falls below 1/α on the way from `outside`, an end of [0, 1], to `inside`."""
    if outside == inside:
        return outside
    for _ in range(42):
        middle = (outside + inside) / 2
        rejected = _log_capital(wins, losses, ties, middle) >= -log(alpha)
        outside, inside = (middle, inside) if rejected else (outside, middle)
    return inside


def _log_capital(wins: int, losses: int, ties: int, mu: float) -> float:
    """Log of the mixture's capital against "the mean of y is mu"."""
    u, log_u, log_rest, log_weight = _mixture()
    tie = np.log((u / mu + (1 - u) / (1 - mu)) / 2)
    log_bets = log_weight + wins * (log_u - log(mu)) + losses * (log_rest - log(1 - mu)) + ties * tie
    largest = float(log_bets.max())
    return largest + log(float(np.exp(log_bets - largest).sum()))


@cache
def _mixture() -> tuple[NDArray[np.float64], ...]:
    """Bets u, log u, log(1 − u), and their log weights, (512,) each: Beta(2, 2) at Gauss's nodes.

    Any bets with any weights that sum to 1 are valid evidence; these agree with the closed form.
    """
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    u = (1 + nodes) / 2
    weights = weights * (u * (1 - u)) ** (MIXTURE - 1)
    return u, np.log(u), np.log1p(-u), np.log(weights / weights.sum())


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)
