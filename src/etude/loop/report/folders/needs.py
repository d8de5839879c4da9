"""The page of an estimate: what every pocket takes, and the learning curves that say so."""

from collections.abc import Sequence
from pathlib import Path

from etude.acquisition.needs import Need
from etude.core import Diagnosis, PerturbationSpace
from etude.core.files import read_json
from etude.loop.report.drawing.document import document, heading
from etude.loop.report.drawing.layout import header, row, scrolling, section
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.needs import need_curves
from etude.loop.report.drawing.wording import count_text, percent
from etude.loop.report.sections.causes import notes_section, plan_section
from etude.loop.report.sections.pockets import pocket_card
from etude.loop.report.sections.source import Source, repeat_section
from etude.loop.report.sections.verdicts import verdict_box

NEEDS, PLAN = "needs.json", "practice.json"
_DIVIDED = "The budget, divided by what a demonstration is expected to gain: etude collect --plan carries it out."
_CONTENTS = {
    "curves": "Learning curves",
    "needs": "What they take",
    "pockets": "Pockets",
    "plan": "What to practise",
    "notes": "To keep in mind",
    "repeat": "How to repeat it",
}


def page(folder: Path) -> str:
    """The whole document."""
    source = Source.of(folder)
    needs = [Need.from_json(record) for record in read_json(folder / NEEDS)["needs"]]
    task = source.make_task()
    space = task.space if task else None
    plan = Diagnosis.load(folder / PLAN) if (folder / PLAN).exists() else None
    cards = tag("div", *(pocket_card(need.pocket, space) for need in needs), class_="cards")
    sections = join(
        [
            _curves(needs, space),
            _table(needs),
            section("pockets", "Pockets", "As the search confirmed them.", cards),
            join([plan_section(plan, space, _DIVIDED), notes_section(plan)]) if plan else Html(""),
            repeat_section(source, (NEEDS, "needs.svg", PLAN)),
        ]
    )
    title = f"What pockets take on {source['task'] or 'an unnamed task'}"
    facts = [f"Policy {source['policy']}"] if source["policy"] else []
    head = heading(title, " · ".join([*facts, f"{len(needs)} pocket{'s' * (len(needs) != 1)}"]), _CONTENTS, sections)
    return document(title, head, tag("main", _verdict(needs), sections))


def _verdict(needs: Sequence[Need]) -> Html:
    known = [need for need in needs if need.verdict == "known"]
    total = sum(need.demonstrations for need in known)
    told = f"For {len(known)} of {len(needs)} pockets it is known what they take"
    headline = f"{told}: about {total:.0f} demonstrations together."
    if not known:
        headline = "How many demonstrations these pockets take cannot be told."
    return verdict_box("unclear", headline, *(f"{need.pocket.name}: {need.describe()}." for need in needs))


def _curves(needs: Sequence[Need], space: PerturbationSpace | None) -> Html:
    note = (
        "Dots are the policy's success inside a pocket after a training on so many demonstrations from inside it "
        "(bars: 95\u00a0% intervals); the line is what is expected before and beyond, with a 90\u00a0% band. Dashed is "
        "the success wanted, and on it how many demonstrations reach it."
    )
    return section("curves", "Learning curves", note, scrolling(need_curves(needs, space)))


def _table(needs: Sequence[Need]) -> Html:
    counts = sorted({count for need in needs for count in need.measured})
    rows = [
        row(
            need.pocket.name,
            count_text(need.expert),
            *(count_text(need.measured[count]) if count in need.measured else "–" for count in counts),
            percent(need.target),
            need.describe(),
        )
        for need in needs
    ]
    head = header("Pocket", "Expert", *(f"After {count}" for count in counts), "Wanted", "Takes")
    note = "Successes inside each pocket. A place where the expert fails, too, is hard, and no weakness of the policy."
    return section("needs", "What they take", note, scrolling(tag("table", head, tag("tbody", *rows))))
