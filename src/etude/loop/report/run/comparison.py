"""What the arms' outcomes say side by side: paired by case, pocket by pocket, and in the tail."""

from collections import defaultdict
from itertools import combinations

import numpy as np

from etude.core import Outcome, Paired, Rate, cvar
from etude.loop.arms import BASELINE
from etude.loop.report.results import RunResults

TAIL_FRACTIONS = (0.1, 0.25)
"""The worst tenth and the worst quarter of the cases."""


def pairs(run: RunResults) -> list[tuple[str, str]]:
    """Every arm against every arm before it, as (first, second)."""
    return [(later, earlier) for earlier, later in combinations(run.arms, 2)]


def compare(run: RunResults, first: str, second: str, test: str) -> Paired:
    """Two arms case by case on one of TESTS; without cases when either did not sit it."""
    a, b = (run.arms[name].outcomes(test) for name in (first, second))
    if not a or not b:
        return Paired(0, 0)
    return Paired.of([outcome.success for outcome in a], [outcome.success for outcome in b])


def tail_progress(outcomes: tuple[Outcome, ...], fraction: float) -> float | None:
    """CVaR over θ: mean progress in the worst `fraction` of the perturbations, seeds of one θ averaged first."""
    by_theta: defaultdict[object, list[float]] = defaultdict(list)
    for outcome in outcomes:
        key = outcome.case.theta if outcome.case.theta.values else outcome.case
        by_theta[key].append(outcome.progress)
    if not by_theta:
        return None
    return cvar(np.array([float(np.mean(p)) for p in by_theta.values()]), fraction)


def pocket_rates(run: RunResults, arm: str) -> dict[str, Rate]:
    """Exam successes of an arm in each pocket that the exam drew cases from."""
    exam = run.suites.get("exam")
    by_label: defaultdict[str, list[bool]] = defaultdict(list)
    outcomes = run.arms[arm].exam
    if exam is not None and exam.labels and outcomes:
        for label, outcome in zip(exam.labels, outcomes, strict=True):
            by_label[label].append(outcome.success)
    return {label: Rate.of(successes) for label, successes in by_label.items()}


def worst_pocket(run: RunResults, arm: str) -> tuple[str, Rate] | None:
    """The pocket with the lowest exam success of an arm (the first of equals)."""
    rates = pocket_rates(run, arm)
    return min(rates.items(), key=lambda item: item[1].value) if rates else None


def newly_lost(run: RunResults, arm: str, test: str) -> list[tuple[int, Outcome]]:
    """(index, the arm's outcome) of the cases where the baseline succeeded and the arm failed."""
    first = run.arms[BASELINE].outcomes(test) if BASELINE in run.arms else ()
    second = run.arms[arm].outcomes(test)
    if not first or not second:
        return []
    both = zip(first, second, strict=True)
    return [(index, after) for index, (before, after) in enumerate(both) if before.success and not after.success]
