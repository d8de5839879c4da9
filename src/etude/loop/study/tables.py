"""A study's tables: arms, differences, replicates, costs."""

from collections.abc import Mapping

from etude.core.statistics import AcrossReplicates
from etude.evaluation.comparison import p_text
from etude.loop.arms import BASELINE, UNIFORM
from etude.loop.report.drawing.layout import header, row, scrolling
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import (
    arm_colour,
    arm_title,
    count_text,
    duration_text,
    evidence_text,
    percent,
    signed,
)
from etude.loop.report.drawing.wording import test_title as title_of_test
from etude.loop.report.results import TESTS
from etude.loop.study.analysis import Analysis, ArmAnalysis
from etude.loop.study.pictures import strip
from etude.loop.study.plan import CONTROLS
from etude.loop.study.verdict import each_alike, points_text

_DIFFERENCES = (-0.6, 0.6)


def success_table(analysis: Analysis) -> Html:
    """Every arm on every test: mean over replicates, interval, one dot a replicate."""
    names = [arm.name for arm in analysis.arms]
    rows = [
        row(arm_title(arm.name), *(_success(arm.success[test], arm_colour(names, arm.name)) for test in TESTS))
        for arm in analysis.arms
    ]
    return scrolling(tag("table", header("Arm", *map(title_of_test, TESTS)), tag("tbody", *rows)))


def difference_table(analysis: Analysis) -> Html:
    """Every arm less `uniform`, on every test, with what both intervals say."""
    names = [arm.name for arm in analysis.arms]
    rows: list[Html] = []
    for arm in analysis.arms:
        if arm.name == UNIFORM:
            continue
        cells = [_difference(arm.above[UNIFORM, test], arm_colour(names, arm.name)) for test in TESTS]
        adjusted = _unbroken(p_text(arm.p)) if arm.name in analysis.plan.compared else ""
        rows.append(row(arm_title(arm.name), *cells, adjusted))
    head = header("Difference from uniform", *map(title_of_test, TESTS), "p,\u00a0Holm")
    return scrolling(tag("table", head, tag("tbody", *rows)))


def controls_table(analysis: Analysis) -> Html:
    """What `uniform` and the compared arms have above what any retraining gains."""
    names = [arm.name for arm in analysis.arms]
    others = (*CONTROLS, BASELINE)
    rows: list[Html] = []
    for arm in (analysis.arm(UNIFORM), *analysis.compared):
        colour = arm_colour(names, arm.name)
        rows.append(row(arm_title(arm.name), *(_difference(arm.above[other, "exam"], colour) for other in others)))
    head = header("Exam, difference from", *(arm_title(other).lower() for other in others))
    return scrolling(tag("table", head, tag("tbody", *rows)))


def replicate_table(analysis: Analysis, links: Mapping[str, str]) -> Html:
    """Each replicate's exam, paired case by case."""
    rows: list[Html] = []
    for index, replicate in enumerate(analysis.confirmed):
        called = replicate.name.replace("-", "\u2011")  # a hyphen at which no line breaks
        name = tag("a", called, href=links[replicate.name]) if replicate.name in links else called
        sat = {arm.name: replicate.arms[arm.name].last.rate("exam") for arm in analysis.arms}
        rates = [f"{arm_title(arm)} {count_text(rate)}" for arm, rate in sat.items()]
        cells = [_paired(arm, index) for arm in analysis.compared]
        rows.append(
            tag("tr", tag("th", name, scope="row"), *(tag("td", cell) for cell in cells), tag("td", ", ".join(rates)))
        )
    head = header("Replicate", *(f"{arm_title(arm.name)} against uniform" for arm in analysis.compared), "Exam")
    return scrolling(tag("table", head, tag("tbody", *rows)))


