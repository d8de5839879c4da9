"""A study's page: is the claim met, the curves, every difference with its interval, and what was lost."""

from pathlib import Path

from etude.core.files import write_bytes, write_json
from etude.loop.arms import BASELINE
from etude.loop.report.drawing.document import document, heading
from etude.loop.report.drawing.layout import grid, header, row, scrolling, section
from etude.loop.report.drawing.lines import Curve, key
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import arm_colour, arm_title, signed
from etude.loop.report.sections.trees import tree
from etude.loop.study.analysis import Analysis
from etude.loop.study.pictures import success_curves
from etude.loop.study.record import COSTS
from etude.loop.study.summary import summary
from etude.loop.study.tables import (
    controls_table,
    cost_table,
    difference_table,
    replicate_table,
    secondary_table,
    success_table,
)
from etude.loop.study.verdict import StudyVerdict, judge

_CONTENTS = {
    "curves": "Curves",
    "arms": "Arms",
    "differences": "Differences",
    "replicates": "Replicates",
    "secondary": "Secondary",
    "costs": "Costs",
    "pilots": "Pilots and power",
    "failed": "What failed",
    "plan": "The plan",
}
_TONES = {"yes": "better", "no": "worse", "undecided": "unclear"}
_BADGES = {"yes": "badge good", "no": "badge bad", "undecided": "badge"}


def write_study_report(analysis: Analysis, out: Path) -> Path:
    """Write index.html and summary.json.

    Args:
        analysis: What to show.
        out: The folder, in the study's.
    """
    write_json(out / "summary.json", summary(analysis))
    write_bytes(out / "index.html", study_page(analysis).encode())
    return out / "index.html"


def study_page(analysis: Analysis) -> str:
    """The whole document."""
    body = tag("main", *(_verdict(judge(analysis, arm)) for arm in analysis.compared), *_sections(analysis))
    pilots = f"{len(analysis.pilots)} of {analysis.plan.pilot} pilots" if analysis.plan.pilot else ""
    confirmed = f"{len(analysis.confirmed)} of {analysis.plan.replicates} confirming replicates"
    facts = " · ".join(filter(None, [analysis.plan.config.task, confirmed, pilots, f"plan {analysis.plan.hash[:16]}"]))
    name = f"Study of {', '.join(arm_title(arm.name) for arm in analysis.compared)} against uniform"
    return document(name, heading(name, facts, _CONTENTS, body), body)


def _verdict(verdict: StudyVerdict) -> Html:
    answers = [
        tag("li", tag("span", answer.state, class_=_BADGES[answer.state]), f" {answer.sentence}")
        for answer in verdict.answers
    ]
    headline = tag("p", verdict.headline, class_="headline")
    return tag("section", headline, tag("ul", *answers), class_=f"verdict {_TONES[verdict.state]}")


def _sections(analysis: Analysis) -> list[Html]:
    links = {each.name: f"../{each.name}/report/index.html" for each in (*analysis.pilots, *analysis.confirmed)}
    return [
        _curves(analysis),
        section(
            "arms",
            "Every arm",
            "Mean success over replicates; a small dot is a replicate. The interval reaches as far as either of two: t "
            "over replicates, and Wilson's interval of all cases together. The exam was chosen where a baseline fails, "
            "so any retraining looks better: a gain counts above the controls.",
            success_table(analysis),
        ),
        section(
            "differences",
            "Differences",
            "In points, on the same cases. The interval reaches as far as any of three: paired t over replicates "
            "(none where all are equal), a bootstrap that draws replicates and then their cases (too narrow where "
            "replicates are few), and the score interval of all cases together. Pictures reach from −60 to +60 points.",
            difference_table(analysis),
            tag("h3", "Above what any retraining gains"),
            controls_table(analysis),
        ),
        section(
            "replicates",
            "Every replicate",
            "Cases of its own exam that only one of the two solved; p is McNemar's exact test, E is evidence "
            "that the first is better, valid whenever one looks. These tests know nothing of other training seeds: the "
            f"claim rests on all replicates.{_passed_over(analysis)}",
            replicate_table(analysis, links),
        ),
        section(
            "secondary",
            "Secondary, and what was lost",
            "Simulator steps count failed attempts and rollouts that looked for failures with the longest an episode "
            "may take, against the arms that search.",
            secondary_table(analysis),
        ),
        section(
            "costs",
            "What an arm spent",
            "Per replicate, on average, above the baseline's. Building the exam is charged to nobody.",
            cost_table(analysis),
            tag("p", _equal_budgets(analysis), class_="note"),
        ),
        _pilots(analysis),
        _failed(analysis),
        _plan(analysis),
    ]


