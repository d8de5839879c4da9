"""Films of recorded episodes: the cameras beside plots of every number against time, with a moving cursor."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from math import ceil

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from etude.core import Image
from etude.evaluation.canvas import INK, LINE, PAPER, SOFT, Colour, best_columns, fitted, text_width, write

type Series = Float64[NDArray[np.float64], " T"]

WIDTH_PX, HEIGHT_PX = 1280, 720
COLOURS: Mapping[str, Colour] = {"state": (0, 114, 178), "action": (209, 73, 12)}
_HEADER_PX, _MARGIN_PX, _GAP_PX, _TITLE_PX = 34, 12, 6, 15
_PICTURES_PX, _PLOT_ASPECT = 480, 2.4


@dataclass(frozen=True)
class Plot:
    """One small plot.

    Attributes:
        title: What the numbers are.
        series: "state" or "action" -> values over time, (T,), in one scale.
    """

    title: str
    series: Mapping[str, Series]


def plots(names: Mapping[str, Sequence[str]], numbers: Mapping[str, Float64[NDArray[np.float64], "T n"]]) -> list[Plot]:
    """One plot per number; a state and an action of the same names share theirs.

    Args:
        names: "state" and "action" -> what the columns are; those that are missing or do not fit are numbered.
        numbers: "state" and "action" -> (T, n).
    """
    titles = {kind: _titles(kind, names.get(kind, ()), values.shape[1]) for kind, values in numbers.items()}
    stems = [tuple(title.partition(".")[0] for title in of_kind) for of_kind in titles.values()]
    alike = len(set(titles.values())) == 1 or (len(set(stems)) == 1 and len(set(stems[0])) == len(stems[0]))
    if len(numbers) > 1 and alike:
        columns = enumerate(next(iter(titles.values())))
        return [Plot(title, {kind: values[:, i] for kind, values in numbers.items()}) for i, title in columns]
    return [
        Plot(title, {kind: numbers[kind][:, i]}) for kind, of_kind in titles.items() for i, title in enumerate(of_kind)
    ]


def recorded_frames(
    title: str, drawn: Sequence[Plot], cameras: Mapping[str, Iterator[Image]], *, length: int, fps: int
) -> Iterator[Image]:
    """The frames of the film, one by one.

    Args:
        title: First line.
        drawn: The plots; may be none.
        cameras: Camera name -> its images, `length` each; may be none.
        length: Frames of the episode, T.
        fps: Frames per second.
    """
    moments = iter(zip(*cameras.values(), strict=True) if cameras else [()] * length)
    first = next(moments)
    pictures = _Pictures.fit(cameras, first, _PICTURES_PX if drawn else WIDTH_PX - 2 * _MARGIN_PX)
    left = _MARGIN_PX + (pictures.columns * pictures.width_px + _MARGIN_PX if cameras else 0)
    background, cells = _background(title, drawn, left)
    for t, views in enumerate(chain([first], moments)):
        canvas = background.copy()
        clock = f"{t / fps:.2f} s of {length / fps:.2f} s   frame {t}"
        write(canvas, (WIDTH_PX - _MARGIN_PX, 9), clock, size_px=14, anchor="ra")
        pictures.paste(canvas, views)
        for cell, plot in zip(cells, drawn, strict=True):
            cell.point_at(canvas, plot, t)
        yield np.asarray(canvas)


@dataclass(frozen=True)
class _Pictures:
    """Where the cameras' pictures are: in columns, as large as they can be together."""

    cameras: tuple[str, ...]
    columns: int
    width_px: int
    height_px: int

    @staticmethod
    def fit(cameras: Iterable[str], views: Sequence[Image], room_px: int) -> "_Pictures":
        """Into a panel of at most this width."""
        aspect = max((view.shape[1] / view.shape[0] for view in views), default=1.0)
        height, count = HEIGHT_PX - _HEADER_PX - _MARGIN_PX, max(1, len(views))
        columns = best_columns(count, room_px, height, aspect)
        tile_height = min(height / ceil(count / columns), room_px / columns / aspect)
        return _Pictures(tuple(cameras), columns, round(tile_height * aspect), round(tile_height))

    def paste(self, canvas: Pillow.Image, views: Sequence[Image]) -> None:
        """Draw one moment, at the left."""
        for i, (camera, view) in enumerate(zip(self.cameras, views, strict=True)):
            x, y = self.width_px * (i % self.columns), self.height_px * (i // self.columns)
            place = (_MARGIN_PX + x, _HEADER_PX + y)
            canvas.paste(fitted(view, self.width_px - _GAP_PX, self.height_px - _GAP_PX), place)
            write(canvas, (place[0] + 6, place[1] + 4), camera, colour=PAPER, halo=INK)


@dataclass(frozen=True)
class _Cell:
    """Where a plot's curves are [px], and what its edges mean."""

    left: float
    top: float
    right: float
    bottom: float
    low: float
    high: float
    length: int

    def place(self, t: int, value: float) -> tuple[float, float]:
        """The pixel of a value."""
        x = self.left + (self.right - self.left) * t / max(1, self.length - 1)
        return x, self.bottom - (self.bottom - self.top) * (value - self.low) / (self.high - self.low)

    def point_at(self, canvas: Pillow.Image, plot: Plot, t: int) -> None:
        """Draw the cursor, and a dot on every curve."""
        draw, x = ImageDraw.Draw(canvas), self.place(t, self.low)[0]
        draw.line((x, self.top, x, self.bottom), fill=INK)
        for kind, values in plot.series.items():
            if np.isfinite(values[t]):
                _, y = self.place(t, float(values[t]))
                draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=COLOURS[kind], outline=PAPER)


