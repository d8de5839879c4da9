"""One value against another, a dot each."""

from collections.abc import Sequence

from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.svg import Frame, Scale, dots, picture, ticks


def scatter(xs: Sequence[float], ys: Sequence[float], x_title: str, y_title: str, note: str) -> Html:
    """A dot for every pair.

    Args:
        xs: Values to the right.
        ys: Values upwards, as many.
        x_title: Below.
        y_title: On the left.
        note: What a reader who cannot see the picture gets.
    """
    spans = [_span(values) for values in (xs, ys)]
    frame = Frame(Scale(*spans[0], 46, 284), Scale(*spans[1], 128, 8), x_title, y_title)
    points = [(frame.x(x), frame.y(y)) for x, y in zip(xs, ys, strict=True)]
    cloud = tag("path", class_="demonstration", d=dots(points))
    marks = frame.draw(ticks(*spans[0]), ticks(*spans[1]))
    return picture(300, 162, f"{y_title} against {x_title}: {note}", marks, tag("g", cloud, class_="arm3"))


def _span(values: Sequence[float]) -> tuple[float, float]:
    """The range of some values, with a little room."""
    low, high = min(values), max(values)
    room = 0.04 * (high - low) or 0.5
    return low - room, high + room
