"""The report's pictures: rates with whiskers, success against a factor, training curves, ranges."""

from collections.abc import Mapping, Sequence
from math import log10

import numpy as np
from numpy.typing import NDArray

from etude.core import Factor, Outcome, Rate
from etude.loop.report.markup import Html, join, tag
from etude.loop.report.results import RunResults
from etude.loop.report.svg import Frame, Scale, path, picture, ticks
from etude.loop.report.wording import arm_title, axis_title, count_text, interval_text, percent, range_text

_COLOURS = {"baseline": 0, "more_steps": 1, "uniform": 2, "targeted": 3}
_PERCENT = [(0.0, "0"), (0.5, "50"), (1.0, "100")]
CASES_PER_BIN = 12
MAX_BINS = 5


def colour(run: RunResults, arm: str) -> str:
    """Class that gives an arm its colour, the same in every picture."""
    extra = [name for name in run.arms if name not in _COLOURS]
    return f"arm{_COLOURS[arm] if arm in _COLOURS else 4 + extra.index(arm) % 3}"


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


def success_by_factor(run: RunResults, factor: Factor, test: str) -> Html | None:
    """Success of every arm in bins of one factor, each with its Wilson interval; None when no case sets it."""
    arms = {name: _set_cases(arm.outcomes(test), factor) for name, arm in run.arms.items()}
    arms = {name: outcomes for name, outcomes in arms.items() if outcomes}
    if not arms:
        return None
    count = min(MAX_BINS, max(2, min(len(outcomes) for outcomes in arms.values()) // CASES_PER_BIN))
    edges = np.linspace(factor.low, factor.high, count + 1).astype(np.float64)
    x = Scale(factor.low, factor.high, 34, 284)
    frame = Frame(x, Scale(0.0, 1.0, 128, 8), axis_title(factor), "success [%]")
    body = [frame.draw(ticks(factor.low, factor.high), _PERCENT), _narrow_band(run, factor, frame)]
    spread = min(6.0, (x(float(edges[1])) - x(float(edges[0]))) / (len(arms) + 1))
    for index, (name, outcomes) in enumerate(arms.items()):
        shift = (index - (len(arms) - 1) / 2) * spread
        rates = bin_rates(outcomes, factor, edges)
        body.append(tag("g", _binned(rates, edges, frame, shift), class_=colour(run, name)))
    return picture(300, 162, _in_words(run, factor, arms), *body)


def bin_rates(outcomes: Sequence[Outcome], factor: Factor, edges: NDArray[np.float64]) -> list[Rate]:
    """Successes in bins of one factor, the last bin closed on the right."""
    values = np.array([outcome.case.theta.values[factor.name] for outcome in outcomes])
    bins = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, len(edges) - 2)
    successes = np.array([outcome.success for outcome in outcomes])
    return [Rate(int(successes[bins == b].sum()), int((bins == b).sum())) for b in range(len(edges) - 1)]


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


def _set_cases(outcomes: Sequence[Outcome], factor: Factor) -> list[Outcome]:
    """Only cases that set the factor: elsewhere its value is nominal or the seed's, and would pile up or mislead."""
    return [outcome for outcome in outcomes if factor.name in outcome.case.theta.values]


def _narrow_band(run: RunResults, factor: Factor, frame: Frame) -> Html:
    """Where the first demonstrations were kept to."""
    if factor.name not in run.narrow:
        return Html("")
    low, high = (frame.x(bound) for bound in run.narrow[factor.name])
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


def _in_words(run: RunResults, factor: Factor, arms: Mapping[str, Sequence[Outcome]]) -> str:
    """What a reader who cannot see the picture gets: success in the lower and the upper half of the range."""
    edges = np.array([factor.low, (factor.low + factor.high) / 2, factor.high])
    halves = {name: bin_rates(outcomes, factor, edges) for name, outcomes in arms.items()}
    texts = [f"{arm_title(name)} {count_text(a)} low, {count_text(b)} high" for name, (a, b) in halves.items()]
    return f"Success against {axis_title(factor)}: {'; '.join(texts)}."
