"""The page: one HTML document that needs nothing but the files beside it."""

from collections.abc import Sequence
from importlib import resources

from etude.loop.report.episodes import Clips, lost_section, videos_section
from etude.loop.report.failures import factors_section, maps_section, modes_section, pockets_section
from etude.loop.report.markup import Html, join, tag
from etude.loop.report.overview import budget_section, results_section, tail_section, training_section, verdict_section
from etude.loop.report.record import provenance_section, space_section, suites_section
from etude.loop.report.results import RunResults

_CONTENTS = {
    "results": "Results",
    "pockets": "Pockets",
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
    return document(run.run, _header(run, sections), tag("main", verdict_section(run), sections), _script())


def document(title: str, *body: Html) -> str:
    """An HTML document with the report's style."""
    return f"<!doctype html>\n{tag('html', _head(title), tag('body', *body), lang='en')}\n"


def _head(title: str) -> Html:
    return tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} · Etude"),
        tag("style", Html(_asset("page.css"))),
    )


def _header(run: RunResults, sections: str) -> Html:
    seeds = ", ".join(f"{name} {seed}" for name, seed in run.seeds.items())
    facts = " · ".join(
        filter(None, [run.task, f"{len(run.space.factors)} factors", f"seeds: {seeds}" if seeds else ""])
    )
    links = [tag("a", title, href=f"#{name}") for name, title in _CONTENTS.items() if f'id="{name}"' in sections]
    return tag("header", tag("h1", run.run), tag("p", facts, class_="facts-line"), tag("nav", *links))


def _script() -> Html:
    return tag("script", Html(_asset("page.js")))


def _asset(name: str) -> str:
    return resources.files("etude.loop.report").joinpath(name).read_text(encoding="utf-8")
