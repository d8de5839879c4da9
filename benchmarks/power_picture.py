"""The power curve of the sequential comparison beside the fixed test's, and the cases it takes, as one picture."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image as Pillow
from PIL import ImageDraw

from etude.evaluation.canvas import LINE, PAPER, SOFT, Colour, write

if TYPE_CHECKING:
    from benchmarks.sequential import Power

_SIZE, _LEFT, _RIGHT, _TOP, _BOTTOM = (1200, 460), 70, 24, 64, 52
_SEQUENTIAL: Colour = (0, 114, 178)
_FIXED: Colour = (209, 73, 12)


def draw(powers: "Sequence[Power]", path: Path) -> None:
    """Draw both panels: solid lines for independent outcomes, thin ones for correlated outcomes.

    Args:
        powers: Every difference at every correlation.
        path: A PNG.
    """
    canvas = Pillow.new("RGB", _SIZE, PAPER)
    half = _SIZE[0] // 2
    found = _Panel(canvas, 0, half, "How often the difference is seen", 1.0, lambda v: f"{v:.0%}")
    cases = _Panel(canvas, half, half, "Cases until it can be said (mean, of at most 200)", 200.0, lambda v: f"{v:.0f}")
    for width, rho in ((4, 0.0), (2, 0.3)):
        some = [each for each in powers if each.correlation == rho]
        found.line([(p.difference, p.fixed) for p in some], _FIXED, width)
        found.line([(p.difference, p.batched) for p in some], _SEQUENTIAL, width)
        cases.line([(p.difference, 200.0) for p in some], _FIXED, width)
        cases.line([(p.difference, p.batched_cases) for p in some], _SEQUENTIAL, width)
    write(canvas, (_LEFT, 36), "sequential, a look after every 16 cases", size_px=16, colour=_SEQUENTIAL)
    write(canvas, (_LEFT + 300, 36), "McNemar after 200 cases", size_px=16, colour=_FIXED)
    note = "thick: outcomes independent between policies; thin: correlation 0.3"
    write(canvas, (half + _LEFT, 36), note, size_px=16, colour=SOFT)
    canvas.save(path, optimize=True)


class _Panel:
    """Axes from 0 to 30 points and from 0 to `top`."""

    def __init__(
        self, canvas: Pillow.Image, x_px: int, width_px: int, title: str, top: float, text: Callable[[float], str]
    ) -> None:
        self._draw, self._x_px, self._width_px, self._top = ImageDraw.Draw(canvas), x_px, width_px, top
        write(canvas, (x_px + _LEFT, 10), title, size_px=18, colour=(20, 20, 20))
        for i in range(5):
            y = self._at(0, top * i / 4)[1]
            self._draw.line([(x_px + _LEFT, y), (x_px + width_px - _RIGHT, y)], fill=LINE)
            write(canvas, (x_px + _LEFT - 8, round(y) - 9), text(top * i / 4), size_px=15, colour=SOFT, anchor="ra")
        for points in range(0, 31, 5):
            x = round(self._at(points / 100, 0)[0])
            write(canvas, (x, _SIZE[1] - _BOTTOM + 8), str(points), size_px=15, colour=SOFT, anchor="ma")
        middle = x_px + (_LEFT + width_px - _RIGHT) // 2
        write(canvas, (middle, _SIZE[1] - 24), "true difference [points]", size_px=15, colour=SOFT, anchor="ma")

    def line(self, points: Sequence[tuple[float, float]], colour: Colour, width_px: int) -> None:
        """Draw a line with its points."""
        placed = [self._at(*point) for point in points]
        self._draw.line(placed, fill=colour, width=width_px, joint="curve")
        for x, y in placed:
            self._draw.ellipse([x - 4, y - 4, x + 4, y + 4], fill=colour)

    def _at(self, difference: float, value: float) -> tuple[float, float]:
        across, up = self._width_px - _LEFT - _RIGHT, _SIZE[1] - _TOP - _BOTTOM
        return self._x_px + _LEFT + across * difference / 0.3, _SIZE[1] - _BOTTOM - up * value / self._top
