"""The page of a generation: how many attempts succeeded, from which sources, where, and how the others failed."""

from pathlib import Path

from etude.core import PerturbationSpace, Rate
from etude.core.files import write_bytes
from etude.loop.making.yields import Yields
from etude.loop.report.drawing.charts import whisker
from etude.loop.report.drawing.document import document, heading
from etude.loop.report.drawing.heatmap import heat_map
from etude.loop.report.drawing.layout import figure, grid, header, rate_text, row, section
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import axis_title, percent, range_text, sentence_case

_CONTENTS = {"sources": "Sources", "places": "Places", "factors": "Factors", "failures": "Failures"}


def write_yields_page(path: Path, yields: Yields, task: str, space: PerturbationSpace) -> None:
    """Write the page.

    Args:
        path: The file.
        yields: What to show.
        task: The task's name.
        space: What could vary in it.
    """
    parts = [_sources(yields), _places(yields), _factors(yields, space), _failures(yields)]
    body = join([part for part in parts if part])
    facts = f"{yields.overall} of the attempts on {task} succeeded: {percent(yields.overall.value)}."
    page = document("Yield", heading("Yield", facts, _CONTENTS, body), tag("main", body))
    write_bytes(path, page.encode())


def _sources(yields: Yields) -> Html | None:
    if not yields.sources:
        return None
    rows = [_rate_row(f"episode {source}", rate, yields.overall) for source, rate in yields.sources.items()]
    note = "Attempts by the source demonstration of their first segment; the mark is the yield of all."
    return section("sources", "By source demonstration", note, _table("Source", rows))


def _places(yields: Yields) -> Html | None:
    maps: list[Html] = []
    for name, cells in yields.places.items():
        if len(cells) > 1:
            failed = {place: Rate(rate.n - rate.k, rate.n) for place, rate in cells.items()}
            xs, ys = (sorted({place[axis] for place in cells}) for axis in (0, 1))
            maps.append(figure(sentence_case(name), heat_map(failed, "x [m]", "y [m]", xs, ys)))
    if not maps:
        return None
    note = "Where each object lay when an attempt began: failures of attempts in every cell, the redder the more."
    return section("places", "By place", note, grid(maps, broad=True))


def _factors(yields: Yields, space: PerturbationSpace) -> Html | None:
    rows = [
        _rate_row(f"{axis_title(space[name])}: {range_text(low, high, space[name])}", rate, yields.overall)
        for name, bins in yields.factors.items()
        for low, high, rate in bins
    ]
    if not rows:
        return None
    note = "Attempts by equal parts of each factor's range: a part with a low yield is a hole in the demonstrations."
    return section("factors", "By factor", note, _table("Factor", rows))


def _failures(yields: Yields) -> Html | None:
    if not yields.stuck:
        return None
    failed = sum(yields.stuck.values())
    rows = [row(sentence_case(where), str(k), percent(k / failed)) for where, k in yields.stuck.items()]
    table = tag("table", header("Where", "Attempts", "Share of failures"), tag("tbody", *rows))
    return section("failures", "Failures", "How attempts failed, and after which sub-task.", table)


def _table(title: str, rows: list[Html]) -> Html:
    return tag("table", header(title, "Accepted", "Yield"), tag("tbody", *rows))


def _rate_row(title: str, rate: Rate, overall: Rate) -> Html:
    return row(title, tag("td", rate_text(rate)), tag("td", whisker(rate, "ink-plain", overall.value)))
