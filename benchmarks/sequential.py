"""Two policies compared until it can be said which is better, against McNemar's test after 200 cases.

Error rates are counted over 1,000 simulated comparisons of equal policies for every base rate and correlation. Power
and numbers of cases are exact, from the probabilities of every (wins, losses) after every case. With the name of a PNG
(`python -m benchmarks.sequential docs/images/power.png`) the curves are drawn.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.power_picture import draw
from etude.core import Paired, Rate, stream

FIXED, ALPHA, BATCH = 200, 0.05, 16
BASES, CORRELATIONS = (0.2, 0.5, 0.8, 0.95), (0.0, 0.3, 0.6)
NULLS, DIFFERENCES = 1_000, (0.0, 0.05, 0.10, 0.15, 0.20, 0.25, 0.30)
MEAN = 0.5
"""Mean success of both policies on the power curve: where outcomes vary most, and differences are hardest to see."""


@dataclass(frozen=True)
class Null:
    """How often equal policies were called different."""

    base: float
    correlation: float
    wrong: int
    of: int


@dataclass(frozen=True)
class Power:
    """At one true difference: how often it is seen, and after how many cases.

    Attributes:
        difference: Between the two rates of success.
        correlation: Between their outcomes on the same case.
        fixed: Power of McNemar's exact test after 200 cases.
        sequential: Power when one looks after every case, up to 200.
        cases: Mean number of cases then.
        batched: Power when one looks after every 16 cases, as `etude compare` does.
        batched_cases: Mean number of cases then.
    """

    difference: float
    correlation: float
    fixed: float
    sequential: float
    cases: float
    batched: float
    batched_cases: float


def main(picture: Path | None = None) -> dict[str, object]:
    """Measure, print a table and a line of JSON, and draw the curves where a file is named."""
    begun = time.perf_counter()
    settings = [(base, correlation) for base in BASES for correlation in CORRELATIONS]
    nulls = [null(*setting, stream(0, "nulls", i)) for i, setting in enumerate(settings)]
    powers = [power(gap, rho) for rho in CORRELATIONS[:2] for gap in DIFFERENCES]
    seconds = time.perf_counter() - begun
    print(f"equal policies, looked at after every case up to {FIXED}: called different (wanted: at most 5 %)")
    for each in nulls:
        print(f"  success {each.base:.2f}, correlation {each.correlation:.1f}: {Rate(each.wrong, each.of)}")
    total = Rate(sum(each.wrong for each in nulls), sum(each.of for each in nulls))
    print(f"  all: {total}")
    print(f"power, and cases until it can be said, of at most {FIXED}; mean success {MEAN:g}")
    print("  correlation  difference  fixed n=200  every case    cases  fewer   every 16   cases  fewer")
    for each in powers:
        print(_row(each))
    record: dict[str, object] = {
        "figure": "sequential comparison",
        "nulls": [asdict(each) for each in nulls],
        "power": [asdict(each) for each in powers],
    }
    print(json.dumps(record))
    print(f"{seconds:.0f} s")
    if picture:
        draw(powers, picture)
    return record


def null(base: float, correlation: float, rng: np.random.Generator) -> Null:
    """Simulate comparisons of equal policies, looked at after every case."""
    win, loss = discordance(base, base, correlation)
    drawn = rng.random((NULLS, FIXED))
    wins, losses = (drawn < win).cumsum(axis=1), ((drawn >= win) & (drawn < win + loss)).cumsum(axis=1)
    return Null(base, correlation, int(decided()[wins, losses].any(axis=1).sum()), NULLS)


def power(difference: float, correlation: float) -> Power:
    """Power of both tests where the rates are MEAN ± difference / 2."""
    shares = discordance(MEAN + difference / 2, MEAN - difference / 2, correlation)
    fixed, _ = stopped(*shares, [FIXED], significant())
    sequential, cases = stopped(*shares, range(1, FIXED + 1), decided())
    batched, batched_cases = stopped(*shares, [*range(BATCH, FIXED, BATCH), FIXED], decided())
    return Power(difference, correlation, fixed, sequential, cases, batched, batched_cases)


def discordance(first: float, second: float, correlation: float) -> tuple[float, float]:
    """Probabilities that only the first, and only the second, of two policies succeeds; correlated as far as can be."""
    product = first * second
    both = product + correlation * (first * (1 - first) * second * (1 - second)) ** 0.5
    both = min(both, first, second)
    return first - both, second - both


def stopped(win: float, loss: float, looks: Sequence[int], verdict: NDArray[np.bool_]) -> tuple[float, float]:
    """Probability that a verdict is reached at one of the looks, and the mean number of cases, exactly.

    Args:
        win: Probability per case that only the first succeeds.
        loss: That only the second does.
        looks: Numbers of cases after which one looks, rising.
        verdict: By (wins, losses), shape (n + 1, n + 1).
    """
    reached = np.zeros((FIXED + 1, FIXED + 1))
    reached[0, 0] = 1.0
    found = cases = 0.0
    for n in range(1, FIXED + 1):
        after = reached * (1 - win - loss)
        after[1:] += reached[:-1] * win
        after[:, 1:] += reached[:, :-1] * loss
        reached = after
        if n in looks:
            mass = float(reached[verdict].sum())
            found, cases = found + mass, cases + n * mass
            reached = np.where(verdict, 0.0, reached)
    return found, cases + FIXED * float(reached.sum())


@cache
def decided() -> NDArray[np.bool_]:
    """Where the e-value says that one is better."""
    return _table(lambda paired: paired.two_sided_e_value >= 1 / ALPHA)


@cache
def significant() -> NDArray[np.bool_]:
    """Where McNemar's exact test does."""
    return _table(lambda paired: paired.p < ALPHA)


def _table(verdict: Callable[[Paired], bool]) -> NDArray[np.bool_]:
    counts = range(FIXED + 1)
    return np.array([[w + l <= FIXED and verdict(Paired(w, l)) for l in counts] for w in counts])


def _row(each: Power) -> str:
    fewer, batched_fewer = (1 - cases / FIXED for cases in (each.cases, each.batched_cases))
    return (
        f"  {each.correlation:>11.1f}  {100 * each.difference:>6.0f} pts  {each.fixed:>11.0%}  {each.sequential:>10.0%}"
        f"  {each.cases:>7.0f}  {fewer:>5.0%}   {each.batched:>8.0%}  {each.batched_cases:>6.0f}  {batched_fewer:>5.0%}"
    )


if __name__ == "__main__":
    main(*(Path(name) for name in sys.argv[1:2]))
