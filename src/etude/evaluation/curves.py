"""Curves over time in panels above one another, with one time axis: what a person reads off, drawn with Pillow."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import floor, isfinite, log10

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from etude.evaluation.canvas import LINE, PAPER, SOFT, Colour, text_width, write

type Series = Float64[NDArray[np.float64], " T"]

COLOURS: Sequence[Colour] = ((0, 114, 178), (209, 73, 12), (0, 138, 99), (170, 68, 153), (122, 90, 20), (80, 80, 80))
"""For curves in their order; they repeat when there are more. Told apart by people who do not see all colours."""
LIMIT: Colour = (178, 34, 34)

_WIDTH_PX, _PANEL_PX, _TITLE_PX, _GAP_PX = 1000, 130, 24, 14
_LEFT_PX, _RIGHT_PX, _HEAD_PX, _FOOT_PX = 64, 14, 34, 40


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One plot.

    Attributes:
        title: What is drawn, with its unit.
        curves: Name -> values from step 0 on, (T,); gaps where they are no numbers.
        limit: A value at which a line is drawn across; None for none.
    """

    title: str
    curves: Mapping[str, Series]
    limit: float | None = None


@dataclass(frozen=True, kw_only=True)
class Mark:
    """A line down through all panels.

    Attributes:
        step: Where.
        text: Written at its top.
        colour: Of both.
    """

    step: int
    text: str
    colour: Colour = SOFT


@dataclass(frozen=True, kw_only=True)
class Chart:
    """Panels over one time axis.

    Attributes:
        title: First line.
        panels: From the top.
        fps: Steps a second.
        marks: Lines down through all panels.
    """

    title: str
    panels: Sequence[Panel]
    fps: int
    marks: Sequence[Mark] = field(default=())

    def draw(self) -> Pillow.Image:
        """Draw it."""
        rows = _rows_of_marks(self.marks, self._last())
        top = _HEAD_PX + 15 * max(1, len(set(rows)))
        step = _TITLE_PX + _PANEL_PX + _GAP_PX
        canvas = Pillow.new("RGB", (_WIDTH_PX, top + step * len(self.panels) + _FOOT_PX), PAPER)
        write(canvas, (12, 9), self.title, size_px=16, width_px=_WIDTH_PX - 24)
        places = [_Place(top + step * i + _TITLE_PX, self._last(), panel) for i, panel in enumerate(self.panels)]
        for mark, row in zip(self.marks, rows, strict=True):
            self._draw_mark(canvas, mark, places, _HEAD_PX + 15 * row)
        for place in places:
            place.draw(canvas)
        self._draw_axis(canvas, places[-1])
        return canvas

    def _last(self) -> int:
        return max([1, *(len(values) - 1 for panel in self.panels for values in panel.curves.values())])

    def _draw_mark(self, canvas: Pillow.Image, mark: Mark, places: "Sequence[_Place]", y: float) -> None:
        draw, x = ImageDraw.Draw(canvas), places[0].x(mark.step)
        write(canvas, (_beside(mark, self._last()), y), mark.text, size_px=12, colour=mark.colour)
        for place in places:
            draw.line((x, place.top, x, place.bottom), fill=mark.colour)
        draw.line((x, y + 14, x, places[0].top - _TITLE_PX), fill=mark.colour)

    def _draw_axis(self, canvas: Pillow.Image, place: "_Place") -> None:
        draw = ImageDraw.Draw(canvas)
        for second in ticks(0, self._last() / self.fps, 8):
            x = place.x(second * self.fps)
            draw.line((x, place.bottom, x, place.bottom + 4), fill=SOFT)
            label = f"{second:g} s (step {second * self.fps:.0f})"
            left = min(max(x - text_width(label, 11) / 2, 4), _WIDTH_PX - text_width(label, 11) - 4)
            write(canvas, (left, place.bottom + 7), label, size_px=11, colour=SOFT)


