"""What the page's parts are made of: sections, table heads, grids of pictures, the arms' colours."""

from collections.abc import Sequence

from etude.loop.report.charts import colour
from etude.loop.report.markup import Html, tag
from etude.loop.report.results import RunResults
from etude.loop.report.wording import arm_title


def section(name: str, title: str, note: str, *body: str) -> Html:
    """A part of the page with a heading, and a line on how to read it."""
    return tag("section", tag("h2", title), tag("p", note, class_="note"), *body, id=name)


def header(*titles: str) -> Html:
    """A table's head."""
    return tag("thead", tag("tr", *(tag("th", title, scope="col") for title in titles)))


def grid(figures: Sequence[str], *, dense: bool = False) -> Html:
    """Pictures beside each other, as many as fit."""
    return tag("div", *figures, class_="grid dense" if dense else "grid")


def scrolling(table: Html) -> Html:
    """A wide table that scrolls by itself on a narrow screen."""
    return tag("div", table, class_="scroll", tabindex=0)


def legend(run: RunResults) -> Html:
    """The arms' colours."""
    keys = [arm_key(run, name) for name in run.arms]
    return tag("p", *keys, class_="legend")


def arm_key(run: RunResults, name: str) -> Html:
    """An arm's name after a dot of its colour."""
    return tag("span", arm_title(name), class_=f"key {colour(run, name)}")
