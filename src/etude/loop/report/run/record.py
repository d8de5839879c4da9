"""The end of the page: everything needed to check the run and to repeat it."""

from collections.abc import Sequence

from etude.core import Factor
from etude.loop.report.drawing.charts import range_bar
from etude.loop.report.drawing.layout import header, scrolling, section
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.wording import range_text, test_title, unit_suffix, value_text
from etude.loop.report.results import RunResults
from etude.loop.report.sections.trees import tree


def space_section(run: RunResults) -> Html:
    """Every factor with its range, and where the first demonstrations were kept to."""
    head = header("Factor", "Kind", "Range", "Nominal", "First demonstrations", "")
    rows = [_factor_row(run, factor) for factor in run.space.factors]
    narrow = len(run.narrow)
    kept = f" The first demonstrations were kept to part of the range in {narrow} of them." if narrow else ""
    note = f"Space “{run.space.name}”, {len(rows)} factors, hash {run.space.hash}.{kept}"
    return section("space", "What was varied", note, scrolling(tag("table", head, tag("tbody", *rows), class_="space")))


def suites_section(run: RunResults) -> Html:
    """The frozen lists of cases."""
    rows = [
        tag(
            "tr", tag("th", test_title(name), scope="row"), tag("td", str(len(s.cases))), tag("td", tag("code", s.hash))
        )
        for name, s in run.suites.items()
    ]
    table = tag("table", header("Suite", "Cases", "SHA-256"), tag("tbody", *rows), class_="suites")
    note = (
        "Lists of (θ, seed), frozen before any arm had data. "
        f"{_count(run.exclusions, 'candidate demonstration')} refused, for every arm, for lying too near an exam case."
    )
    return section("suites", "Suites", note, scrolling(table) if rows else Html(""))


def provenance_section(run: RunResults, files: Sequence[str]) -> Html:
    """Command, seeds, versions, configuration, data files."""
    parts: list[Html] = []
    if run.command:
        parts += [tag("h3", "Command"), tag("pre", tag("code", run.command))]
    links = [tag("li", tag("a", name, href=name)) for name in files]
    parts += [tag("h3", "Data"), tag("ul", *links, class_="files")]
    if run.pages:
        pages = [tag("li", tag("a", name, href=link)) for name, link in run.pages.items()]
        parts += [tag("h3", "Pages of the stages, in the run's folder"), tag("ul", *pages, class_="files")]
    for title, content in (("Seeds", run.seeds), ("Provenance", run.provenance)):
        if content:
            parts += [tag("h3", title), tree(content)]
    if run.config:
        parts.append(tag("details", tag("summary", "Configuration"), tree(run.config)))
    note = "The same command on the same machine gives the same numbers, wall-clock times apart."
    return section("provenance", "How to repeat it", note, *parts)


def _factor_row(run: RunResults, factor: Factor) -> Html:
    name = tag(
        "th", tag("code", factor.name), tag("br"), tag("span", factor.description, class_="interval"), scope="row"
    )
    bounds = run.narrow.get(factor.name)
    kept = range_text(*bounds, factor) if bounds else "whole range"
    nominal = f"{value_text(factor.nominal)}{unit_suffix(factor)}"
    texts = [factor.kind, range_text(factor.low, factor.high, factor), nominal, kept]
    return tag("tr", name, *(tag("td", text) for text in texts), tag("td", range_bar(factor, bounds)))


def _count(number: int, noun: str) -> str:
    verb = "was" if number == 1 else "were"
    return f"{number or 'No'} {noun}{'' if number == 1 else 's'} {verb}"
