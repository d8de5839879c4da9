"""Curves against rollouts: what a search found so far, the evidence a comparison had so far."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.svg import Frame, Scale, path, picture, ticks

type Ticks = Sequence[tuple[float, str]]

_LEFT, _RIGHT = 46, 464
"""Ends of the horizontal axis; its last number is written about the end."""


@dataclass(frozen=True)
class Curve:
    """Points joined by a line.

    Attributes:
        title: What it is called.
        colour_class: Class of its colour.
        points: (x, y), in order of x.
        stepped: Whether the value holds until the next point.
        ranges: Interval (low, high) of every point; empty where there are none.
    """

    title: str
    colour_class: str
    points: Sequence[tuple[float, float]]
    stepped: bool = False
    ranges: Sequence[tuple[float, float]] = ()


def curves(
    lines: Sequence[Curve],
    x_title: str,
    y_title: str,
    *,
    y_span: tuple[float, float] | None = None,
    y_ticks: Ticks | None = None,
    marks: Sequence[tuple[float, str]] = (),
) -> Html | None:
    """Curves over a common axis from 0; None where there is no point.

    Args:
        lines: The curves.
        x_title: Below.
        y_title: On the left.
        y_span: Range of the upright axis; by default from 0 to the largest value.
        y_ticks: Its ticks, where they are not round numbers.
        marks: Level lines: (value, what it means).
    """
    points = [point for line in lines for point in line.points]
    if not points:
        return None
    low, high = y_span or (0.0, max(y for _, y in points) or 1.0)
    frame = Frame(
        Scale(0, max(x for x, _ in points) or 1.0, _LEFT, _RIGHT), Scale(low, high, 178, 10), x_title, y_title
    )
    body = [frame.draw(ticks(0, frame.x.high, 6), y_ticks or ticks(low, high))]
    for value, text in marks:
        at = frame.y.clipped(value)
        body.append(tag("path", class_="level", d=path([(_LEFT, at), (_RIGHT, at)])))
        body.append(tag("text", text, class_="tick", x=50, y=at - 4))
    body += [_line(line, frame) for line in lines if line.points]
    told = "; ".join(
        f"{line.title} {line.points[-1][1]:.4g} after {line.points[-1][0]:.0f}" for line in lines if line.points
    )
    return picture(490, 212, f"{y_title} against {x_title}: {told}.", *body)


def key(lines: Sequence[Curve]) -> Html:
    """The curves' colours."""
    return tag("p", *(tag("span", line.title, class_=f"key {line.colour_class}") for line in lines), class_="legend")


def _line(line: Curve, frame: Frame) -> Html:
    points = [(frame.x(x), frame.y.clipped(y)) for x, y in line.points]
    if line.stepped:
        corners = [[(later[0], earlier[1]), later] for earlier, later in pairwise(points)]
        points = [points[0], *(point for pair in corners for point in pair)]
    spans = zip((x for x, _ in points), line.ranges, strict=True) if line.ranges else ()
    ends = [(at, frame.y.clipped(low), frame.y.clipped(high)) for at, (low, high) in spans]
    drawn = [tag("path", class_="band", d=path([(at, low), (at, high)])) for at, low, high in ends]
    drawn.append(tag("path", tag("title", line.title), class_="curve", d=path(points)))
    drawn.append(tag("circle", class_="dot small", cx=points[-1][0], cy=points[-1][1], r=2.8))
    return tag("g", join(drawn), class_=line.colour_class)
