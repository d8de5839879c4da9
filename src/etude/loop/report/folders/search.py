"""The page of a search for failures: how much of the space fails, where, and what is frozen to measure it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.core import Pocket, Rate, Suite, Task
from etude.core.files import read_json
from etude.loop.report.drawing.document import document, heading
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import count_text, interval_text, percent
from etude.loop.report.sections.found import maps_section, next_section, pockets_section, suites_section
from etude.loop.report.sections.searching import discovery_section, spent_section
from etude.loop.report.sections.source import Source, rate_of, repeat_section
from etude.loop.report.sections.verdicts import verdict_box
from etude.search import Archive, ArchiveRow

ARCHIVE, POCKETS, SEARCH, BUILDING = "archive.parquet", "pockets.json", "search.json", "building.json"
_SUITES = ("exam", "dev", "uniform", "nominal")
_UNIFORM = ("uniform", "random")
"""Searchers whose rollouts spread evenly over the space: their failures are a share of it."""
_CONTENTS = {
    "pockets": "Pockets",
    "maps": "Maps",
    "discovery": "What was found when",
    "spent": "Searchers",
    "suites": "Suites",
    "next": "What to do next",
    "repeat": "How to repeat it",
}


@dataclass(frozen=True, kw_only=True)
class Search:
    """What a search's folder holds.

    Attributes:
        source: How it was made.
        task: What was searched; None where the task cannot be made here.
        rows: Every rollout, in order; empty without the task.
        pockets: Confirmed ones, the worst first.
        refuted: Boxes that fresh rollouts did not confirm.
        found: `search.json`, empty where it is missing.
        suites: Frozen lists of cases by name.
        building: `building.json`, empty where it is missing.
    """

    source: Source
    task: Task | None
    rows: tuple[ArchiveRow, ...]
    pockets: tuple[Pocket, ...]
    refuted: tuple[Pocket, ...]
    found: dict[str, Any]
    suites: dict[str, Suite]
    building: dict[str, Any]

    @property
    def failures(self) -> Rate:
        """Failures among rollouts that were spread evenly: the share of the space that fails."""
        if "failures" in self.found:
            return rate_of(self.found["failures"])
        return Rate.of([not row.success for row in self.rows if row.searcher in _UNIFORM])


def read(folder: Path) -> Search:
    """Read the folder of a search."""
    source = Source.of(folder)
    task, boxes = source.make_task(), read_json(folder / POCKETS)
    kinds = {kind: tuple(map(Pocket.from_json, boxes.get(kind, ()))) for kind in ("pockets", "refuted")}
    suites = {name: folder / f"{name}.json" for name in _SUITES}
    return Search(
        source=source,
        task=task,
        rows=Archive.load(folder / ARCHIVE, task.space).rows if task else (),
        pockets=kinds["pockets"],
        refuted=kinds["refuted"],
        found=_optional(folder / SEARCH),
        suites={name: Suite.load(path) for name, path in suites.items() if path.exists()},
        building=_optional(folder / BUILDING),
    )


def page(folder: Path) -> str:
    """The whole document."""
    search = read(folder)
    space = search.task.space if search.task else None
    sections = join(
        [
            pockets_section(search.pockets, search.refuted, space),
            maps_section(search.rows, search.pockets, space),
            discovery_section(search.rows, search.found),
            spent_section(search.rows, search.found),
            suites_section(search.suites, search.building),
            next_section(search.source, search.task, search.pockets, search.failures, exam="exam" in search.suites),
            repeat_section(
                search.source,
                (ARCHIVE, POCKETS, "pockets.svg", SEARCH, *(f"{name}.json" for name in _SUITES), BUILDING),
            ),
        ]
    )
    title = f"Search for failures on {search.source['task'] or 'an unnamed task'}"
    facts = [f"Policy {search.source['policy']}"] if search.source["policy"] else []
    facts += [f"{len(search.rows)} rollouts"] if search.rows else []
    facts += [f"{len(space.factors)} factors"] if space else []
    head = heading(title, " · ".join(facts), _CONTENTS, sections)
    return document(title, head, tag("main", _verdict(search), sections))


def _verdict(search: Search) -> Html:
    rate = search.failures
    ran = [not row.success for row in search.rows]
    if ran and not any(ran):
        bound = percent(rate.high, 1) if rate.n else "an unknown share"
        words = f"With 95 % confidence it fails in less than {bound} of the space; a larger budget would say more."
        return verdict_box("better", f"No failure found in {len(ran)} rollouts.", words)
    if ran and all(ran):
        words = "A policy that fails everywhere has no pockets: train it on more demonstrations first."
        return verdict_box("worse", f"It failed in all {len(ran)} rollouts.", words)
    told: list[str] = []
    if rate.n:
        interval = f"{percent(rate.value)}; 95\u00a0% interval {interval_text(rate)}"
        told.append(f"{count_text(rate)} evenly spread cases failed ({interval}).")
    inside = Rate(sum(p.expert.k for p in search.pockets), sum(p.expert.n for p in search.pockets))
    if inside.n:
        told.append(f"Inside the pockets the expert succeeds in {count_text(inside)} cases.")
    return verdict_box("unclear", _headline(search.pockets, search.refuted), *told)


def _headline(pockets: Sequence[Pocket], refuted: Sequence[Pocket]) -> str:
    if not pockets:
        boxes = "one box was" if len(refuted) == 1 else f"{len(refuted)} boxes were"
        tried = f"; {boxes} tried and not confirmed" if refuted else ""
        return f"No pocket: nowhere does it fail clearly more often than elsewhere{tried}."
    share = percent(sum(pocket.volume for pocket in pockets), 1)
    if len(pockets) == 1:
        return f"One pocket, {share} of the space."
    return f"{len(pockets)} pockets, together at most {share} of the space."


def _optional(path: Path) -> dict[str, Any]:
    return read_json(path) if path.exists() else {}
