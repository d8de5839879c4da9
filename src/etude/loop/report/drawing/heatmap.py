"""A grid of two factors, or of one, as a map of how often episodes failed in every cell."""

from collections.abc import Mapping, Sequence

from etude.core import Rate
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.svg import picture, shorten
from etude.loop.report.drawing.wording import count_text, interval_text, percent, value_text

_WIDTH, _ROW, _LEFT, _TOP = 520, 34, 64, 6


def heat_map(
    rates: Mapping[tuple[float, float], Rate],
    x_title: str,
    y_title: str,
    xs: Sequence[float],
    ys: Sequence[float],
    *,
    successes: bool = False,
) -> Html:
    """Failures of n in every cell, or successes; the redder, the more failed.

    Args:
        rates: (x, y) -> failures there, or successes; cells that are missing stay empty.
        x_title: Along the horizontal axis.
        y_title: Along the upright axis; "" for a grid of one factor.
        xs: Values of the columns, ascending.
        ys: Values of the rows, ascending from the bottom.
        successes: Whether the rates are of successes instead.
    """
    wide = min(64.0, (_WIDTH - _LEFT - 6) / len(xs))
    bottom, word = _TOP + _ROW * len(ys), "succeeded" if successes else "failed"
    cells: list[Html] = []
    for row, y in enumerate(reversed(ys)):
        for column, x in enumerate(xs):
            rate = rates.get((x, y), Rate(0, 0))
            red = 1 - rate.value if successes else rate.value
            hint = f"{value_text(x)}, {value_text(y)}: {_told(rate, word)}"
            cells += _cell(rate, red, _LEFT + column * wide, _TOP + row * _ROW, wide, hint)
        if y_title:
            cells.append(
                tag("text", value_text(y), class_="tick", x=_LEFT - 6, y=_TOP + (row + 0.62) * _ROW, text_anchor="end")
            )
    every = max(1, round(44 / wide))
    for column, x in enumerate(xs):
        if column % every == 0:
            at = _LEFT + (column + 0.5) * wide
            cells.append(tag("text", value_text(x), class_="tick", x=at, y=bottom + 14, text_anchor="middle"))
    right = _LEFT + wide * len(xs)
    cells.append(tag("text", x_title, class_="axis", x=(_LEFT + right) / 2, y=bottom + 31, text_anchor="middle"))
    if y_title:
        turn = f"translate(13 {(_TOP + bottom) / 2:.1f}) rotate(-90)"
        title = shorten(y_title, max(bottom - _TOP, 90))
        cells.append(tag("text", title, class_="axis", transform=turn, text_anchor="middle"))
    total = Rate(sum(r.k for r in rates.values()), sum(r.n for r in rates.values()))
    said = f"Grid of {x_title}{' and ' + y_title if y_title else ''}: {count_text(total)} {word}."
    return picture(max(right + 6, 240), bottom + 40, said, *cells)


def _told(rate: Rate, word: str) -> str:
    return f"{count_text(rate)} {word}, {percent(rate.value)} ({interval_text(rate)})"


def _cell(rate: Rate, red: float, left: float, top: float, wide: float, hint: str) -> list[Html]:
    box = {"x": left + 0.5, "y": top + 0.5, "width": wide - 1, "height": _ROW - 1.0}
    if not rate.n:
        return [tag("rect", class_="plot", **box)]
    parts = [tag("rect", class_="plot", **box)]
    parts.append(tag("rect", tag("title", hint), class_="heat", fill_opacity=round(red, 3), **box))
    if wide >= 28:
        strong = " strong" if red > 0.55 else ""
        middle = {"x": left + wide / 2, "y": top + _ROW * 0.62}
        parts.append(tag("text", count_text(rate), class_=f"cell{strong}", text_anchor="middle", **middle))
    return parts
