"""Learning curves inside pockets: what was measured, what is expected beyond, and where the target is reached."""

import re
from collections.abc import Sequence
from pathlib import Path

from etude.acquisition.needs import Need
from etude.core import PerturbationSpace, Rate, describe_bounds
from etude.core.files import write_bytes
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.svg import PERCENT, Frame, Scale, path, picture, shorten, ticks

_WIDE, _HIGH, _COLUMNS = 400, 250, 3  # px of a pocket's curve with its titles, and how many stand side by side
_LETTERS = 50  # of a line that fits over a curve
_STYLE = """
.needs text { font: 10.5px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--soft, #5b6670); }
.needs .axis, .needs .said { font-size: 11.5px; fill: var(--ink, #1d2329); }
.needs .said { font-weight: 600; }
.needs .plot { fill: var(--plot, #fafbfc); stroke: var(--line, #d9dee3); }
.needs .grid { stroke: var(--line, #d9dee3); stroke-width: .7; fill: none; }
.needs .open { fill: var(--uniform, #0072b2); opacity: .18; }
.needs .mean { fill: none; stroke: var(--uniform, #0072b2); stroke-width: 1.6; }
.needs .wanted { fill: none; stroke: var(--ink, #1d2329); stroke-width: 1.1; stroke-dasharray: 6 4; }
.needs .rate { fill: none; stroke: var(--ink, #1d2329); stroke-width: 1.6; }
.needs .point { fill: var(--ink, #1d2329); }
.needs .takes { fill: none; stroke: var(--targeted, #d1490c); stroke-width: 4; stroke-linecap: round; }
.needs .about { fill: var(--targeted, #d1490c); }
"""


def need_curves(needs: Sequence[Need], space: PerturbationSpace | None) -> Html:
    """One curve per pocket, side by side.

    Args:
        needs: What the pockets take.
        space: Puts the pockets in words.
    """
    columns = min(len(needs), _COLUMNS)
    cells = [
        tag("g", _curve(need, space), transform=f"translate({i % columns * _WIDE} {i // columns * _HIGH})")
        for i, need in enumerate(needs)
    ]
    said = "; ".join(f"{need.pocket.name}: {need.describe()}" for need in needs)
    rows = -(-len(needs) // columns) if columns else 0
    drawn = picture(max(columns, 1) * _WIDE, rows * _HIGH, said, tag("style", Html(_STYLE)), *cells)
    return Html(drawn.replace("<svg ", '<svg class="needs" ', 1))


def write_need_curves(path: Path, needs: Sequence[Need], space: PerturbationSpace) -> None:
    """Write the picture as an SVG file of its own, on white."""
    alone = re.sub(r"var\(--\w+, (#\w+)\)", r"\1", need_curves(needs, space))
    alone = alone.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" style="background: #fff" ', 1)
    write_bytes(path, alone.encode())


def _curve(need: Need, space: PerturbationSpace | None) -> Html:
    frame = Frame(Scale(0, _last(need), 52, 362), Scale(0, 1, 200, 58), "demonstrations from inside", "success, %")
    where = describe_bounds(need.pocket.bounds, space) if space else need.pocket.name
    parts = [
        tag("text", shorten(f"{need.pocket.name}: {where}", 320), class_="axis", x=52, y=16),
        *(tag("text", line, class_="said", x=52, y=32 + 14 * i) for i, line in enumerate(_lines(need.describe()))),
        frame.draw(ticks(0, frame.x.high, 5), PERCENT),
    ]
    shown = [e for e in need.expected if e.count <= frame.x.high]
    if shown:
        edge = [(frame.x(e.count), frame.y(e.high)) for e in shown]
        edge += [(frame.x(e.count), frame.y(e.low)) for e in reversed(shown)]
        parts.append(tag("path", class_="open", d=path(edge) + "Z"))
        parts.append(tag("path", class_="mean", d=path([(frame.x(e.count), frame.y(e.mean)) for e in shown])))
    if need.verdict != "unsolvable":
        at = frame.y(need.target)
        parts.append(tag("path", class_="wanted", d=path([(52, at), (362, at)])))
        parts += _takes(need, frame, at)
    parts += [_point(frame, count, rate) for count, rate in need.measured.items()]
    return join(parts)


def _lines(text: str) -> list[str]:
    """A few words in lines that fit over a curve: at ": ", where they are too long for one."""
    head, _, rest = text.partition(": ")
    return [f"{head}:", rest] if rest and len(text) > _LETTERS else [text]


def _last(need: Need) -> float:
    """Where the axis ends: a little after what is told, or measured."""
    measured = max(need.measured, default=1) or 1
    told = need.high if need.verdict == "known" else 3 * measured
    return 1.2 * max(measured, told)


def _takes(need: Need, frame: Frame, at: float) -> list[Html]:
    """The interval of how many reach the target, and its middle."""
    if need.verdict != "known":
        return []
    ends = [(frame.x(need.low), at), (frame.x(need.high), at)]
    middle = tag("circle", class_="about", cx=frame.x(need.demonstrations), cy=at, r=4.5)
    return [tag("path", class_="takes", d=path(ends)), middle]


def _point(frame: Frame, count: int, rate: Rate) -> Html:
    x = frame.x(count)
    whisker = tag("path", class_="rate", d=path([(x, frame.y(rate.low)), (x, frame.y(rate.high))]))
    told = tag("title", f"after {count}: {rate}")
    return tag("g", told, whisker, tag("circle", class_="point", cx=x, cy=frame.y(rate.value), r=3.4))
