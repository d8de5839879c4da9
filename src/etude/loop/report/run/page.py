"""The page: one HTML document that needs nothing but the files beside it."""

from collections.abc import Sequence

from etude.loop.report.drawing.document import document, heading
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.results import RunResults
from etude.loop.report.run.answers import diagnosis_section, followed_section
from etude.loop.report.run.episodes import Clips, lost_section, videos_section
from etude.loop.report.run.failures import factors_section, maps_section, modes_section, pockets_section
from etude.loop.report.run.overview import (
    budget_section,
    results_section,
    tail_section,
    training_section,
    verdict_section,
)
from etude.loop.report.run.practice import practice_section
from etude.loop.report.run.record import provenance_section, space_section, suites_section

_CONTENTS = {
    "results": "Results",
    "pockets": "Pockets",
    "causes": "Causes",
    "plan": "What to practise",
    "practice": "What was practised",
    "moved": "Gone, or moved?",
    "maps": "Maps",
    "factors": "Factors",
    "tail": "Tail",
    "videos": "Videos",
    "lost": "Newly lost",
    "modes": "Failure modes",
    "budget": "Budget",
    "training": "Training",
    "space": "What was varied",
    "suites": "Suites",
    "provenance": "How to repeat it",
}


def page(run: RunResults, clips: Clips, files: Sequence[str]) -> str:
    """The whole document.

    Args:
        run: What to show.
        clips: Video pairs by index, where their files lie in the report's folder.
        files: Data files beside the page, to link to.
    """
    sections = join(
        [
            results_section(run),
            pockets_section(run),
            diagnosis_section(run),
            practice_section(run),
            followed_section(run),
            maps_section(run),
            factors_section(run),
            tail_section(run),
            videos_section(run, clips),
            lost_section(run),
            modes_section(run),
            budget_section(run),
            training_section(run),
            space_section(run),
            suites_section(run),
            provenance_section(run, files),
        ]
    )
    return document(run.run, _header(run, sections), tag("main", verdict_section(run), sections))


def _header(run: RunResults, sections: str) -> Html:
    seeds = ", ".join(f"{name} {seed}" for name, seed in run.seeds.items())
    facts = " · ".join(
        filter(None, [run.task, f"{len(run.space.factors)} factors", f"seeds: {seeds}" if seeds else ""])
    )
    return heading(run.run, facts, _CONTENTS, sections)
