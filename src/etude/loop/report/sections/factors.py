"""Success over the factors: along each of them, on a grid, and against the matched unperturbed cases."""

from collections import defaultdict
from collections.abc import Sequence

from etude.core import Outcome, PerturbationSpace, Rate
from etude.core.statistics import cases_needed, losses_needed
from etude.evaluation import FactorEffect, factor_effects
from etude.evaluation.comparison import p_text
from etude.loop.report.drawing.along import Group, success_along
from etude.loop.report.drawing.charts import difference_bar
from etude.loop.report.drawing.heatmap import heat_map
from etude.loop.report.drawing.layout import folded, grid, header, rate_text, row, scrolling, section
from etude.loop.report.drawing.maps import ranked_factors
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import difference_text, named_axis

ALPHA = 0.05
_FIRST = 8
_DROPS = (0.3, 0.15)
_MOST_CELLS = 40
"""Values along one axis of a grid; more are no grid any more."""


def along_section(outcomes: Sequence[Outcome], space: PerturbationSpace | None) -> Html:
    """Success in bins of every factor that varied, those that explain most first."""
    if space is None or not outcomes:
        return Html("")
    varied = {name for name in space.names if len(_values(outcomes, name)) > 2}
    complete = all(varied <= set(outcome.case.theta.values) for outcome in outcomes)
    rows = [(outcome.case.theta, 1 - outcome.progress) for outcome in outcomes] if complete else []
    order = [name for name in ranked_factors(space, rows) if name in varied]
    group = Group("All cases", "ink-plain", outcomes)
    pictures = [success_along([group], space[name]) for name in order]
    figures = [tag("figure", drawn) for drawn in pictures if drawn is not None]
    if not figures:
        return Html("")
    note = (
        "Dots are success in a bin, bands their 95 % Wilson intervals. Factors that explain most of how far the policy "
        "came are first; with many factors some look bad by chance."
    )
    drawn = grid(figures[:_FIRST], dense=True)
    if figures[_FIRST:]:
        drawn = join([drawn, folded(f"{len(figures) - _FIRST} more factors", grid(figures[_FIRST:], dense=True))])
    if len({outcome.success for outcome in outcomes}) == 1:  # nothing to see: every point at 0 or at 100 %
        drawn = folded(f"All {len(figures)} factors", drawn)
    return section("along", "Success along each factor", note, drawn)


def grid_section(outcomes: Sequence[Outcome], space: PerturbationSpace | None, *, holes: bool = False) -> Html:
    """A map of failures where the cases are a grid of one or two factors.

    Args:
        outcomes: One per case.
        space: Of the factors; None where it is not known.
        holes: Whether some cells may be missing, as those that the world could not take.
    """
    axes = grid_axes(outcomes, holes=holes)
    if axes is None:
        return Html("")
    names = list(axes)
    titles = [named_axis(name, space) for name in names]
    failures: defaultdict[tuple[float, float], list[bool]] = defaultdict(list)
    for outcome in outcomes:
        at = [outcome.case.theta.values[name] for name in names]
        failures[at[0], at[1] if len(at) > 1 else 0.0].append(not outcome.success)
    rates = {where: Rate.of(failed) for where, failed in failures.items()}
    xs, ys = axes[names[0]], axes[names[1]] if len(names) > 1 else [0.0]
    drawn = heat_map(rates, titles[0], titles[1] if len(names) > 1 else "", xs, ys)
    note = "Failures of all cases in each cell, the redder the more."
    note += " A cell without a number is a world that cannot be." if holes else ""
    return section("grid", "Grid", note, tag("figure", drawn, class_="wide"))


def grid_axes(outcomes: Sequence[Outcome], *, holes: bool = False) -> dict[str, list[float]] | None:
    """Factor -> its values, ascending, where the cases are a grid of one or two factors; else None."""
    if not outcomes:
        return None
    names = sorted({name for outcome in outcomes for name in outcome.case.theta.values})
    axes = {name: sorted(_values(outcomes, name)) for name in names}
    axes = {name: values for name, values in axes.items() if len(values) > 1}
    if len(axes) not in (1, 2) or any(len(values) > _MOST_CELLS for values in axes.values()):
        return None
    if any(name not in outcome.case.theta.values for outcome in outcomes for name in axes):
        return None
    cells = {tuple(outcome.case.theta.values[name] for name in axes) for outcome in outcomes}
    size = 1
    for values in axes.values():
        size *= len(values)
    return axes if holes or len(cells) == size else None


def matched_section(outcomes: Sequence[Outcome], matched: Sequence[Outcome], space: PerturbationSpace | None) -> Html:
    """Every factor that cases vary alone against the unperturbed cases of their seeds, the most harmful first."""
    effects = factor_effects(outcomes, matched) if matched else {}
    if not effects:
        return Html("")
    rows: list[Html] = []
    for name, effect in effects.items():
        paired = effect.paired
        shown = (paired.difference, *paired.interval())
        ink = "ink-plain" if effect.p_holm >= ALPHA else "ink-bad" if paired.difference < 0 else "ink-good"
        rows.append(
            row(
                named_axis(name, space),
                rate_text(effect.perturbed),
                rate_text(effect.matched),
                join([tag("span", difference_text(shown), class_="interval"), difference_bar(shown, ink)]),
                f"{paired.wins} won, {paired.losses} lost",
                p_text(effect.p_holm),
            )
        )
    head = header("Factor", "With it drawn", "Unperturbed", "Difference", "Case by case", "p (Holm)")
    note = (
        "Each factor drawn alone, against the unperturbed world on the same seeds; the most harmful first. Coloured "
        f"where the exact McNemar p-value, corrected for {len(effects)} factors, is below 5\u00a0%."
    )
    table = scrolling(tag("table", head, tag("tbody", *rows), class_="effects"))
    return section("matched", "Factor by factor", note, table, _too_few(list(effects.values())))


def _too_few(effects: Sequence[FactorEffect]) -> Html:
    """How many cases it would have taken, where nothing was shown."""
    if any(effect.p_holm < ALPHA for effect in effects):
        return Html("")
    tests, most = len(effects), max(effect.paired.n for effect in effects)
    losses = losses_needed(tests, ALPHA)
    could = "can be" if most < losses else "was"
    many = " and ".join(
        f"{cases_needed(drop, tests, alpha=ALPHA)} cases to see one that costs {100 * drop:.0f} points"
        for drop in _DROPS
    )
    words = (
        f"With {most} cases of each no factor {could} told from chance: with {tests} of them that takes at least "
        f"{losses} cases lost and none won. Four times in five it takes {many} (--episodes, of each factor)."
    )
    return tag("p", words, class_="note")


def _values(outcomes: Sequence[Outcome], name: str) -> set[float]:
    return {outcome.case.theta.values[name] for outcome in outcomes if name in outcome.case.theta.values}
