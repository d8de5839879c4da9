"""What the pages' parts are made of: sections, table heads, grids of pictures, facts in small tables."""

from collections.abc import Sequence

from etude.core import Rate
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import count_text, interval_text


def section(name: str, title: str, note: str, *body: str) -> Html:
    """A part of the page with a heading, and a line on how to read it."""
    return tag("section", tag("h2", title), tag("p", note, class_="note"), *body, id=name)


def header(*titles: str) -> Html:
    """A table's head."""
    return tag("thead", tag("tr", *(tag("th", title, scope="col") for title in titles)))


def grid(figures: Sequence[str], *, dense: bool = False, broad: bool = False) -> Html:
    """Pictures beside each other, as many as fit."""
    return tag("div", *figures, class_=f"grid{' dense' if dense else ' broad' if broad else ''}")


def figure(caption: str, drawn: Html) -> Html:
    """A picture under its caption."""
    return tag("figure", tag("figcaption", caption), drawn)


def scrolling(table: Html) -> Html:
    """A wide table that scrolls by itself on a narrow screen."""
    return tag("div", table, class_="scroll", tabindex=0)


def folded(summary: str, *body: str, opened: bool = False) -> Html:
    """What is shown on demand."""
    return tag("details", tag("summary", summary), *body, open="" if opened else None)


def row(title: str, *cells: str) -> Html:
    """A table's row: its heading, then cells; what is no <td> yet becomes one."""
    drawn = [cell if cell.startswith("<td") and isinstance(cell, Html) else tag("td", cell) for cell in cells]
    return tag("tr", tag("th", title, scope="row"), *drawn)


def rate_text(rate: Rate) -> Html:
    """k/n and its interval."""
    if not rate.n:
        return tag("span", "no cases", class_="none")
    return join([tag("b", count_text(rate)), tag("span", interval_text(rate), class_="interval")], " ")
