"""The report's pictures: rates with whiskers, training curves, ranges."""

from collections.abc import Mapping
from math import log10

from etude.core import Factor, Rate
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.svg import Frame, Scale, path, picture, ticks
from etude.loop.report.drawing.wording import difference_text, interval_text, percent, range_text


def whisker(rate: Rate, colour_class: str, reference: float | None = None) -> Html:
    """A rate as a dot with its interval between 0 and 100 %, and a mark at a rate to compare with."""
    x = Scale(0.0, 1.0, 5, 155)
    parts = [tag("path", class_="rail", d=path([(x(0), 9), (x(1), 9)]))]
    parts += [tag("path", class_="rail", d=path([(x(v), 6), (x(v), 12)])) for v in (0.0, 0.5, 1.0)]
    if reference is not None and reference == reference:
        parts.append(tag("path", class_="reference", d=path([(x(reference), 1), (x(reference), 17)])))
    if rate.n:
        parts.append(tag("path", class_="whisker", d=path([(x(rate.low), 9), (x(rate.high), 9)])))
        parts.append(tag("circle", class_="dot", cx=x(rate.value), cy=9, r=4.5))
    text = f"{percent(rate.value)}, 95 % interval {interval_text(rate)}" if rate.n else "no cases"
    return picture(160, 18, text, tag("g", *parts, class_=colour_class))


def training_curves(curves: Mapping[str, tuple[tuple[int, float], ...]], colour_class: str, title: str) -> Html | None:
    """Losses against training steps, on a logarithmic axis; points that are not positive are left out."""
    lines = {name: [(step, log10(value)) for step, value in points if value > 0] for name, points in curves.items()}
    lines = {name: points for name, points in lines.items() if points}
    if not lines:
        return None
    steps = [step for points in lines.values() for step, _ in points]
    values = [value for points in lines.values() for _, value in points]
    low, high = min(values) - 0.05, max(values) + 0.05
    x = Scale(0, max(*steps, 1), 46, 284)
    y = Scale(low, high, 128, 8)
    labels = [(value, f"{10**value:.2g}") for value, _ in ticks(low, high, 3)]
    body = [Frame(x, y, "training step", "loss").draw(ticks(0, x.high), labels)]
    for index, (name, points) in enumerate(lines.items()):
        marks = [(x(step), y(value)) for step, value in points]
        line = tag("path", tag("title", name), class_=f"curve curve{index % 3}", d=path(marks))
        body.append(tag("g", line, class_=colour_class))
    return picture(300, 162, f"Losses of {title}: {', '.join(lines)}.", *body)


def range_bar(factor: Factor, bounds: tuple[float, float] | None) -> Html:
    """Part of a factor's range, with a mark at its nominal value."""
    x = Scale(factor.low, factor.high, 4, 116)
    parts = [tag("path", class_="rail thick", d=path([(x(factor.low), 8), (x(factor.high), 8)]))]
    if bounds is not None:
        low, high = (x.clipped(bound) for bound in bounds)
        parts.append(tag("path", class_="part", d=path([(low, 8), (max(high, low + 1), 8)])))
    parts.append(tag("path", class_="nominal", d=path([(x(factor.nominal), 2), (x(factor.nominal), 14)])))
    within = f"{range_text(*bounds, factor)} of " if bounds is not None else ""
    return picture(120, 16, f"{within}{range_text(factor.low, factor.high, factor)}", *parts)


def difference_bar(difference: tuple[float, float, float], colour_class: str) -> Html:
    """A difference of two shares with its interval between −100 and 100 points; empty where it is not known.

    Args:
        difference: Value, low and high, in [−1, 1]; NaN where it was not measured.
        colour_class: Class of its colour.
    """
    value, low, high = difference
    x = Scale(-1.0, 1.0, 5, 155)
    parts = [tag("path", class_="rail", d=path([(x(-1), 9), (x(1), 9)]))]
    parts += [tag("path", class_="rail", d=path([(x(v), 6), (x(v), 12)])) for v in (-1.0, 1.0)]
    parts.append(tag("path", class_="reference", d=path([(x(0), 1), (x(0), 17)])))
    if value == value:
        parts.append(tag("path", class_="whisker", d=path([(x.clipped(low), 9), (x.clipped(high), 9)])))
        parts.append(tag("circle", class_="dot", cx=x.clipped(value), cy=9, r=4.5))
    return picture(160, 18, difference_text(difference), tag("g", *parts, class_=colour_class))
