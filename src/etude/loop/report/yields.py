"""The page of a generation: how many attempts succeeded, from which sources, where, and how the others failed."""

from pathlib import Path

from etude.core import PerturbationSpace, Rate
from etude.core.files import read_json
from etude.loop.making.yields import Yields
from etude.loop.report.drawing.charts import whisker
from etude.loop.report.drawing.document import document, heading
from etude.loop.report.drawing.heatmap import heat_map
from etude.loop.report.drawing.layout import figure, grid, header, rate_text, row, section
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import factor_title, percent, range_text, sentence_case

YIELDS, PAGE = "meta/etude/yields.json", "meta/etude/yields.html"
_SETTINGS = "meta/etude/generate.json"
_CONTENTS = {"sources": "Sources", "places": "Places", "factors": "Factors", "failures": "Failures"}


def page(dataset: Path) -> str:
    """The page of a generated dataset."""
    from etude.sim import make_task

    record = read_json(dataset / _SETTINGS)
    task = make_task(record.get("settings", record)["task"])
    return yields_page(Yields.from_json(read_json(dataset / YIELDS)), task.name, task.space)


def yields_page(yields: Yields, task: str, space: PerturbationSpace) -> str:
    """The whole document.

    Args:
        yields: What to show.
        task: The task's name.
        space: What could vary in it.
    """
    parts = [_sources(yields), _places(yields), _factors(yields, space), _failures(yields)]
    body = join([part for part in parts if part])
    facts = f"{yields.overall} of the attempts on {task} succeeded: {percent(yields.overall.value)}."
    return document("Yield", heading("Yield", facts, _CONTENTS, body), tag("main", body))


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
            xs, ys = (sorted({place[axis] for place in cells}) for axis in (0, 1))
            drawn = heat_map(cells, "x, middle of a cell [m]", "y [m]", xs, ys, successes=True)
            maps.append(figure(sentence_case(name), drawn))
    if not maps:
        return None
    note = (
        "Where each object lay when an attempt began: how many of the attempts in every cell were accepted, the redder "
        "the fewer."
    )
    return section("places", "By place", note, grid(maps, broad=True))


def _factors(yields: Yields, space: PerturbationSpace) -> Html | None:
    rows = [
        _rate_row(f"{factor_title(space[name])}: {range_text(low, high, space[name])}", rate, yields.overall)
        for name in space.names
        for low, high, rate in yields.factors.get(name, ())
    ]
    if not rows:
        return None
    note = "Attempts by equal parts of each factor's range: a part with a low yield is a hole in the demonstrations."
    names = ", ".join(factor_title(space[name]) for name in yields.unseen)
    unseen = f"Varied too, but cannot change an attempt, which sees no images: {names}."
    return section("factors", "By factor", note, _table("Factor", rows), *([tag("p", unseen)] if names else []))


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
