"""The page of an evaluation: how often the policy succeeds, how it fails, and where."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.core import Outcome, Rate, Task
from etude.core.files import read_json
from etude.evaluation import compare_matched, read_outcomes
from etude.evaluation.comparison import p_text
from etude.evaluation.factors import seeds_differ
from etude.loop.report.drawing.document import document, heading
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import count_text, difference_text, interval_text, percent, signed
from etude.loop.report.sections.clips import Film, films, films_section
from etude.loop.report.sections.factors import along_section, grid_section, matched_section
from etude.loop.report.sections.outcomes import (
    distributions_section,
    labels_section,
    latency_section,
    modes_section,
    success_section,
)
from etude.loop.report.sections.source import Source, rate_of, repeat_section
from etude.loop.report.sections.verdicts import verdict_box

FILES = ("outcomes.parquet", "summary.json", "matched.parquet", "timing.json")
_SPREADS = {"nominal": "nominal worlds", "uniform": "drawn uniformly", "factors": "one factor at a time"}
_CONTENTS = {
    "success": "Success",
    "labels": "Part by part",
    "modes": "Failure modes",
    "matched": "Factor by factor",
    "grid": "Grid",
    "videos": "Videos",
    "along": "Along each factor",
    "spread": "Progress, length, smoothness",
    "latency": "Latency",
    "repeat": "How to repeat it",
}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What an evaluation's folder holds.

    Attributes:
        source: How it was made.
        outcomes: One per case.
        summary: `summary.json`.
        matched: The unperturbed case of every seed, where they were run.
        timing: `timing.json`; None where no network was timed.
        task: What was done; None where the task cannot be made here.
        films: Its videos.
    """

    source: Source
    outcomes: tuple[Outcome, ...]
    summary: dict[str, Any]
    matched: tuple[Outcome, ...]
    timing: dict[str, Any] | None
    task: Task | None
    films: tuple[Film, ...]


def read(folder: Path) -> Evaluation:
    """Read the folder of an evaluation."""
    source = Source.of(folder)
    timing, matched = folder / "timing.json", folder / "matched.parquet"
    return Evaluation(
        source=source,
        outcomes=tuple(read_outcomes(folder / "outcomes.parquet")),
        summary=read_json(folder / "summary.json"),
        matched=tuple(read_outcomes(matched)) if matched.exists() else (),
        timing=read_json(timing) if timing.exists() else None,
        task=source.make_task(),
        films=tuple(films(folder)),
    )


def page(folder: Path) -> str:
    """The whole document."""
    evaluation = read(folder)
    outcomes, task = evaluation.outcomes, evaluation.task
    space = task.space if task else None
    note = "Failures first, by how they ended; the still is how the episode ended."
    sections = join(
        [
            success_section(outcomes, task.subtasks if task else ()),
            labels_section({name: rate_of(rate) for name, rate in evaluation.summary.get("labels", {}).items()}),
            modes_section(outcomes),
            matched_section(outcomes, evaluation.matched, space),
            grid_section(outcomes, space, holes=bool(evaluation.summary.get("infeasible"))),
            films_section(evaluation.films, "Videos", note),
            along_section(outcomes, space),
            distributions_section(outcomes),
            latency_section(evaluation.timing),
            repeat_section(evaluation.source, FILES),
        ]
    )
    title = f"Evaluation on {evaluation.source['task'] or 'an unnamed task'}"
    head = heading(title, _facts(evaluation), _CONTENTS, sections)
    return document(title, head, tag("main", _verdict(outcomes, evaluation.matched), sections))


def _facts(evaluation: Evaluation) -> str:
    suite, drawn = evaluation.source.settings.get("suite"), evaluation.source.settings.get("drawn") or {}
    told = [f"Policy {evaluation.source['policy'] or 'unnamed'}", f"{len(evaluation.outcomes)} cases"]
    if suite:
        told.append(f"suite {suite['name']} ({str(suite['hash'])[:12]}…)")
    elif drawn:
        spread = "a grid" if drawn.get("grid") else _SPREADS.get(drawn.get("space", ""), "")
        told += [spread, f"seed {drawn.get('seed', '')}"]
    return " · ".join(filter(None, told))


def _verdict(outcomes: tuple[Outcome, ...], matched: tuple[Outcome, ...]) -> Html:
    rate = Rate.of([outcome.success for outcome in outcomes])
    if not rate.n:
        return verdict_box("unclear", "No case was run.")
    numbers = f"{count_text(rate)} succeed ({percent(rate.value)}; 95 % interval {interval_text(rate)})"
    failed = Rate(rate.n - rate.k, rate.n)
    beside = _beside(outcomes, matched)
    if not failed.k:
        bound = percent(failed.high, 1)
        words = f"No failure was seen; with 95 % confidence it fails in less than {bound} of such cases."
        return verdict_box("better", f"{numbers}.", words, *beside)
    if not rate.k:
        words = f"It fails everywhere that was tried; at most {percent(rate.high, 1)} of such cases may succeed."
        return verdict_box("worse", f"{numbers}.", words, *beside)
    return verdict_box("unclear", f"{numbers}.", *beside)


def _beside(outcomes: tuple[Outcome, ...], matched: tuple[Outcome, ...]) -> list[str]:
    """The unperturbed worlds of the same seeds, where they were run."""
    if not matched:
        return []
    paired, plain = compare_matched(outcomes, matched), Rate.of([outcome.success for outcome in matched])
    if seeds_differ(outcomes):
        less = f"{difference_text((paired.difference, *paired.interval()))}, {p_text(paired.p)}"
    else:  # cases that share a seed share its unperturbed world: neither test nor interval would hold
        less = f"{signed(100 * paired.difference)} points ({paired.wins} won, {paired.losses} lost)"
    return [f"Unperturbed worlds of the same seeds: {count_text(plain)} succeed; the cases less these: {less}."]