def secondary_table(analysis: Analysis) -> Html:
    """Equal simulator steps, the tail, pockets after a fresh search, cases newly lost."""
    rows = [
        row(
            arm_title(arm.name),
            "" if arm.at_equal_steps is None else points_text(arm.at_equal_steps),
            f"{arm.tail_progress.mean:.2f}",
            "" if arm.name == UNIFORM else _progress(arm.tail),
            _pockets(arm),
            _lost(arm),
        )
        for arm in analysis.arms
        if arm.name != BASELINE
    ]
    head = header(
        "Arm",
        "Exam, difference from uniform at equal simulator steps",
        "Progress, worst tenth",
        "difference from uniform",
        "Pockets, fresh search",
        "Newly lost of what the baseline solved",
    )
    return scrolling(tag("table", head, tag("tbody", *rows)))


def cost_table(analysis: Analysis) -> Html:
    """What an arm spent in one replicate, on average."""
    columns = ("demonstrations", "frames", "attempts", "steps", "rollouts", "train_steps")
    rows: list[Html] = []
    for arm in analysis.arms:
        ends = [each.arms[arm.name].last for each in analysis.confirmed]
        means = [sum(getattr(end, column) for end in ends) / len(ends) for column in columns]
        spent = [tag("td", f"{mean:,.0f}".replace(",", "\u202f")) for mean in means]
        rows.append(row(arm_title(arm.name), *spent, duration_text(sum(end.wall_s for end in ends) / len(ends))))
    titles = ("Demonstrations", "Frames", "Attempts", "Simulator steps", "Discovery rollouts", "Gradient steps")
    titles += ("Wall clock",)
    return scrolling(tag("table", header("Arm", *titles), tag("tbody", *rows), class_="numbers"))


def _success(found: AcrossReplicates, colour_class: str) -> Html:
    interval = found.interval
    text = "" if interval is None else f"{100 * max(0.0, interval[0]):.0f}–{100 * min(1.0, interval[1]):.0f}\u00a0%"
    numbers = tag("span", tag("b", percent(found.mean)), " ", tag("span", text, class_="interval"), class_="rate")
    return tag("td", numbers, strip(found, colour_class))


def _difference(found: AcrossReplicates, colour_class: str) -> Html:
    parts = [tag("span", tag("b", points_text(found)), class_="rate")]
    spans = {name: span for name in ("t", "bootstrap", "score") if (span := getattr(found, name))}
    told = [f"{name} {signed(100 * a, 1)} to {signed(100 * b, 1)}" for name, (a, b) in spans.items() if a < b]
    parts += [tag("br"), tag("span", "; ".join(told), class_="interval")] if told else []
    return tag("td", *parts, strip(found, colour_class, _DIFFERENCES))


def _paired(arm: ArmAnalysis, index: int) -> Html:
    paired = arm.paired[index]
    gap = tag("b", f"{signed(100 * paired.difference, 1)} points")
    evidence = f"{_unbroken(p_text(paired.p))}, {_unbroken(evidence_text(paired.e_value))}"
    return join([gap, f" {paired.wins} won, {paired.losses} lost ", tag("span", evidence, class_="interval")])


def _unbroken(text: str) -> str:
    """With spaces at which no line breaks."""
    return text.replace(" ", "\u00a0")


def _progress(found: AcrossReplicates) -> str:
    if found.interval is None:
        return signed(found.mean, 2)
    if found.alike:
        return f"{signed(found.mean, 2)} {each_alike(found)}"
    low, high = found.interval
    return f"{signed(found.mean, 2)} ({signed(low, 2)} to {signed(high, 2)})"


def _lost(arm: ArmAnalysis) -> str:
    told = [f"{title_of_test(test)} {lost} of {solved}" for test, (lost, solved) in arm.lost.items() if solved]
    return "; ".join(told) or "it solved nothing"


def _pockets(arm: ArmAnalysis) -> str:
    if arm.pockets is None:
        return "not searched"
    change = f"{signed(arm.pockets.mean, 1)} a replicate"
    fates = ", ".join(f"{count} {fate}" for fate, count in arm.fates.items() if count)
    return f"{change}: {fates}" if fates else change
