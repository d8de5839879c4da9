"""The top of the page: verdict, results, comparisons, the tail, what it cost."""

from etude.core import Rate
from etude.evaluation.comparison import p_text
from etude.loop.arms import BASELINE, MORE_STEPS
from etude.loop.report.drawing.charts import training_curves, whisker
from etude.loop.report.drawing.layout import grid, header, scrolling, section
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import (
    arm_colour,
    arm_title,
    count_text,
    duration_text,
    evidence_text,
    interval_text,
    sentence_case,
    signed,
    test_title,
)
from etude.loop.report.results import TESTS, RunResults
from etude.loop.report.run.arms import arm_key
from etude.loop.report.run.comparison import TAIL_FRACTIONS, compare, pairs, tail_progress, worst_pocket
from etude.loop.report.run.verdict import judge, outcome_of

_VERDICT_WORDS = {"better": "better", "worse": "worse", "unclear": "no difference shown"}


def verdict_section(run: RunResults) -> Html:
    """The answer first."""
    verdict = judge(run)
    lines = [tag("li", sentence) for sentence in verdict.sentences]
    body = tag("ul", *lines) if lines else Html("")
    return tag("section", tag("p", verdict.headline, class_="headline"), body, class_=f"verdict {verdict.tone}")


def results_section(run: RunResults) -> Html:
    """Every arm on every test, then the arms against each other."""
    body = tag("tbody", *(_result_row(run, name) for name in run.arms))
    head = header("Arm", *(test_title(test) for test in TESTS))
    note = (
        "Cases solved out of all, with the 95 % Wilson interval. The upright mark is the baseline. The intervals cover "
        "the choice of cases, not the training: another training seed moves every row. The exam was chosen where the "
        "baseline fails, so any retraining looks better there"
    )
    note += "; “same data, more steps” shows by how much." if MORE_STEPS in run.arms else "."
    results = tag("table", head, body, class_="results")
    return section("results", "Results", note, results, tag("h3", "Case by case"), _paired_table(run))


def tail_section(run: RunResults) -> Html:
    """What the mean hides."""
    with_search = any(arm.fresh_search for arm in run.arms.values())
    fractions = [f"worst {fraction:.0%}".replace("%", " %") for fraction in TAIL_FRACTIONS]
    pocket = ["worst pocket"] if run.pockets else []
    head = header("Arm", *fractions, "all", *pocket, *(["failures in a fresh search"] if with_search else []))
    rows = tag("tbody", *(_tail_row(run, name, with_search=with_search) for name in run.arms))
    note = (
        "Mean progress (0 to 1) over the worst part of the uniform test's perturbations (CVaR over θ), and over all of "
        "them"
    )
    note += "; exam success in the pocket where the arm does worst." if pocket else "."
    return section("tail", "The tail", note, scrolling(tag("table", head, rows)))


def budget_section(run: RunResults) -> Html:
    """What each arm spent."""
    columns = ["attempts", "generated", "accepted", "frames", "train_steps", "rollouts"]
    head = header("Arm", *(sentence_case(column) for column in columns), "Scoring", "Wall clock")
    rows: list[Html] = []
    for name, arm in run.arms.items():
        counts = [tag("td", f"{getattr(arm.budget, column):,}".replace(",", "\u202f")) for column in columns]
        times = [duration_text(arm.budget.score_s) if arm.budget.score_s else "–", duration_text(arm.budget.wall_s)]
        rows.append(tag("tr", _arm_cell(run, name), *counts, *(tag("td", time) for time in times)))
    note = (
        "Demonstrations tried, made, and practised on (an arm that chooses makes more than it needs), the frames of "
        "the last, optimiser steps, and policy rollouts spent on finding failures."
    )
    return section(
        "budget", "What each arm spent", note, scrolling(tag("table", head, tag("tbody", *rows), class_="numbers"))
    )


