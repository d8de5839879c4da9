"""What a search found: pockets, maps of them, frozen suites, and what to do with them."""

from collections.abc import Mapping, Sequence
from typing import Any

from etude.core import PerturbationSpace, Pocket, Rate, Suite, Task
from etude.loop.report.drawing.layout import folded, header, row, scrolling, section
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.pocketmap import pocket_map
from etude.loop.report.drawing.wording import sentence_case
from etude.loop.report.results import SearchRow
from etude.loop.report.sections.pockets import pocket_card
from etude.loop.report.sections.source import HERE, Source
from etude.search import ArchiveRow

MOSTLY = 0.8
"""Share of failures from which on a policy is rather untrained than weak in places."""


def pockets_section(pockets: Sequence[Pocket], refuted: Sequence[Pocket], space: PerturbationSpace | None) -> Html:
    """Confirmed pockets as cards, refuted boxes folded away."""
    cards = tag("div", *(pocket_card(pocket, space) for pocket in pockets), class_="cards")
    parts = [cards] if pockets else [tag("p", "No box was confirmed.", class_="none")]
    if refuted:
        drawn = tag("div", *(pocket_card(pocket, space) for pocket in refuted), class_="cards")
        parts.append(folded(f"Boxes that fresh rollouts did not confirm ({len(refuted)})", drawn))
    note = (
        "A pocket is a region of few factors in which the policy fails much more often than outside it and the expert "
        "succeeds. All rates are from fresh rollouts. The bar shows the pocket within the factor's range, the mark is "
        "nominal."
    )
    return section("pockets", "Pockets", note, *parts)


def maps_section(rows: Sequence[ArchiveRow], pockets: Sequence[Pocket], space: PerturbationSpace | None) -> Html:
    """All rollouts over two factors at a time, and over all that matter."""
    if space is None or not rows:
        return Html("")
    tried = [SearchRow.of(row) for row in rows]
    note = (
        "Pairs of the factors that bound pockets or matter most, and all of them on one plane. The search looks where "
        "it finds failures, so the density of its points is not a failure rate."
    )
    return section("maps", "Maps", note, scrolling(pocket_map(space, tried, pockets)))


def suites_section(suites: Mapping[str, Suite], building: Mapping[str, Any]) -> Html:
    """The frozen lists of cases, how many are of which pocket, and what building them took."""
    if not suites:
        return Html("")
    rows: list[Html] = []
    for name, suite in suites.items():
        labels = {label: suite.labels.count(label) for label in dict.fromkeys(suite.labels)}
        told = ", ".join(f"{label} {count}" for label, count in labels.items())
        rows.append(row(sentence_case(name), str(len(suite.cases)), told, tag("code", suite.hash)))
    table = tag("table", header("Suite", "Cases", "Of which", "SHA-256"), tag("tbody", *rows), class_="suites")
    note = (
        "Lists of (θ, seed), frozen for good: exam measures and never steers, dev may steer, uniform is the ordinary "
        "test. Every case of exam and dev failed repeatedly and was solved by the expert."
    )
    return section("suites", "Suites", note, scrolling(table), _building(building))


def next_section(source: Source, task: Task | None, pockets: Sequence[Pocket], failures: Rate, *, exam: bool) -> Html:
    """What a person would do now."""
    name, policy = task.name if task else source["task"], source["policy"]
    steps: list[tuple[str, str]] = []
    if failures.n and failures.value > MOSTLY:
        steps.append(
            ("It fails nearly everywhere: collect more demonstrations and train again.", f"etude collect {name}")
        )
    elif pockets:
        steps.append(("Prove why it fails there.", f"etude diagnose {HERE} --out DIAGNOSIS"))
        if exam:
            command = f"etude eval {name} --policy ANOTHER --suite {HERE}/exam.json --out RESULTS"
            steps.append(("Measure another policy on the frozen exam.", command))
        steps.append(("Or let the loop practise on the pockets.", f"etude loop {name} --run practice"))
    else:
        command = f"etude search {name} --policy {policy} --budget 2000 --out LARGER"
        steps.append(("No pocket was confirmed: search with a larger budget.", command))
    items = [tag("li", text, tag("pre", tag("code", command))) for text, command in steps]
    return section("next", "What to do next", "", tag("ul", *items, class_="steps"))


def _building(building: Mapping[str, Any]) -> Html:
    if not building:
        return Html("")
    drawn: Mapping[str, int] = building.get("drawn", {})
    rows = [
        row(name, str(count), str(building["accepted"].get(name, 0)), str(building["without_witness"].get(name, 0)))
        for name, count in drawn.items()
    ]
    spent = f"{building['policy_rollouts']} rollouts of the policy and {building['expert_rollouts']} of the expert."
    words = tag("p", f"Building them took {spent}", class_="note")
    if not rows:
        return words
    head = header("Pocket", "θ drawn", "Failed often enough, solved by the expert", "Failed, but the expert too")
    table = scrolling(tag("table", head, tag("tbody", *rows), class_="numbers"))
    return folded("What building them took", words, table)
