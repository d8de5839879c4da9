"""One picture of a search: every pair of the factors that matter, and all of them on one plane; coloured by pocket.

The picture carries its own style: as part of a page it takes the page's colours, as a file it has its own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from etude.core import Factor, PerturbationSpace, Pocket
from etude.core.files import write_bytes
from etude.loop.report.drawing.embedding import Points, embed
from etude.loop.report.drawing.maps import ranked_factors
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.svg import Frame, Scale, crosses, dots, picture, shorten, ticks
from etude.loop.report.drawing.wording import axis_title
from etude.loop.report.results import SearchRow

_MAX_FACTORS = 5
_MAX_MARKS = 250  # of each colour; more hide one another
_CELL, _GAP, _LEFT, _TOP, _BELOW = 150, 16, 74, 34, 46  # px
_COLOURS = (
    "var(--uniform, #0072b2)",
    "var(--targeted, #d1490c)",
    "var(--x2, #117733)",
    "var(--x1, #aa4499)",
    "var(--more, #c98500)",
    "var(--x3, #332288)",
)
_STYLE = """
.pocketmap text { font: 10.5px system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; fill: var(--soft, #5b6670); }
.pocketmap .axis, .pocketmap .said { font-size: 11.5px; fill: var(--ink, #1d2329); }
.pocketmap .plot { fill: var(--plot, #fafbfc); stroke: var(--line, #d9dee3); }
.pocketmap .grid { stroke: var(--line, #d9dee3); stroke-width: .7; fill: none; }
.pocketmap .success, .pocketmap .failure, .pocketmap .box { fill: none; }
.pocketmap .success { stroke: var(--soft, #5b6670); stroke-width: 2.6; stroke-linecap: round; opacity: .35; }
.pocketmap .failure { stroke: var(--ink, #1d2329); stroke-width: 1.1; opacity: .8; }
.pocketmap .box { stroke-width: 1.6; }
.pocketmap .box.shadow { stroke-dasharray: 4 3; stroke-width: 1.2; opacity: .85; }
"""


@dataclass(frozen=True, kw_only=True)
class _Marks:
    """What is drawn, points of the unit cube: successes (N, D), and failures by pocket, those of none last."""

    successes: Points
    failures: Sequence[Points]


def pocket_map(space: PerturbationSpace, rows: Sequence[SearchRow], pockets: Sequence[Pocket]) -> Html:
    """Draw the pairwise maps of the factors that matter, and the embedding of all of them beside.

    Args:
        space: Of the search.
        rows: Every rollout.
        pockets: Confirmed pockets, the worst first.
    """
    ranked = ranked_factors(space, [(row.theta, row.severity) for row in rows])
    factors = [space[name] for name in _chosen(ranked, pockets)]
    marks, cells = _marks(space, rows, pockets), max(1, len(factors) - 1)
    parts: list[Html] = []
    for i in range(1, len(factors)):
        for j in range(i):
            corner = (_LEFT + j * (_CELL + _GAP), _TOP + (i - 1) * (_CELL + _GAP))
            parts.append(_pair(space, factors[j], factors[i], corner, marks, pockets, (j == 0, i == cells)))
    grid_px = cells * (_CELL + _GAP)
    left, side = _LEFT + grid_px + 40, max(300, min(430, grid_px - _GAP))
    parts.append(_embedding(space, ranked, pockets, marks, (left, _TOP), side))
    width, below = left + side + 20, _TOP + max(grid_px + _BELOW, side + 40)
    parts += _legend(space, pockets, (20, below), width - 40)
    said = f"{len(rows)} rollouts, {sum(not row.success for row in rows)} failures, pockets: {len(pockets)}"
    title = tag("text", f"{said}; {len(factors)} of {len(space.factors)} factors", class_="said", x=_LEFT, y=18)
    height = below + 17 * (len(pockets) + 2)
    drawn = picture(width, height, f"Pocket map: {said}.", tag("style", Html(_STYLE)), title, *parts)
    return Html(drawn.replace("<svg ", '<svg class="pocketmap" ', 1))


def write_pocket_map(
    path: Path, space: PerturbationSpace, rows: Sequence[SearchRow], pockets: Sequence[Pocket]
) -> None:
    """Write the picture as an SVG file of its own, on white."""
    drawn = pocket_map(space, rows, pockets)
    alone = re.sub(r"var\(--\w+, (#\w+)\)", r"\1", drawn)
    alone = alone.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" style="background: #fff" ', 1)
    write_bytes(path, alone.encode())


def _chosen(ranked: Sequence[str], pockets: Sequence[Pocket]) -> list[str]:
    """Factors of the pockets, one of each in turn, then those that matter most."""
    own = [sorted(pocket.bounds, key=ranked.index) for pocket in pockets]
    depth = max((len(names) for names in own), default=0)
    in_turn = [names[i] for i in range(depth) for names in own if i < len(names)]
    wanted = max(3, min(_MAX_FACTORS, len(set(in_turn))))
    return list(dict.fromkeys([*in_turn, *ranked]))[:wanted]


def _marks(space: PerturbationSpace, rows: Sequence[SearchRow], pockets: Sequence[Pocket]) -> _Marks:
    groups: list[list[SearchRow]] = [[] for _ in range(len(pockets) + 1)]
    for row in rows:
        if not row.success:
            groups[next((i for i, p in enumerate(pockets) if p.contains(row.theta, space)), len(pockets))].append(row)

    def points(own: Sequence[SearchRow]) -> Points:
        step = max(1, -(-len(own) // _MAX_MARKS))
        return np.array([space.to_unit(row.theta) for row in own[::step]]).reshape(-1, len(space.factors))

    successes = points([row for row in rows if row.success])
    return _Marks(successes=successes, failures=[points(group) for group in groups])


def _pair(
    space: PerturbationSpace,
    x: Factor,
    y: Factor,
    corner: tuple[float, float],
    marks: _Marks,
    pockets: Sequence[Pocket],
    edge: tuple[bool, bool],
) -> Html:
    """The map of two factors; numbers and titles only at the left and lower edge of the whole."""
    left, top = corner
    titles = (axis_title(x) if edge[1] else "", axis_title(y) if edge[0] else "")
    frame = Frame(Scale(x.low, x.high, left, left + _CELL), Scale(y.low, y.high, top + _CELL, top))
    axes = frame.draw(ticks(x.low, x.high, 3) if edge[1] else [], ticks(y.low, y.high, 3) if edge[0] else [])
    columns = [space.names.index(factor.name) for factor in (x, y)]
    low, span = space.low[columns], (space.high - space.low)[columns]

    def place(points: Points) -> list[tuple[float, float]]:
        values = low + points[:, columns] * span
        return [(frame.x(a), frame.y(b)) for a, b in values.tolist()]

    drawn = _drawn(place(marks.successes), [place(points) for points in marks.failures])
    boxes = [
        _box(frame, x, y, pocket, i, space) for i, pocket in enumerate(pockets) if {x.name, y.name} & set(pocket.bounds)
    ]
    return join([axes, _titles(titles, frame), *drawn, *boxes])


def _titles(titles: tuple[str, str], frame: Frame) -> Html:
    x, y = titles
    parts: list[Html] = []
    if x:
        middle = (frame.x.start + frame.x.stop) / 2
        text = shorten(x, _CELL + 6)
        parts.append(tag("text", text, class_="axis", x=middle, y=frame.y.start + 30, text_anchor="middle"))
    if y:
        place = f"translate({frame.x.start - 48} {(frame.y.start + frame.y.stop) / 2}) rotate(-90)"
        parts.append(tag("text", shorten(y, _CELL + 6), class_="axis", transform=place, text_anchor="middle"))
    return join(parts)


def _box(frame: Frame, x: Factor, y: Factor, pocket: Pocket, index: int, space: PerturbationSpace) -> Html:
    """A pocket's box; dashed where other factors bound it too, and this is only its shadow."""
    shadow = " shadow" if set(pocket.bounds) - {x.name, y.name} else ""
    left, right = (frame.x.clipped(value) for value in pocket.bounds.get(x.name, (x.low, x.high)))
    bottom, top = (frame.y.clipped(value) for value in pocket.bounds.get(y.name, (y.low, y.high)))
    hint = tag("title", f"{pocket.name}: {pocket.describe(space)}")
    size = {"width": max(right - left, 1.0), "height": max(bottom - top, 1.0)}
    return tag("rect", hint, class_=f"box{shadow}", style=f"stroke: {_colour(index)}", x=left, y=top, **size)


def _drawn(successes: list[tuple[float, float]], failures: Sequence[list[tuple[float, float]]]) -> list[Html]:
    """Successes as dots, failures as crosses in their pocket's colour, those outside all pockets below the others."""
    *inside, outside = failures
    marks = [tag("path", class_="success", d=dots(successes)), tag("path", class_="failure", d=crosses(outside))]
    for index, points in enumerate(inside):
        marks.append(tag("path", class_="failure", style=f"stroke: {_colour(index)}", d=crosses(points)))
    return marks


def _embedding(
    space: PerturbationSpace,
    ranked: Sequence[str],
    pockets: Sequence[Pocket],
    marks: _Marks,
    corner: tuple[float, float],
    side: float,
) -> Html:
    """All factors that bound pockets on one plane; without pockets those that tell failures from successes."""
    *inside, outside = marks.failures
    bounding = dict.fromkeys(name for pocket in pockets for name in pocket.bounds)
    active, rest = (list(bounding), np.vstack([outside, marks.successes])) if pockets else (ranked[:4], marks.successes)
    embedding = embed(space, [*(inside or [outside]), rest], active, ranked)
    said = "the plane in which pockets lie furthest apart" if pockets else "the plane that tells failures best"
    landed = embedding(np.vstack([*marks.failures, marks.successes]))
    low, high = (landed.min(axis=0), landed.max(axis=0)) if len(landed) else (np.full(2, -0.5), np.full(2, 0.5))
    margin = 0.04 * (high - low) + 1e-6
    (x0, y0), (x1, y1) = (low - margin).tolist(), (high + margin).tolist()
    left, top = corner
    frame = Frame(Scale(x0, x1, left, left + side), Scale(y0, y1, top + side, top))

    def place(points: Points) -> list[tuple[float, float]]:
        return [(frame.x(a), frame.y(b)) for a, b in embedding(points).tolist()]

    across, upright = (shorten(embedding.title(axis), side) for axis in (0, 1))
    turn = f"translate({left - 10} {top + side / 2}) rotate(-90)"
    return join(
        [
            frame.draw([], []),
            tag("text", said, class_="tick", x=left, y=top - 6),
            tag("text", across, class_="axis", x=left + side / 2, y=top + side + 18, text_anchor="middle"),
            tag("text", upright, class_="axis", transform=turn, text_anchor="middle"),
            *_drawn(place(marks.successes), [place(points) for points in marks.failures]),
        ]
    )


def _legend(
    space: PerturbationSpace, pockets: Sequence[Pocket], corner: tuple[float, float], width: float
) -> list[Html]:
    """What the colours mean, a line each."""
    left, top = corner
    lines = [(f"{pocket.name}: {pocket.describe(space)}", f"stroke: {_colour(i)}") for i, pocket in enumerate(pockets)]
    lines.append((f"failed outside all pockets; dots succeeded; at most {_MAX_MARKS} of each are drawn", ""))
    parts: list[Html] = []
    for row, (words, style) in enumerate(lines):
        y = top + 17 * row
        mark = tag("path", class_="failure", style=style or None, d=crosses([(left + 4, y - 4)], 3.5))
        parts += [mark, tag("text", shorten(words, width - 16), class_="tick", x=left + 16, y=y)]
    return parts


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]
