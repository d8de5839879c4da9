"""The table that a run prints when it is done."""

from rich.table import Table

from etude.core import Rate
from etude.evaluation.comparison import p_text
from etude.loop.arms import BASELINE, UNIFORM
from etude.loop.report.drawing.wording import (
    arm_title,
    count_text,
    evidence_text,
    interval_text,
    signed,
    test_title,
)
from etude.loop.report.results import TESTS, RunResults, foremost
from etude.loop.report.run.comparison import compare
from etude.loop.report.run.verdict import judge


def table(run: RunResults) -> Table:
    """Every arm on every test with 95 % intervals, then the paired comparisons, below them the verdict."""
    result = Table(caption=judge(run).headline, caption_justify="left")
    result.add_column("")
    for test in TESTS:
        result.add_column(test_title(test))
    for name, arm in run.arms.items():
        result.add_row(arm_title(name), *(_rate_cell(arm.rate(test)) for test in TESTS))
    result.add_section()
    arms = [name for name in run.arms if name != BASELINE]
    foremost_first = sorted(arms, key=lambda name: name != foremost(run.arms))
    aiming = [name for name in foremost_first if run.arms[name].purpose == "aim"]
    for first, second in [*((name, UNIFORM) for name in aiming), *((name, BASELINE) for name in foremost_first)]:
        if second in run.arms:
            cells = [_paired_cell(run, first, second, test) for test in TESTS]
            result.add_row(f"{arm_title(first)} against\n{arm_title(second).lower()}", *cells)
    return result


def _rate_cell(rate: Rate) -> str:
    return f"{count_text(rate)}  {interval_text(rate)}".rstrip()


def _paired_cell(run: RunResults, first: str, second: str, test: str) -> str:
    if not run.arms[first].outcomes(test) or not run.arms[second].outcomes(test):
        return "no cases"
    paired = compare(run, first, second, test)
    counts = f"{signed(paired.wins - paired.losses)} ({paired.wins} won, {paired.losses} lost)"
    return f"{counts}\n{p_text(paired.p)}, {evidence_text(paired.e_value)}"
