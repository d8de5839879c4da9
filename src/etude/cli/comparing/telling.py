"""What a person reads of a comparison."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from etude.cli.comparing.contest import Contest

if TYPE_CHECKING:
    from etude.evaluation.comparison import Analysis, Dependence


def told(contest: Contest, analysis: "Analysis", alpha: float) -> list[Table | str]:
    """Rates of both sides, cases won and lost, what stopping early saved, along which factors; then the verdict.

    Args:
        contest: Who was compared.
        analysis: What came of it.
        alpha: How often a statement may be wrong.
    """
    table = Table("", "policy", "k/n", "rate", "95 % interval", box=None, header_style="bold")
    for side, rates in ((contest.a, analysis.a), (contest.b, analysis.b)):
        for name, rate in zip(side.names, rates, strict=True):
            interval = f"{rate.low:.0%}–{rate.high:.0%}"
            table.add_row(side.label.upper(), name, f"{rate.k}/{rate.n}", f"{rate.value:.0%}", interval)
    won, lost = len(analysis.won), len(analysis.lost)
    if analysis.seeds:
        lines = [f"Cases solved more often by A: {won}, by B: {lost}, equally often: {analysis.ties}."]
    else:
        lines = [f"Cases solved by A only: {won}, by B only: {lost}, by both or neither: {analysis.ties}."]
    if analysis.looks:
        lines.append(_saved(analysis))
    if analysis.factors:
        lines += _along(analysis.factors, alpha)
    return [table, "", *lines, "", analysis.judgement.sentence]


def _saved(analysis: "Analysis") -> str:
    if not analysis.saved:
        return f"Looked {len(analysis.looks)} times, to the last of {analysis.planned} cases: no rollouts saved."
    return (
        f"Stopped after {analysis.cases} of {analysis.planned} cases: {analysis.saved} rollouts saved. Who stops early "
        "sees too large a difference; the interval allows for that."
    )


def _along(factors: "Sequence[Dependence]", alpha: float) -> list[str]:
    clear = [each for each in factors if each.p_holm < alpha]
    if not clear:
        return [f"Along none of {len(factors)} factors does the difference clearly change (Holm)."]
    return [
        f"The difference depends on {each.factor}: {100 * each.lower.difference:+.0f} points up to {each.split:.3g}, "
        f"{100 * each.upper.difference:+.0f} above (p = {each.p_holm:.2g}, Holm over {len(factors)})."
        for each in clear
    ]
