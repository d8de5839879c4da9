"""A comparison in one sentence."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from etude.core import Paired
from etude.evaluation.comparison.seeds import AcrossSeeds, Interval
from etude.evaluation.comparison.sequential import Look, Stopping


@dataclass(frozen=True)
class Judgement:
    """What a person should take away.

    Attributes:
        better: The better policy, "equal" where they certainly differ by less than a margin, or "unclear".
        sentence: The same with its numbers, as in "B is better: 14 points (5 to 22), p = .002."
    """

    better: Literal["a", "b", "equal", "unclear"]
    sentence: str


def judge(paired: Paired, alpha: float = 0.05) -> Judgement:
    """By McNemar's exact test, after a number of cases that was fixed before."""
    interval, p = paired.interval(1 - alpha), p_text(paired.p)
    if paired.p >= alpha:
        cases = "1 case" if paired.n == 1 else f"{paired.n} cases"
        # Among few cases the interval may leave out 0 where the exact test, which decides, does not reject.
        but = "" if interval[0] <= 0 <= interval[1] else "but the exact test asks for more cases, "
        return Judgement("unclear", f"Cannot say after {cases}: {_gap(paired.difference, interval)}, {but}{p}.")
    return _better(paired.difference, interval, p)


def judge_looks(looks: Sequence[Look], planned: int, stopping: Stopping) -> Judgement:
    """By what could be said while the cases came in.

    Args:
        looks: All that were taken.
        planned: How many cases there might have been.
        stopping: The rule that they followed.
    """
    last = looks[-1]
    paired, interval = last.paired, last.interval
    after = f"after {paired.n} of {planned} cases"
    evidence = f"whenever one looks, {e_text(paired.two_sided_e_value)} {after}"
    if last.decision is None:
        return Judgement("unclear", f"Cannot say: {_gap(paired.difference, interval)}, {evidence}.")
    if last.decision == "equal":
        margin = f"less than {100 * stopping.margin:.3g} points"
        return Judgement(
            "equal", f"No difference that matters: {margin}, {_gap(paired.difference, interval)}, {after}."
        )
    return _better(paired.difference, interval, evidence)


def judge_seeds(seeds: AcrossSeeds, counts: tuple[int, int]) -> Judgement:
    """By whether training seeds and cases both leave a difference.

    Args:
        seeds: The comparison.
        counts: Policies of each kind.
    """
    over = f"over {counts[0]} and {counts[1]} training seeds"
    low, high = seeds.interval
    if low <= 0 <= high:
        return Judgement("unclear", f"Cannot say {over}: {_gap(seeds.difference, seeds.interval)}.")
    return _better(seeds.difference, seeds.interval, over)


def p_text(p: float) -> str:
    """A p-value as people read it, e.g. "p = .002"."""
    if p < 0.001:
        return "p < .001"
    return f"p = {p:.{3 if p < 0.1 else 2}f}".replace("= 0.", "= .").replace("= 1.00", "= 1")


def e_text(e_value: float) -> str:
    """An e-value as people read it, e.g. "e-value 31"."""
    if e_value > 1_000_000:
        return "e-value over a million"
    return f"e-value {e_value:,.0f}" if e_value >= 10 else f"e-value {e_value:.2g}"


def _better(difference: float, interval: Interval, evidence: str) -> Judgement:
    side = "a" if difference > 0 else "b"
    gap, (low, high) = (difference, interval) if difference > 0 else (-difference, (-interval[1], -interval[0]))
    return Judgement(side, f"{side.upper()} is better: {_points(gap)} points ({_range(low, high)}), {evidence}.")


def _gap(difference: float, interval: Interval) -> str:
    return f"A less B is {_points(difference)} points ({_range(*interval)})"


def _range(low: float, high: float) -> str:
    return f"{_points(low)} to {_points(high)}"


def _points(share: float) -> str:
    return f"{100 * share:.0f}".replace("-0", "0").replace("-", "−")
