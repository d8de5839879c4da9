"""Words and pictures on a canvas: what contact sheets, films and plots are put together from."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import ceil

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from etude.core import Image

type Colour = tuple[int, int, int]

PAPER, INK, SOFT, LINE, ACCENT = (255, 255, 255), (29, 35, 41), (91, 102, 112), (217, 222, 227), (11, 92, 173)
_EMPTY = (245, 247, 248)
_GAP_PX, _HEADING_PX = 6, 20
# The font that comes with Pillow has no more than Latin letters.
_PLAIN = str.maketrans(
    {"–": "-", "−": "-", "×": "x", "π": "pi", "θ": "theta", "→": "->", "≥": ">=", "≤": "<=", "’": "'", "\n": " "}
)


@cache
def font(size_px: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The one font of all pictures."""
    return ImageFont.load_default(size=size_px)


def write(
    canvas: Pillow.Image,
    place: tuple[float, float],
    text: str,
    *,
    size_px: int = 13,
    colour: Colour = INK,
    width_px: float = float("inf"),
    anchor: str = "la",
    halo: Colour | None = None,
) -> None:
    """Write one line of text, cut to a width with an ellipsis; with a halo it can be read on any picture."""
    line, width = shortened(text, size_px, width_px), 0 if halo is None else 2
    draw = ImageDraw.Draw(canvas)
    draw.text(place, line, fill=colour, font=font(size_px), anchor=anchor, stroke_width=width, stroke_fill=halo)


def shortened(text: str, size_px: int, width_px: float) -> str:
    """As much of a text as fits, in letters that the font has."""
    plain = text.translate(_PLAIN)
    if text_width(plain, size_px) <= width_px:
        return plain
    keep = len(plain)
    while keep and text_width(plain[:keep] + "…", size_px) > width_px:
        keep -= 1
    return plain[:keep].rstrip() + "…" if keep else ""


def text_width(text: str, size_px: int) -> float:
    """Width of a line of text [px]."""
    return font(size_px).getlength(text.translate(_PLAIN))


def wrapped(text: str, size_px: int, width_px: float) -> list[str]:
    """A text in lines of at most this width, broken between words."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size_px) <= width_px:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def fitted(image: Image, width_px: int, height_px: int) -> Pillow.Image:
    """The image as large as the box allows, its proportions kept."""
    height, width = image.shape[:2]
    scale = min(width_px / width, height_px / height)
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    return Pillow.fromarray(np.asarray(image)).resize(size, Pillow.Resampling.BICUBIC)


def best_columns(count: int, width_px: float, height_px: float, aspect: float) -> int:
    """Into how many columns to lay out `count` tiles of an aspect (width over height) so that they are largest."""

    def tile_width(columns: int) -> float:
        return min(width_px / columns, aspect * height_px / ceil(count / columns))

    return max(range(1, count + 1), key=tile_width)


@dataclass(frozen=True)
class Tile:
    """A place in a sheet: a picture, or why there is none."""

    image: Image | None
    reason: str = ""


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """Pictures in rows and columns under headings.

    Attributes:
        title: First line.
        note: Second line, soft.
        columns: Headings.
        rows: Names of the rows.
        tiles: One sequence per row, one tile per column.
        marked: The column that stands out, or -1.
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[str]
    tiles: Sequence[Sequence[Tile]]
    marked: int = -1

    def draw(self, tile_px: int) -> Pillow.Image:
        """Draw it, each tile in a square of this size."""
        gutter = round(max(text_width(name, 13) for name in self.rows)) + 3 * _GAP_PX
        step, top = tile_px + _GAP_PX, 52 + _HEADING_PX
        written = max(text_width(self.title, 17), text_width(self.note, 13)) + 3 * _GAP_PX
        width = max(gutter + step * len(self.columns), min(round(written), 900))
        canvas = Pillow.new("RGB", (width, top + step * len(self.rows)), PAPER)
        write(canvas, (2 * _GAP_PX, 8), self.title, size_px=17, width_px=width - 3 * _GAP_PX)
        write(canvas, (2 * _GAP_PX, 31), self.note, colour=SOFT, width_px=width - 3 * _GAP_PX)
        for c, heading in enumerate(self.columns):
            colour = ACCENT if c == self.marked else INK
            middle = gutter + c * step + tile_px / 2
            write(canvas, (middle, top - 6), heading, colour=colour, width_px=tile_px, anchor="ms")
        for r, name in enumerate(self.rows):
            write(canvas, (2 * _GAP_PX, top + r * step + tile_px / 2), name, anchor="lm")
            for c, tile in enumerate(self.tiles[r]):
                _place(canvas, tile, (gutter + c * step, top + r * step), tile_px)
        if self.marked >= 0:
            left = gutter + self.marked * step
            box = (left - 3, top - 3, left + tile_px + 2, top + step * len(self.rows) - _GAP_PX + 2)
            ImageDraw.Draw(canvas).rectangle(box, outline=ACCENT, width=3)
        return canvas


def _place(canvas: Pillow.Image, tile: Tile, corner: tuple[int, int], side_px: int) -> None:
    x, y = corner
    if tile.image is not None:
        picture = fitted(tile.image, side_px, side_px)
        canvas.paste(picture, (x + (side_px - picture.width) // 2, y + (side_px - picture.height) // 2))
        return
    ImageDraw.Draw(canvas).rectangle((x, y, x + side_px - 1, y + side_px - 1), fill=_EMPTY, outline=LINE)
    lines = wrapped(tile.reason, 12, side_px - 16)
    for i, line in enumerate(lines):
        place = (x + side_px / 2, y + side_px / 2 + 16 * (i - (len(lines) - 1) / 2))
        write(canvas, place, line, size_px=12, colour=SOFT, width_px=side_px - 8, anchor="mm")
