"""Two ways of doing the same, timed in turns in one process, so that a busy machine slows both."""

import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Side:
    """One way: `run` does some of the work and returns how many units that was."""

    name: str
    run: Callable[[], int]


@dataclass(frozen=True)
class Rate:
    """Units a second over the repeats."""

    name: str
    median: float
    low: float
    high: float

    @staticmethod
    def of(name: str, rates: list[float]) -> "Rate":
        return Rate(name, statistics.median(rates), min(rates), max(rates))


@dataclass(frozen=True)
class Comparison:
    """Rates of both sides, and how many times faster the first is: the median over pairs measured together."""

    figure: str
    unit: str
    repeats: int
    first: Rate
    second: Rate
    ratio: float
    ratio_low: float
    ratio_high: float

    def show(self, wanted: float | None = None) -> None:
        """Print a small table and a line of JSON."""
        print(f"{self.figure} [{self.unit}/s], {self.repeats} repeats in turns")
        for rate in (self.first, self.second):
            print(f"  {rate.name:<40} median {rate.median:>10,.1f}   from {rate.low:,.1f} to {rate.high:,.1f}")
        goal = f", wanted {wanted:g}x" if wanted is not None else ""
        print(f"  ratio {self.ratio:,.1f}x (from {self.ratio_low:,.1f} to {self.ratio_high:,.1f}{goal})")
        print(json.dumps(asdict(self) | {"wanted": wanted}))


def compare(figure: str, first: Side, second: Side, *, unit: str, repeats: int = 7, warm_up: int = 1) -> Comparison:
    """Time both sides in turns.

    Args:
        figure: What is measured.
        first: Ours.
        second: What it is compared to.
        unit: What `run` counts.
        repeats: Pairs to measure.
        warm_up: Pairs to run before, unmeasured.
    """
    for _ in range(warm_up):
        first.run()
        second.run()
    pairs = []
    for i in range(repeats):
        ordered = (first, second) if i % 2 == 0 else (second, first)
        rates = {id(side): units_per_second(side.run) for side in ordered}
        pairs.append((rates[id(first)], rates[id(second)]))
    ratios = [ours / theirs for ours, theirs in pairs]
    return Comparison(
        figure=figure,
        unit=unit,
        repeats=repeats,
        first=Rate.of(first.name, [ours for ours, _ in pairs]),
        second=Rate.of(second.name, [theirs for _, theirs in pairs]),
        ratio=statistics.median(ratios),
        ratio_low=min(ratios),
        ratio_high=max(ratios),
    )


def units_per_second(run: Callable[[], int]) -> float:
    """Rate of one run, by the wall clock."""
    start = time.perf_counter()
    units = run()
    return units / (time.perf_counter() - start)
