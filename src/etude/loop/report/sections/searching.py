"""How a search went: what was found when, and what each searcher spent."""

from collections.abc import Mapping, Sequence
from typing import Any

from etude.core import Rate
from etude.loop.report.drawing.layout import figure, grid, header, rate_text, row, scrolling, section
from etude.loop.report.drawing.lines import Curve, curves, key
from etude.loop.report.drawing.markup import Html, join, tag
from etude.search import ArchiveRow

_COLOURS = ("arm2", "arm3", "arm4", "arm5", "arm1", "arm6", "arm0")


def discovery_section(rows: Sequence[ArchiveRow], found: Mapping[str, Any]) -> Html:
    """Failures of the policy, and boxes, against the rollouts of each searcher."""
    del found
    lines = [
        Curve(
            name, _COLOURS[i % len(_COLOURS)], _cumulative([row for row in rows if row.searcher == name]), stepped=True
        )
        for i, name in enumerate(searchers(rows))
    ]
    drawn = curves(lines, "rollouts of the searcher", "failures found")
    if drawn is None:
        return Html("")
    note = "Failures of the policy that are not known to be the expert's too, against each searcher's own rollouts."
    return section("discovery", "What was found when", note, key(lines), grid([figure("Failures", drawn)], broad=True))


def spent_section(rows: Sequence[ArchiveRow], found: Mapping[str, Any]) -> Html:
    """Rollouts and failures of each searcher."""
    del found
    if not rows:
        return Html("")
    lines: list[Html] = []
    for name in searchers(rows):
        own = [row for row in rows if row.searcher == name]
        failed = Rate.of([not row.success for row in own])
        asked = [row for row in own if row.expert is not None]
        expert = Rate(sum(row.expert is False for row in asked), len(asked))
        lines.append(row(name or "unnamed", str(len(own)), rate_text(failed), rate_text(expert)))
    head = header("Searcher", "Rollouts", "The policy failed", "Where asked, the expert failed too")
    note = (
        "A searcher that aims fails more often by design: only the rate of an even searcher (uniform, random, sobol) "
        "is a share of the space."
    )
    return section("spent", "Searchers", note, join([scrolling(tag("table", head, tag("tbody", *lines)))]))


def searchers(rows: Sequence[ArchiveRow]) -> list[str]:
    """Names, in the order in which they came."""
    return list(dict.fromkeys(row.searcher for row in rows))


def _cumulative(rows: Sequence[ArchiveRow]) -> list[tuple[float, float]]:
    """(Rollouts, failures so far), where that changes, and at the end."""
    points: list[tuple[float, float]] = [(0, 0)]
    failures = 0
    for index, one in enumerate(rows, 1):
        if one.weakness:
            failures += 1
            points.append((index, failures))
    return [*points, (len(rows), failures)]
