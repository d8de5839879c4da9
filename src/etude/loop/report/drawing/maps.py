"""Pocket maps: a search, its pockets and new demonstrations over the two factors that matter."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from etude.core import Bounds, Factor, Perturbation, PerturbationSpace, Pocket
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.svg import Frame, Scale, crosses, dots, picture, ticks
from etude.loop.report.drawing.wording import axis_title
from etude.loop.report.results import SearchRow

MAX_MAPS = 3


@dataclass(frozen=True, kw_only=True)
class Plane:
    """Two factors, and the boxes to draw over them.

    Attributes:
        space: Of all factors.
        x: Factor along the horizontal axis.
        y: Factor along the upright axis.
        pockets: Boxes; those that bound neither factor are left out.
        narrow: Factor -> (low, high) that the first demonstrations were kept to.
    """

    space: PerturbationSpace
    x: Factor
    y: Factor
    pockets: Sequence[Pocket] = ()
    narrow: Bounds = field(default_factory=dict[str, tuple[float, float]])


def ranked_factors(space: PerturbationSpace, rows: Sequence[tuple[Perturbation, float]]) -> list[str]:
    """All factors, those that explain most of the severity first.

    Measured by the share of its variance that a parabola in the factor explains: failures at one end or at both.

    Args:
        space: Of the factors.
        rows: Pairs of θ and its severity.
    """
    if len(rows) < 4:
        return list(space.names)
    severity = np.array([value for _, value in rows])
    unit = np.array([space.to_unit(theta) for theta, _ in rows])
    shares = [_explained(unit[:, i], severity) for i in range(unit.shape[1])]
    order = sorted(range(len(shares)), key=lambda i: (-round(shares[i], 6), i))
    return [space.names[i] for i in order]


def planes(
    space: PerturbationSpace, ranked: Sequence[str], pockets: Sequence[Pocket], narrow: Bounds | None = None
) -> list[Plane]:
    """Which two factors each map shows: those of the pockets, then those that matter most."""
    wanted: list[tuple[str, str]] = []
    for pocket in pockets:
        names = sorted(pocket.bounds, key=ranked.index)
        partners = [name for name in ranked if name not in names]
        wanted += [(names[0], other) for other in names[1:2] or partners[:1]]
    wanted += list(combinations(ranked[:3], 2))
    unique = list(dict.fromkeys(tuple(sorted(pair, key=space.names.index)) for pair in wanted))
    return [
        Plane(space=space, x=space[x], y=space[y], pockets=pockets, narrow=narrow or {}) for x, y in unique[:MAX_MAPS]
    ]


def search_map(plane: Plane, rows: Sequence[SearchRow]) -> Html:
    """Where a search rolled out, and what happened there."""
    failures = _points([row.theta for row in rows if not row.success], plane)
    successes = _points([row.theta for row in rows if row.success], plane)
    marks = [tag("path", class_="success", d=dots(successes)), tag("path", class_="failure", d=crosses(failures))]
    over = f"{plane.x.name} and {plane.y.name}"
    return _map(plane, marks, f"Search over {over}: {len(failures)} failures, {len(successes)} successes.")


def data_map(plane: Plane, thetas: Sequence[Perturbation], colour_class: str, inside: int) -> Html:
    """Where new demonstrations went, `inside` of them into a pocket."""
    mark = tag("path", class_="demonstration", d=dots(_points(thetas, plane)))
    said = f"{len(thetas)} new demonstrations over {plane.x.name} and {plane.y.name}, {inside} in a pocket."
    return _map(plane, [tag("g", mark, class_=colour_class)], said)


def _map(plane: Plane, marks: Sequence[Html], said: str) -> Html:
    x, y = plane.x, plane.y
    frame = Frame(Scale(x.low, x.high, 52, 292), Scale(y.low, y.high, 226, 8), axis_title(x), axis_title(y))
    axes = frame.draw(ticks(x.low, x.high), ticks(y.low, y.high))
    shapes = [_pocket(pocket, frame, plane) for pocket in plane.pockets if {x.name, y.name} & set(pocket.bounds)]
    return picture(310, 262, said, axes, _narrow(plane, frame), *marks, *shapes)


def _points(thetas: Sequence[Perturbation], plane: Plane) -> list[tuple[float, float]]:
    x, y = plane.x, plane.y
    across, upright = Scale(x.low, x.high, 52, 292), Scale(y.low, y.high, 226, 8)
    values = [(theta.get(x.name, x.nominal), theta.get(y.name, y.nominal)) for theta in thetas]
    return [(across.clipped(a), upright.clipped(b)) for a, b in values]


def _pocket(pocket: Pocket, frame: Frame, plane: Plane) -> Html:
    """The pocket's box; dashed where other factors bound it too, and this is only its shadow."""
    x, y = plane.x, plane.y
    shadow = " shadow" if set(pocket.bounds) - {x.name, y.name} else ""
    hint = tag("title", f"{pocket.name}: {pocket.describe(plane.space)}")
    box = _box(frame, pocket.bounds.get(x.name, (x.low, x.high)), pocket.bounds.get(y.name, (y.low, y.high)))
    return tag("rect", hint, class_=f"pocket{shadow}", **box)


def _narrow(plane: Plane, frame: Frame) -> Html:
    """What the first demonstrations covered, where they were kept to part of either range."""
    x, y, narrow = plane.x, plane.y, plane.narrow
    if not {x.name, y.name} & set(narrow):
        return Html("")
    box = _box(frame, narrow.get(x.name, (x.low, x.high)), narrow.get(y.name, (y.low, y.high)))
    return tag("rect", class_="narrow", **box)


def _box(frame: Frame, xs: tuple[float, float], ys: tuple[float, float]) -> dict[str, float]:
    left, right = (frame.x.clipped(value) for value in xs)
    bottom, top = (frame.y.clipped(value) for value in ys)
    return {"x": left, "y": top, "width": max(right - left, 1.0), "height": max(bottom - top, 1.0)}


def _explained(u: NDArray[np.float64], severity: NDArray[np.float64]) -> float:
    """R² of a parabola."""
    total = float(np.sum((severity - severity.mean()) ** 2))
    if total == 0:
        return 0.0
    design = np.stack([np.ones_like(u), u, u * u], axis=1)
    coefficients = np.linalg.lstsq(design, severity, rcond=None)[0]
    return 1 - float(np.sum((severity - design @ coefficients) ** 2)) / total