def _background(title: str, drawn: Sequence[Plot], left: int) -> tuple[Pillow.Image, list[_Cell]]:
    """All that does not move, and where the cursors go; the plots begin at `left`."""
    canvas = Pillow.new("RGB", (WIDTH_PX, HEIGHT_PX), PAPER)
    kinds = [kind for kind in COLOURS if any(kind in plot.series for plot in drawn)]
    x = WIDTH_PX - 260.0
    for kind in reversed(kinds):
        x -= text_width(kind, 14) + 14
        write(canvas, (x, 9), kind, size_px=14, colour=COLOURS[kind])
    write(canvas, (_MARGIN_PX, 8), title, size_px=16, width_px=x - 2 * _MARGIN_PX)
    if not drawn:
        return canvas, []
    top, right, bottom = _HEADER_PX, WIDTH_PX - _MARGIN_PX, HEIGHT_PX - _MARGIN_PX
    columns = best_columns(len(drawn), right - left, bottom - top, _PLOT_ASPECT)
    step_x, step_y = (right - left) / columns, (bottom - top) / ceil(len(drawn) / columns)
    cells = [
        _draw_plot(canvas, plot, left + step_x * (i % columns), top + step_y * (i // columns), step_x, step_y)
        for i, plot in enumerate(drawn)
    ]
    return canvas, cells


def _draw_plot(canvas: Pillow.Image, plot: Plot, x: float, y: float, width: float, height: float) -> _Cell:
    """A plot with its title above and the ends of its scale inside."""
    together = np.concatenate(list(plot.series.values()))
    finite = together[np.isfinite(together)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    pad = 0.06 * (high - low) or 0.05 * max(abs(low), 1.0)
    length = len(next(iter(plot.series.values())))
    box = (round(x), round(y + _TITLE_PX), round(x + width - _GAP_PX), round(y + height - _GAP_PX))
    cell = _Cell(box[0] + 4, box[1] + 1, box[2] - 4, box[3] - 1, low - pad, high + pad, length)
    ImageDraw.Draw(canvas).rectangle(box, outline=LINE)
    _draw_curves(canvas, plot, cell)
    scale = f"{low:.3g} to {high:.3g}"
    room = width - _GAP_PX - text_width(scale, 10) - 6
    write(canvas, (x, y + 1), plot.title, size_px=11, width_px=room)
    write(canvas, (box[2], y + 2), scale, size_px=10, colour=SOFT, anchor="ra")
    return cell


def _draw_curves(canvas: Pillow.Image, plot: Plot, cell: _Cell) -> None:
    draw = ImageDraw.Draw(canvas)
    for kind, values in plot.series.items():
        run: list[tuple[float, float]] = []
        for t, value in enumerate([*values.tolist(), float("nan")]):  # a value that is none breaks the curve
            if np.isfinite(value):
                run.append(cell.place(t, value))
            elif len(run) > 1:
                draw.line(run, fill=COLOURS[kind], width=1)
                run = []


def _titles(kind: str, names: Sequence[str], size: int) -> tuple[str, ...]:
    return tuple(names) if len(names) == size else tuple(f"{kind} {i}" for i in range(size))
