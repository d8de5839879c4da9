"""Success along one factor, of one or more groups of outcomes."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from etude.core import Factor, Outcome, Rate
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.svg import PERCENT, Frame, Scale, path, picture, ticks
from etude.loop.report.drawing.wording import axis_title, count_text, interval_text

CASES_PER_BIN = 12
MAX_BINS = 5


@dataclass(frozen=True)
class Group:
    """Outcomes that are drawn in one colour.

    Attributes:
        title: What they are called.
        colour_class: Class of their colour.
        outcomes: One per case.
    """

    title: str
    colour_class: str
    outcomes: Sequence[Outcome]


def success_along(groups: Sequence[Group], factor: Factor, narrow: tuple[float, float] | None = None) -> Html | None:
    """Success of every group in bins of one factor, each with its Wilson interval; None when no case sets it.

    Args:
        groups: What to draw, shifted sideways to be seen.
        factor: Along the horizontal axis.
        narrow: A part of its range to shade.
    """
    drawn = [replace(group, outcomes=_set_cases(group.outcomes, factor)) for group in groups]
    drawn = [group for group in drawn if group.outcomes]
    if not drawn:
        return None
    count = min(MAX_BINS, max(2, min(len(group.outcomes) for group in drawn) // CASES_PER_BIN))
    edges = np.linspace(factor.low, factor.high, count + 1).astype(np.float64)
    x = Scale(factor.low, factor.high, 34, 284)
    frame = Frame(x, Scale(0.0, 1.0, 128, 8), axis_title(factor), "success [%]")
    body = [frame.draw(ticks(factor.low, factor.high), PERCENT), _shade(narrow, frame)]
    spread = min(6.0, (x(float(edges[1])) - x(float(edges[0]))) / (len(drawn) + 1))
    for index, group in enumerate(drawn):
        shift = (index - (len(drawn) - 1) / 2) * spread
        body.append(
            tag("g", _binned(bin_rates(group.outcomes, factor, edges), edges, frame, shift), class_=group.colour_class)
        )
    return picture(300, 162, _in_words(drawn, factor), *body)


def bin_rates(outcomes: Sequence[Outcome], factor: Factor, edges: NDArray[np.float64]) -> list[Rate]:
    """Successes in bins of one factor, the last bin closed on the right."""
    values = np.array([outcome.case.theta.values[factor.name] for outcome in outcomes])
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    successes = np.array([outcome.success for outcome in outcomes])
    return [Rate(int(successes[bins == b].sum()), int((bins == b).sum())) for b in range(len(edges) - 1)]


def _set_cases(outcomes: Sequence[Outcome], factor: Factor) -> list[Outcome]:
    """Only cases that set the factor: elsewhere its value is nominal or the seed's, and would pile up or mislead."""
    return [outcome for outcome in outcomes if factor.name in outcome.case.theta.values]


def _shade(bounds: tuple[float, float] | None, frame: Frame) -> Html:
    """Where the first demonstrations were kept to."""
    if bounds is None:
        return Html("")
    low, high = (frame.x(bound) for bound in bounds)
    height = frame.y.start - frame.y.stop
    return tag("rect", class_="narrow", x=low, y=frame.y.stop, width=max(high - low, 1), height=height)


def _binned(rates: Sequence[Rate], edges: NDArray[np.float64], frame: Frame, shift_px: float) -> Html:
    centres = (edges[:-1] + edges[1:]) / 2
    marks: list[Html] = []
    points: list[tuple[float, float]] = []
    for centre, rate in zip(centres.tolist(), rates, strict=True):
        if rate.n == 0:
            continue
        at = frame.x(centre) + shift_px
        band = path([(at, frame.y(rate.low)), (at, frame.y(rate.high))])
        hint = tag("title", f"{count_text(rate)}, {interval_text(rate)}")
        marks.append(tag("path", hint, class_="band", d=band))
        points.append((at, frame.y(rate.value)))
    dots = [tag("circle", class_="dot small", cx=cx, cy=cy, r=2.8) for cx, cy in points]
    return join([*marks, tag("path", class_="trend", d=path(points)), *dots])


def _in_words(groups: Sequence[Group], factor: Factor) -> str:
    """What a reader who cannot see the picture gets: success in the lower and the upper half of the range."""
    edges = np.array([factor.low, (factor.low + factor.high) / 2, factor.high])
    halves = {group.title: bin_rates(group.outcomes, factor, edges) for group in groups}
    texts = [f"{title} {count_text(a)} low, {count_text(b)} high" for title, (a, b) in halves.items()]
    return f"Success against {axis_title(factor)}: {'; '.join(texts)}."
