"""How often which value: counts in bins, groups stacked in their colours."""

from collections.abc import Sequence
from math import ceil, isfinite

import numpy as np
from numpy.typing import NDArray

from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.svg import Frame, Scale, picture, ticks
from etude.loop.report.drawing.wording import value_text

type Edges = NDArray[np.float64]
"""Edges of bins, ascending, one more than there are bins."""

BINS = 16


def histogram(
    title: str,
    groups: Sequence[tuple[str, str, Sequence[float | None]]],
    *,
    span: tuple[float, float] | None = None,
    whole: bool = False,
) -> Html | None:
    """Counts of a value in bins of equal width; None without any value.

    Args:
        title: The value, with its unit in brackets.
        groups: (title, class of the colour, values); values that are missing or not finite are left out.
        span: Range of the axis; by default that of the values.
        whole: Whether the values are whole numbers, so that no bin is narrower than 1.
    """
    kept = [(name, colour, [v for v in values if v is not None and isfinite(v)]) for name, colour, values in groups]
    everything = [value for _, _, values in kept for value in values]
    if not everything:
        return None
    low, high = span or (min(everything), max(everything))
    if high <= low and not whole:
        low, high = low - 0.5, high + 0.5
    edges = _edges(low, high, whole=whole)
    low, high = float(edges[0]), float(edges[-1])
    counts = [np.histogram(np.clip(values, low, high), edges)[0] for _, _, values in kept]
    tallest = max(1, int(np.sum(counts, axis=0).max()))
    frame = Frame(Scale(low, high, 40, 284), Scale(0, tallest, 128, 8), title, "how many")
    marks: list[Html] = []
    base = np.zeros(len(edges) - 1)
    for (name, colour, _), count in zip(kept, counts, strict=True):
        bars = [_bar(frame, edges, b, float(base[b]), int(n), name) for b, n in enumerate(count.tolist()) if n]
        marks.append(tag("g", *bars, class_=colour))
        base = base + count
    steps = _whole(ticks(0, tallest, min(4, tallest)))
    return picture(
        300,
        162,
        _in_words(title, kept),
        frame.draw(_whole(ticks(low, high)) if whole else ticks(low, high), steps),
        *marks,
    )


def _whole(marks: list[tuple[float, str]]) -> list[tuple[float, str]]:
    """Ticks at whole numbers only."""
    return [(value, f"{value:.0f}".replace("-", "−")) for value, _ in marks if abs(value - round(value)) < 1e-9]


def _edges(low: float, high: float, *, whole: bool) -> Edges:
    """Edges of the bins, which hold as many whole numbers each where the values are whole."""
    if not whole:
        return np.linspace(low, high, BINS + 1, dtype=np.float64)
    width = max(1, ceil((high - low + 1) / BINS))
    return np.arange(low, high + width + 1, width, dtype=np.float64) - 0.5


def _bar(frame: Frame, edges: Edges, index: int, base: float, count: int, name: str) -> Html:
    left, right = frame.x(float(edges[index])), frame.x(float(edges[index + 1]))
    top, bottom = frame.y(base + count), frame.y(base)
    hint = f"{count} {name.lower()}, {value_text(float(edges[index]))} to {value_text(float(edges[index + 1]))}"
    width = max(right - left - 1, 0.8)
    return tag("rect", tag("title", hint), class_="filled", x=left + 0.5, y=top, width=width, height=bottom - top)


def _in_words(title: str, groups: Sequence[tuple[str, str, Sequence[float]]]) -> str:
    told = [
        f"{name} n = {len(values)}, median {value_text(float(np.median(values)))}"
        for name, _, values in groups
        if values
    ]
    return f"Distribution of {title}: {'; '.join(told)}."
