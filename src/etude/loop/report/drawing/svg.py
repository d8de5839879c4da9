"""Pictures from few primitives: a scale, a frame with axes, marks. Colours and fonts are the style sheet's.

Own SVG and not a plotting library's: the page's own colours in light, dark and print, text that stays text, and the
same bytes on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from etude.loop.report.drawing.markup import Html, join, number, tag

PERCENT = ((0.0, "0"), (0.5, "50"), (1.0, "100"))
"""Ticks of an axis of shares in [0, 1]."""


@dataclass(frozen=True)
class Scale:
    """A linear map from values to pixels.

    Attributes:
        low: Value at `start`.
        high: Value at `stop`.
        start: First pixel; larger than `stop` on an upright axis.
        stop: Last pixel.
    """

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Pixel of a value."""
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    def clipped(self, value: float) -> float:
        """Pixel of a value, kept inside the axis."""
        return self(min(max(value, self.low), self.high))


@dataclass(frozen=True)
class Frame:
    """A plotting area with its axes.

    Attributes:
        x: Horizontal scale.
        y: Upright scale.
        x_title: Title below.
        y_title: Title on the left, turned.
    """

    x: Scale
    y: Scale
    x_title: str = ""
    y_title: str = ""

    def draw(self, x_ticks: Sequence[tuple[float, str]], y_ticks: Sequence[tuple[float, str]]) -> Html:
        """Grid, tick labels and titles."""
        left, right, bottom, top = self.x.start, self.x.stop, self.y.start, self.y.stop
        parts = [tag("rect", class_="plot", x=left, y=top, width=right - left, height=bottom - top)]
        for value, text in x_ticks:
            parts.append(tag("path", class_="grid", d=path([(self.x(value), bottom), (self.x(value), top)])))
            parts.append(tag("text", text, class_="tick", x=self.x(value), y=bottom + 13, text_anchor="middle"))
        for value, text in y_ticks:
            parts.append(tag("path", class_="grid", d=path([(left, self.y(value)), (right, self.y(value))])))
            parts.append(tag("text", text, class_="tick", x=left - 5, y=self.y(value) + 3.5, text_anchor="end"))
        middle, centre = (left + right) / 2, (top + bottom) / 2
        if self.x_title:
            text = shorten(self.x_title, right - left)
            parts.append(tag("text", text, class_="axis", x=middle, y=bottom + 28, text_anchor="middle"))
        if self.y_title:
            turn = f"translate(11 {number(centre)}) rotate(-90)"
            text = shorten(self.y_title, bottom - top)
            parts.append(tag("text", text, class_="axis", transform=turn, text_anchor="middle"))
        return join(parts)


def picture(width: float, height: float, description: str, *body: str) -> Html:
    """An SVG that shrinks with its column and is read out as `description`."""
    box = f"0 0 {number(width)} {number(height)}"
    return tag("svg", *body, viewBox=box, width=width, height=height, role="img", aria_label=description)


def path(points: Sequence[tuple[float, float]]) -> str:
    """Path data of a polyline."""
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in points) if points else ""


def dots(points: Sequence[tuple[float, float]]) -> str:
    """Path data of many round dots (drawn with round line caps): a tenth of the size of as many circles."""
    return "".join(f"M{number(x)} {number(y)}h0" for x, y in points)


def crosses(points: Sequence[tuple[float, float]], arm_px: float = 2.2) -> str:
    """Path data of many × marks."""
    side = number(2 * arm_px)
    corners = ((number(x - arm_px), number(y - arm_px)) for x, y in points)
    return "".join(f"M{x} {y}l{side} {side}m-{side} 0l{side} -{side}" for x, y in corners)


def ticks(low: float, high: float, count: int = 4) -> list[tuple[float, str]]:
    """Round numbers inside [low, high], about `count` of them and 2 at least, with their labels."""
    raw = (high - low) / count
    magnitude = 10.0 ** floor(log10(raw))
    step = next(m * magnitude for m in (1, 2, 5, 10) if m * magnitude >= raw * 0.999)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    decimals = max(0, -floor(log10(step) + 1e-9))
    if last <= first:
        return ticks(low, high, 2 * count)
    return [(i * step, f"{i * step:.{decimals}f}".replace("-", "−")) for i in range(first, last + 1)]


def shorten(text: str, width_px: float) -> str:
    """Cut a title to what fits into a width, at about 5.6 px a letter."""
    letters = max(4, int(width_px / 5.6))
    return text if len(text) <= letters else text[: letters - 1].rstrip() + "…"
