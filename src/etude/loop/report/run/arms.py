"""The key to the arms' colours."""

from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.wording import arm_colour, arm_title
from etude.loop.report.results import RunResults


def legend(run: RunResults) -> Html:
    """All arms after dots of their colours."""
    keys = [arm_key(run, name) for name in run.arms]
    return tag("p", *keys, class_="legend")


def arm_key(run: RunResults, name: str) -> Html:
    """An arm's name after a dot of its colour."""
    return tag("span", arm_title(name), class_=f"key {arm_colour(run.arms, name)}")
