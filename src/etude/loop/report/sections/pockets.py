"""Pockets as cards: the box in words and bars, failures inside and outside, and whatever else is known of it."""

from collections.abc import Mapping

from etude.core import PerturbationSpace, Pocket, Rate
from etude.loop.report.drawing.charts import range_bar, whisker
from etude.loop.report.drawing.layout import rate_text, row
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.wording import factor_title, percent, range_text, value_text


def pocket_card(pocket: Pocket, space: PerturbationSpace | None, *below: Html) -> Html:
    """One pocket; `below` goes to the end of its card."""
    facts = [
        fact("fails inside", pocket.inside, "ink-bad"),
        fact("fails outside", pocket.outside, "ink-bad"),
        fact("expert succeeds inside", pocket.expert, "ink-good"),
        row("share of the space", percent(pocket.volume, 1), ""),
    ]
    table = tag("table", tag("tbody", *facts), class_="facts")
    return tag("article", tag("h3", pocket.name), ranges(pocket.bounds, space), table, *below)


def ranges(bounds: Mapping[str, tuple[float, float]], space: PerturbationSpace | None) -> Html:
    """A box as one line per factor: in words, and as part of the factor's range where the space is known."""
    lines: list[Html] = []
    for name, (low, high) in bounds.items():
        if space is not None and name in space.names:
            factor = space[name]
            words = tag("span", f"{factor_title(factor)} {range_text(low, high, factor)}")
            lines.append(tag("li", words, " ", range_bar(factor, (low, high))))
        else:
            lines.append(tag("li", tag("span", f"{name} {value_text(low)} to {value_text(high)}")))
    return tag("ul", *(lines or [tag("li", "everywhere")]), class_="ranges")


def fact(title: str, rate: Rate, colour_class: str) -> Html:
    """A row of a card's table: k/n, interval and whisker."""
    return row(title, rate_text(rate), whisker(rate, colour_class) if rate.n else "")
