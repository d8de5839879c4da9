"""The arms' colours, the same in every picture of a run."""

from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.wording import arm_title
from etude.loop.report.results import RunResults

_COLOURS = {"baseline": 0, "more_steps": 1, "uniform": 2, "reseeded": 6}


def colour(run: RunResults, arm: str) -> str:
    """Class that gives an arm its colour."""
    extra = [name for name in run.arms if name not in _COLOURS]
    return f"arm{_COLOURS[arm] if arm in _COLOURS else 3 + extra.index(arm) % 3}"


def legend(run: RunResults) -> Html:
    """All arms after dots of their colours."""
    keys = [arm_key(run, name) for name in run.arms]
    return tag("p", *keys, class_="legend")


def arm_key(run: RunResults, name: str) -> Html:
    """An arm's name after a dot of its colour."""
    return tag("span", arm_title(name), class_=f"key {colour(run, name)}")
