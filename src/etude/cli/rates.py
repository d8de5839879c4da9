"""Tables of rates, each with k/n and its 95 % interval."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table

from etude.core import CRASHED, INVALID_ACTION, Outcome, Paired, Perturbation, Rate

if TYPE_CHECKING:
    from etude.evaluation import Breakdown, Summary

_SHOWN = 8
_TROUBLES = {
    INVALID_ACTION: "ended because the policy gave actions that are not finite, or of another shape",
    CRASHED: "ended their process every time they were tried",
}


def summary_table(summary: "Summary", breakdown: "Breakdown", order: Sequence[str]) -> Table:
    """Success, beside that in unperturbed worlds and by label, sub-tasks reached, and how it failed.

    Args:
        summary: The numbers.
        breakdown: Those of parts of the evaluation.
        order: The sub-tasks, first to last.
    """
    reached = sorted(summary.subtasks.items(), key=lambda pair: order.index(pair[0]))
    failed = sorted(summary.failure_modes.items(), key=lambda pair: -pair[1].k)
    rows = {
        "success": summary.success,
        **({"unperturbed, same seeds": breakdown.matched} if breakdown.matched else {}),
        **{f"  of {label}": rate for label, rate in breakdown.labels.items()},
        **{f"  reached {name}": rate for name, rate in reached},
        **{f"  failed: {mode.replace('_', ' ')}": rate for mode, rate in failed},
    }
    return _table("", rows)


def means(summary: "Summary") -> str:
    """What is not counted but averaged."""
    smoothness = "" if summary.mean_smoothness is None else f", smoothness {summary.mean_smoothness:.2f} (SPARC)"
    return (
        f"means: progress {summary.mean_progress:.2f} (worst tenth {summary.tail_progress:.2f}), "
        f"return {summary.mean_return:.2f}, length {summary.mean_length:.1f} steps{smoothness}"
    )


def parts_tables(breakdown: "Breakdown") -> list[Table]:
    """The worst parts: factors that hurt most alone, and a grid's cells."""
    tables: list[Table] = []
    if breakdown.factors:
        tables.append(_factor_table(breakdown))
    if breakdown.cells:
        tables.append(_cell_table(breakdown))
    return tables


def theta_words(theta: Perturbation) -> str:
    """θ in words, e.g. "cube.scale = 1.1, light.intensity = 0.4"."""
    return ", ".join(f"{name} = {value:.3g}" for name, value in theta.values.items()) or "nominal"


def troubles(outcomes: Sequence[Outcome]) -> list[str]:
    """A line for each way in which episodes ended that is not the task's: how many, and where the first was."""
    lines: list[str] = []
    for mode, words in _TROUBLES.items():
        ended = [outcome.case for outcome in outcomes if outcome.failure_mode == mode]
        if ended:
            where = f"seed {ended[0].seed} ({theta_words(ended[0].theta)})"
            lines.append(f"{len(ended)} of {len(outcomes)} episodes {words} ({mode}); the first at {where}.")
    return lines


def _table(title: str, rows: dict[str, Rate]) -> Table:
    shown = Table(title, "k/n", "rate", "95 % interval", box=None, header_style="bold")
    for label, rate in rows.items():
        shown.add_row(label, *_cells(rate))
    return shown


def _factor_table(breakdown: "Breakdown") -> Table:
    count = len(breakdown.factors)
    shown = _compared(f"factor alone, the most harmful first ({count} in all)", "unperturbed")
    for name, effect in list(breakdown.factors.items())[:_SHOWN]:
        unperturbed = f"{effect.matched.k}/{effect.matched.n}"
        shown.add_row(name, *_cells(effect.perturbed), unperturbed, *_pairing(effect.paired, effect.p_holm))
    return shown


def _cell_table(breakdown: "Breakdown") -> Table:
    cells = sorted(breakdown.cells.items(), key=lambda pair: pair[1].success.value)
    title = f"cell, the worst first ({len(cells)} in all)"
    if breakdown.matched is None:
        return _table(title, {theta_words(theta): cell.success for theta, cell in cells[:_SHOWN]})
    shown = _compared(title)
    for theta, cell in cells[:_SHOWN]:
        shown.add_row(theta_words(theta), *_cells(cell.success), *_pairing(cell.against, cell.p_holm))
    return shown


def _compared(title: str, *more: str) -> Table:
    """A table of rates that are compared with unperturbed worlds."""
    shown = Table(title, "perturbed", "rate", "95 % interval", box=None, header_style="bold")
    for heading in (*more, "lost", "won", "p (Holm)"):
        shown.add_column(heading)
    return shown


def _pairing(paired: Paired | None, p_holm: float | None) -> tuple[str, str, str]:
    return ("", "", "") if paired is None else (str(paired.losses), str(paired.wins), f"{p_holm:.2g}")


def _cells(rate: Rate) -> tuple[str, str, str]:
    return f"{rate.k}/{rate.n}", f"{rate.value:.0%}", f"{rate.low:.0%}–{rate.high:.0%}"