def _curves(analysis: Analysis) -> Html:
    names = [arm.name for arm in analysis.arms]
    drawn = [success_curves(analysis, "exam", cost) for cost in COSTS]
    drawn.append(success_curves(analysis, "uniform_test", "demonstrations"))
    legend = key([Curve(arm_title(name), arm_colour(names, name), ()) for name in names if name != BASELINE])
    level = f"{1 - analysis.plan.alpha:.0%}".replace("%", " %")
    note = f"Means over replicates with {level} intervals (t over replicates; none where all replicates are equal)."
    return section("curves", "Success against cost", note, legend, grid([one for one in drawn if one], broad=True))


def _passed_over(analysis: Analysis) -> str:
    """How many baselines had nothing to aim at."""
    count = sum(each.passed_over for each in analysis.confirmed)
    some = "baseline was" if count == 1 else "baselines were"
    return f" {count} {some} passed over, for the search confirmed no pocket of them." if count else ""


def _equal_budgets(analysis: Analysis) -> str:
    """Whether the primary comparison is what it says: equal demonstrations, equal gradient steps."""
    uneven = sorted({name for arm in analysis.compared for name in analysis.uneven(arm.name)})
    if uneven:
        return f"Not equal in {', '.join(uneven)}: demonstrations or gradient steps differ between the compared arms."
    return "In every replicate uniform and the compared arms had equally many demonstrations and gradient steps."


def _pilots(analysis: Analysis) -> Html:
    choice = analysis.choice
    if choice is None:
        return section("pilots", "Pilots and power", "No pilots: every arm is confirmed, with Holm's correction.")
    effects = [
        row(f"{arm_title(name)}{' (chosen)' if name == choice.arm else ''}", f"{signed(100 * effect, 1)} points")
        for name, effect in choice.effects.items()
    ]
    power = [row(question, _replicates(needed)) for question, needed in choice.power.items()]
    names = ", ".join(choice.pilots)
    return section(
        "pilots",
        "Pilots and power",
        f"The pilots ({names}) chose the arm before a confirming replicate started, and are counted nowhere else. "
        f"choice.json has SHA-256 {choice.hash[:16]}….",
        scrolling(tag("table", header("Pilots, exam", "difference from uniform"), tag("tbody", *effects))),
        scrolling(tag("table", header("Replicates for 80 % power", ""), tag("tbody", *power))) if power else "",
    )


def _replicates(needed: int | None) -> str:
    return "more than 1000" if needed is None else str(needed)


def _failed(analysis: Analysis) -> Html:
    if not analysis.failures and not analysis.missing:
        return Html("")
    rows = [row(failure.name, failure.why.strip().splitlines()[-1]) for failure in analysis.failures]
    rows += [row(name, "has not run yet") for name in analysis.missing]
    note = "Left out of every mean. Where the reason has to do with an arm's success this favours one side: read why."
    if analysis.choice and any(failure.name.startswith("pilot/") for failure in analysis.failures):
        note += " The arm was chosen without the pilots that failed, and stays chosen."
    if analysis.resumable:
        note += " Go on with --resume."
    table = tag("table", header("Replicate", "Why"), tag("tbody", *rows))
    return section("failed", "What failed", note, scrolling(table))


def _plan(analysis: Analysis) -> Html:
    plan = analysis.plan
    terms = [join([tag("dt", name), tag("dd", text)]) for name, text in plan.hypotheses.items()]
    others = sorted(
        {f"{each.code['etude']} {each.code['commit']}".strip() for each in analysis.confirmed if each.code != plan.code}
    )
    note = f"Registered in plan.json before anything ran, SHA-256 {plan.hash}."
    if others:
        note += f" Not as registered: some replicates were finished by other code ({', '.join(others)})."
    config = tag("details", tag("summary", "Configuration"), tree(plan.config.to_json()))
    return section("plan", "The plan", note, tag("dl", *terms), tag("h3", "Code"), tree(dict(plan.code)), config)