def training_section(run: RunResults) -> Html:
    """Training curves, one picture per arm."""
    pictures: list[Html] = []
    for name, arm in run.arms.items():
        drawn = training_curves(arm.curves, arm_colour(run.arms, name), arm_title(name))
        if drawn is not None:
            shown = [loss for loss, points in arm.curves.items() if any(value > 0 for _, value in points)]
            told = ", ".join(f"{_DASHES[i % 3]} {loss}" for i, loss in enumerate(shown))
            caption = f"{arm_title(name)}: {told}"
            pictures.append(tag("figure", tag("figcaption", caption), drawn))
    note = "Losses on a logarithmic axis."
    return section("training", "Training", note, grid(pictures)) if pictures else Html("")


_DASHES = ("solid", "dashed", "dotted")


def rate_cell(rate: Rate, colour_class: str, reference: float | None = None) -> Html:
    """k/n with interval and picture."""
    if rate.n == 0:
        return tag("td", tag("span", "no cases", class_="none"))
    numbers = [tag("b", count_text(rate)), tag("span", interval_text(rate), class_="interval")]
    return tag("td", tag("span", join(numbers, " "), class_="rate"), whisker(rate, colour_class, reference))


def _arm_cell(run: RunResults, name: str) -> Html:
    return tag("th", arm_key(run, name), scope="row")


def _result_row(run: RunResults, name: str) -> Html:
    cells: list[Html] = []
    for test in TESTS:
        reference = run.arms[BASELINE].rate(test) if BASELINE in run.arms else Rate(0, 0)
        cells.append(rate_cell(run.arms[name].rate(test), arm_colour(run.arms, name), reference.value))
    return tag("tr", _arm_cell(run, name), *cells)


def _paired_table(run: RunResults) -> Html:
    rows: list[Html] = []
    for first, second in reversed(pairs(run)):
        cells = [_paired_cell(run, first, second, test) for test in TESTS]
        rows.append(
            tag("tr", tag("th", f"{arm_title(first)} against {arm_title(second).lower()}", scope="row"), *cells)
        )
    note = (
        "On the same (θ, seed): cases that only the first solved, and only the second. p is McNemar's exact test; E is "
        "anytime-valid evidence that the first is better, 20 or more being a 5 % error whenever one looks."
    )
    if not rows:
        return tag("p", "One arm: nothing to compare.", class_="none")
    head = header("", *(test_title(test) for test in TESTS))
    return join([tag("p", note, class_="note"), scrolling(tag("table", head, tag("tbody", *rows), class_="paired"))])


def _paired_cell(run: RunResults, first: str, second: str, test: str) -> Html:
    paired = compare(run, first, second, test)
    if not run.arms[first].outcomes(test) or not run.arms[second].outcomes(test):
        return tag("td", tag("span", "no cases", class_="none"))
    tone = outcome_of(paired)
    gap = tag("b", signed(paired.wins - paired.losses))
    counts = f" {paired.wins} won, {paired.losses} lost"
    evidence = tag("span", f"{p_text(paired.p)}, {evidence_text(paired.e_value)}", class_="interval")
    return tag(
        "td", gap, counts, tag("br"), evidence, tag("br"), tag("span", _VERDICT_WORDS[tone], class_=f"tone {tone}")
    )


def _tail_row(run: RunResults, name: str, *, with_search: bool) -> Html:
    arm, worst = run.arms[name], worst_pocket(run, name)
    progress = [tail_progress(arm.uniform_test, fraction) for fraction in (*TAIL_FRACTIONS, 1.0)]
    cells = [tag("td", "no cases" if value is None else f"{value:.2f}") for value in progress]
    if run.pockets:
        cells.append(tag("td", "no exam") if worst is None else _worst_cell(run, name, *worst))
    if with_search:
        cells.append(rate_cell(arm.fresh_search or Rate(0, 0), arm_colour(run.arms, name)))
    return tag("tr", _arm_cell(run, name), *cells)


def _worst_cell(run: RunResults, arm: str, pocket: str, rate: Rate) -> Html:
    numbers = [tag("b", count_text(rate)), tag("span", f"{interval_text(rate)}, {pocket}", class_="interval")]
    return tag("td", tag("span", join(numbers, " "), class_="rate"), whisker(rate, arm_colour(run.arms, arm)))