@dataclass(frozen=True)
class _Place:
    """Where a panel's curves are [px]."""

    top: float
    last: int
    panel: Panel

    @property
    def bottom(self) -> float:
        return self.top + _PANEL_PX

    @property
    def high(self) -> float:
        """The upper end of the scale, which begins at 0."""
        values = np.concatenate([*self.panel.curves.values(), [self.panel.limit or 0.0]])
        finite = values[np.isfinite(values)]
        return 1.08 * float(finite.max(initial=0.0)) or 1.0

    def x(self, step: float) -> float:
        return x_of(step, self.last)

    def y(self, value: float) -> float:
        return self.bottom - _PANEL_PX * value / self.high

    def draw(self, canvas: Pillow.Image) -> None:
        draw = ImageDraw.Draw(canvas)
        write(canvas, (_LEFT_PX, self.top - 19), self.panel.title, size_px=13)
        self._draw_names(canvas)
        for value in ticks(0, self.high, 4):
            draw.line((_LEFT_PX, self.y(value), _WIDTH_PX - _RIGHT_PX, self.y(value)), fill=LINE)
            write(canvas, (_LEFT_PX - 6, self.y(value)), f"{value:g}", size_px=11, colour=SOFT, anchor="rm")
        if self.panel.limit is not None:
            _dashed(draw, self.y(self.panel.limit))
        for values, colour in zip(self.panel.curves.values(), _colours(self.panel), strict=True):
            self._draw_curve(draw, values, colour)

    def _draw_names(self, canvas: Pillow.Image) -> None:
        x = float(_WIDTH_PX - _RIGHT_PX)
        for name, colour in reversed(list(zip(self.panel.curves, _colours(self.panel), strict=True))):
            write(canvas, (x, self.top - 19), name, size_px=13, colour=colour, anchor="ra")
            x -= text_width(name, 13) + 14

    def _draw_curve(self, draw: ImageDraw.ImageDraw, values: Series, colour: Colour) -> None:
        run: list[tuple[float, float]] = []
        for step, value in enumerate([*values.tolist(), float("nan")]):  # a value that is none breaks the curve
            if isfinite(value):
                run.append((self.x(step), self.y(value)))
            elif len(run) > 1:
                draw.line(run, fill=colour, width=2, joint="curve")
                run = []
            else:
                run = []


def x_of(step: float, last: int) -> float:
    """The pixel column of a step, in a chart that ends with step `last`."""
    return _LEFT_PX + (_WIDTH_PX - _LEFT_PX - _RIGHT_PX) * step / last


def ticks(low: float, high: float, count: int) -> list[float]:
    """At most `count` + 1 round numbers in [low, high], at equal distances; low is a multiple of them."""
    raw = (high - low) / count
    magnitude = 10.0 ** floor(log10(raw))
    spacing = next(magnitude * m for m in (1, 2, 5, 10) if magnitude * m >= raw * (1 - 1e-9))
    return [round(low + i * spacing, 12) for i in range(floor((high - low) / spacing + 1e-9) + 1)]


def _colours(panel: Panel) -> list[Colour]:
    return [COLOURS[i % len(COLOURS)] for i in range(len(panel.curves))]


def _beside(mark: Mark, last: int) -> float:
    """Where a mark's text begins: right of its line, unless there is no room."""
    x = x_of(mark.step, last) + 4
    return min(x, _WIDTH_PX - _RIGHT_PX - text_width(mark.text, 12))


def _rows_of_marks(marks: Sequence[Mark], last: int) -> list[int]:
    """A row for each mark's text, such that none is written over another."""
    ends: list[float] = []
    rows: list[int] = []
    for mark in marks:
        begin = _beside(mark, last)
        row = next((i for i, end in enumerate(ends) if end < begin), len(ends))
        ends[row : row + 1] = [begin + text_width(mark.text, 12) + 10]
        rows.append(row)
    return rows


def _dashed(draw: ImageDraw.ImageDraw, y: float) -> None:
    for x in range(_LEFT_PX, _WIDTH_PX - _RIGHT_PX, 10):
        draw.line((x, y, x + 5, y), fill=LIMIT)
