"""What is wrong in a dataset, drawn: for each episode images around the fault, and the curve that shows it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

from etude.core import Image
from etude.evaluation.canvas import ACCENT, INK, LINE, PAPER, SOFT, Tile, fitted, wrapped, write

_FAULT, _SHADE = (190, 40, 40), (252, 226, 224)
_WIDTH_PX, _TILE_PX, _GAP_PX, _CURVE_PX, _HEAD_PX = 1000, 150, 8, 110, 44


@dataclass(frozen=True, kw_only=True, eq=False)
class OutlierStrip:
    """One fault with what there is to see of it.

    Attributes:
        title: Episode and verdict.
        message: What is wrong.
        images: (frame, image) around the fault; None where an image cannot be read.
        camera: Where the images are from.
        curve_name: What the curve shows.
        curve: (T,), or empty.
        fault: First and last frame of the fault, or None where it has none.
        fps: Frames per second.
    """

    title: str
    message: str
    images: Sequence[tuple[int, Image | None]]
    camera: str
    curve_name: str
    curve: Float[NDArray[np.float64], " T"]
    fault: tuple[int | None, int | None]
    fps: float


def draw_outliers(strips: Sequence[OutlierStrip]) -> Pillow.Image:
    """One below the other."""
    drawn = [_strip(strip) for strip in strips]
    canvas = Pillow.new("RGB", (_WIDTH_PX, sum(picture.height for picture in drawn)), PAPER)
    top = 0
    for picture in drawn:
        canvas.paste(picture, (0, top))
        top += picture.height
    return canvas


def _strip(strip: OutlierStrip) -> Pillow.Image:
    lines = wrapped(strip.message, 13, _WIDTH_PX - 4 * _GAP_PX)
    head = _HEAD_PX + 17 * (len(lines) - 1)
    images = _TILE_PX + 22 if strip.images else 0
    curve = _CURVE_PX + 40 if len(strip.curve) > 1 else 0
    canvas = Pillow.new("RGB", (_WIDTH_PX, head + images + curve + _GAP_PX), PAPER)
    ImageDraw.Draw(canvas).line((0, 0, _WIDTH_PX, 0), fill=LINE)
    write(canvas, (2 * _GAP_PX, 6), strip.title, size_px=15)
    for i, line in enumerate(lines):
        write(canvas, (2 * _GAP_PX, 25 + 17 * i), line, colour=SOFT)
    if strip.images:
        _images(canvas, strip, head)
    if curve:
        _curve(canvas, strip, head + images)
    return canvas


def _images(canvas: Pillow.Image, strip: OutlierStrip, top: int) -> None:
    step = (_WIDTH_PX - 4 * _GAP_PX) // len(strip.images)
    for i, (frame, image) in enumerate(strip.images):
        left, inside = 2 * _GAP_PX + i * step, _within(frame, strip.fault)
        caption = f"{strip.camera}, frame {frame}, {frame / strip.fps:.2f} s"
        write(canvas, (left, top + 2), caption, size_px=12, colour=_FAULT if inside else SOFT, width_px=step - _GAP_PX)
        tile = Tile(image, "cannot be read")
        box = (left, top + 20, left + step - _GAP_PX, top + 20 + _TILE_PX - 4)
        if tile.image is None:
            ImageDraw.Draw(canvas).rectangle(box, outline=LINE)
            write(canvas, ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2), tile.reason, colour=SOFT, anchor="mm")
            continue
        picture = fitted(tile.image, step - _GAP_PX, _TILE_PX - 4)
        canvas.paste(picture, (left, top + 20))
        if inside:
            right, bottom = left + picture.width, top + 20 + picture.height
            ImageDraw.Draw(canvas).rectangle((left - 2, top + 18, right + 1, bottom + 1), outline=_FAULT, width=2)


def _curve(canvas: Pillow.Image, strip: OutlierStrip, top: int) -> None:
    """The curve over the whole episode, with the fault shaded; what is not finite is left out."""
    draw, left, right = ImageDraw.Draw(canvas), 80, _WIDTH_PX - 2 * _GAP_PX
    top, values = top + 22, strip.curve
    bottom = top + _CURVE_PX
    finite = values[np.isfinite(values)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    reach = high - low or 1.0

    def x(frame: float) -> float:
        return left + (right - left) * frame / (len(values) - 1)

    first, last = strip.fault
    if first is not None and last is not None:
        draw.rectangle((max(x(first) - 2, left), top, min(x(last) + 2, right), bottom), fill=_SHADE)
        write(canvas, (min(x(first), right - 130), bottom + 3), f"{first / strip.fps:.2f} s", size_px=12, colour=_FAULT)
    draw.rectangle((left, top, right, bottom), outline=LINE)
    points = [(x(t), bottom - 4 - (_CURVE_PX - 8) * (v - low) / reach) for t, v in enumerate(values) if np.isfinite(v)]
    draw.line(points, fill=ACCENT, width=2)
    write(canvas, (left, top - 18), strip.curve_name, size_px=12, colour=INK)
    for value, y in ((high, top + 2), (low, bottom - 14)):
        write(canvas, (left - 6, y), f"{value:.3g}", size_px=12, colour=SOFT, anchor="ra")
    write(canvas, (right, bottom + 3), f"{(len(values) - 1) / strip.fps:.2f} s", size_px=12, colour=SOFT, anchor="ra")


def _within(frame: int, fault: tuple[int | None, int | None]) -> bool:
    first, last = fault
    return first is not None and last is not None and first <= frame <= last
