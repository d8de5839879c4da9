"""How many cases it takes before several paired tests at once can say anything."""

from itertools import count
from math import comb


def losses_needed(tests: int, alpha: float = 0.05) -> int:
    """Fewest losses, with no win, that McNemar's exact test calls a difference after Holm over so many tests."""
    return next(losses for losses in count(1) if tests * 2 / 2**losses < alpha)


def cases_needed(drop: float, tests: int, *, power: float = 0.8, alpha: float = 0.05) -> int:
    """Fewest cases of each test among which a drop in success is seen with probability `power`.

    It counts on cases that are only lost, never won, so it is the least: whatever is won too takes more.

    Args:
        drop: Share of the cases that are lost, in (0, 1].
        tests: How many are made at once, corrected by Holm.
        power: Probability that the drop is seen.
        alpha: How often any of the tests may be wrong.
    """
    needed = losses_needed(tests, alpha)

    def missed(n: int) -> float:
        return sum(comb(n, k) * drop**k * (1 - drop) ** (n - k) for k in range(needed))

    return next(n for n in count(needed) if missed(n) <= 1 - power)
