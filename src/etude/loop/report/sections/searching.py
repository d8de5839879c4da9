"""How a search went: what was found when, and what each searcher spent."""

from collections.abc import Mapping, Sequence
from typing import Any

from etude.core import Rate
from etude.loop.report.drawing.layout import figure, grid, header, rate_text, row, scrolling, section
from etude.loop.report.drawing.lines import Curve, curves, key
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.sections.source import rate_of
from etude.search import ArchiveRow

_COLOURS = ("arm2", "arm3", "arm4", "arm5", "arm1", "arm6", "arm0")


def discovery_section(rows: Sequence[ArchiveRow], found: Mapping[str, Any]) -> Html:
    """Failures against each searcher's rollouts, and boxes against all of them."""
    own = {name: [one for one in rows if one.searcher == name] for name in searchers(rows)}
    lines = [
        Curve(name or "unnamed", _COLOURS[i % len(_COLOURS)], _cumulative(tried), stepped=True)
        for i, (name, tried) in enumerate(own.items())
    ]
    points = found.get("discovery", [])
    boxes = Curve(
        "boxes",
        "ink-plain",
        [(0, 0), *((at["rollouts"], at["boxes"]) for at in points)] if points else [],
        stepped=True,
    )
    drawn = (
        ("Failures of each searcher", curves(lines, "rollouts of the searcher", "failures found")),
        ("Boxes in which failures gather, not confirmed yet", curves([boxes], "rollouts of all searchers", "boxes")),
    )
    figures = [figure(caption, picture) for caption, picture in drawn if picture is not None]
    if not figures:
        return Html("")
    note = "Failures of the policy that are not known to be the expert's too."
    return section("discovery", "What was found when", note, key(lines), grid(figures, broad=True))


def spent_section(rows: Sequence[ArchiveRow], found: Mapping[str, Any]) -> Html:
    """Rollouts and failures of each searcher, and what confirming took."""
    counts = {name: _counts([one for one in rows if one.searcher == name]) for name in searchers(rows)}
    for name, told in found.get("searchers", {}).items():
        counts.setdefault(name, (told["rollouts"], rate_of(told["failures"]), rate_of(told["expert_failures"])))
    if not counts:
        return Html("")
    lines = [
        row(name or "unnamed", str(rollouts), rate_text(failed), rate_text(expert))
        for name, (rollouts, failed, expert) in counts.items()
    ]
    head = header("Searcher", "Rollouts", "The policy failed", "Where asked, the expert failed too")
    note = (
        "A searcher that aims fails more often by design: only the rate of an even searcher (uniform, random) is a "
        "share of the space."
    )
    table = scrolling(tag("table", head, tag("tbody", *lines)))
    return section("spent", "Searchers", note, table, _confirming(found.get("confirming", {})))


def _confirming(spent: Mapping[str, int]) -> Html:
    if not spent:
        return Html("")
    words = f"Confirming the boxes took {spent['rollouts']} more rollouts of the policy and {spent['expert_rollouts']}"
    return tag("p", f"{words} of the expert.", class_="note")


def _counts(rows: Sequence[ArchiveRow]) -> tuple[int, Rate, Rate]:
    """Rollouts, failures of the policy, and failures of the expert where it was asked."""
    asked = [one.expert is False for one in rows if one.expert is not None]
    return len(rows), Rate.of([not one.success for one in rows]), Rate.of(asked)


def searchers(rows: Sequence[ArchiveRow]) -> list[str]:
    """Names, in the order in which they came."""
    return list(dict.fromkeys(one.searcher for one in rows))


def _cumulative(rows: Sequence[ArchiveRow]) -> list[tuple[float, float]]:
    """(Rollouts, failures so far), where that changes, and at the end."""
    points: list[tuple[float, float]] = [(0, 0)]
    failures = 0
    for index, one in enumerate(rows, 1):
        if one.weakness:
            failures += 1
            points.append((index, failures))
    return [*points, (len(rows), failures)]
