"""Pocket maps: the search, the pockets and everybody's new demonstrations over the factors that matter."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from etude.core import Factor, Perturbation, Pocket
from etude.loop.report.charts import colour
from etude.loop.report.markup import Html, tag
from etude.loop.report.results import RunResults
from etude.loop.report.svg import Frame, Scale, crosses, dots, picture, ticks
from etude.loop.report.wording import axis_title

MAX_MAPS = 3


def factors_that_matter(run: RunResults) -> list[str]:
    """All factors, those that explain most of the severity first.

    Measured by the share of its variance that a parabola in the factor explains: failures at one end or at both.
    """
    rows = [(row.theta, row.severity) for row in run.archive]
    if not rows and "baseline" in run.arms:
        rows = [(outcome.case.theta, 1 - outcome.progress) for outcome in run.arms["baseline"].uniform_test]
    if len(rows) < 4:
        return list(run.space.names)
    severity = np.array([value for _, value in rows])
    unit = np.array([run.space.to_unit(theta) for theta, _ in rows])
    shares = [_explained(unit[:, i], severity) for i in range(unit.shape[1])]
    order = sorted(range(len(shares)), key=lambda i: (-round(shares[i], 6), i))
    return [run.space.names[i] for i in order]


def factor_pairs(run: RunResults) -> list[tuple[Factor, Factor]]:
    """Which two factors each map shows: those of the pockets, then those that matter most."""
    ranked = factors_that_matter(run)
    wanted: list[tuple[str, str]] = []
    for pocket in run.pockets:
        names = sorted(pocket.bounds, key=ranked.index)
        partners = [name for name in ranked if name not in names]
        wanted += [(names[0], other) for other in names[1:2] or partners[:1]]
    wanted += list(combinations(ranked[:3], 2))
    unique = dict.fromkeys(tuple(sorted(pair, key=run.space.names.index)) for pair in wanted)
    return [(run.space[x], run.space[y]) for x, y in list(unique)[:MAX_MAPS]]


def search_map(run: RunResults, x: Factor, y: Factor) -> Html:
    """Where the search rolled out, and what happened there."""
    frame = _frame(x, y)
    failures = _points([row.theta for row in run.archive if not row.success], frame, x, y)
    successes = _points([row.theta for row in run.archive if row.success], frame, x, y)
    marks = [tag("path", class_="success", d=dots(successes)), tag("path", class_="failure", d=crosses(failures))]
    said = f"Search over {x.name} and {y.name}: {len(failures)} failures, {len(successes)} successes."
    return _map(run, frame, x, y, marks, said)


def data_map(run: RunResults, arm: str, x: Factor, y: Factor) -> Html:
    """Where an arm's new demonstrations went."""
    frame = _frame(x, y)
    thetas = run.arms[arm].new_data
    mark = tag("path", class_="demonstration", d=dots(_points(thetas, frame, x, y)))
    said = f"{len(thetas)} new demonstrations over {x.name} and {y.name}, {inside_pockets(run, arm)} in a pocket."
    return _map(run, frame, x, y, [tag("g", mark, class_=colour(run, arm))], said)


def inside_pockets(run: RunResults, arm: str) -> int:
    """How many of an arm's new demonstrations lie in a pocket, all its factors counted."""
    return sum(any(pocket.contains(theta, run.space) for pocket in run.pockets) for theta in run.arms[arm].new_data)


def _map(run: RunResults, frame: Frame, x: Factor, y: Factor, marks: Sequence[Html], said: str) -> Html:
    axes = frame.draw(ticks(x.low, x.high), ticks(y.low, y.high))
    shapes = [_pocket(pocket, frame, x, y) for pocket in run.pockets if {x.name, y.name} & set(pocket.bounds)]
    return picture(310, 262, said, axes, _narrow(run, frame, x, y), *marks, *shapes)


def _frame(x: Factor, y: Factor) -> Frame:
    return Frame(Scale(x.low, x.high, 52, 292), Scale(y.low, y.high, 226, 8), axis_title(x), axis_title(y))


def _points(thetas: Sequence[Perturbation], frame: Frame, x: Factor, y: Factor) -> list[tuple[float, float]]:
    values = [(theta.get(x.name, x.nominal), theta.get(y.name, y.nominal)) for theta in thetas]
    return [(frame.x.clipped(a), frame.y.clipped(b)) for a, b in values]


def _pocket(pocket: Pocket, frame: Frame, x: Factor, y: Factor) -> Html:
    """The pocket's box; dashed where other factors bound it too, and this is only its shadow."""
    shadow = " shadow" if set(pocket.bounds) - {x.name, y.name} else ""
    hint = tag("title", f"{pocket.name}: {pocket.describe()}")
    box = _box(frame, pocket.bounds.get(x.name, (x.low, x.high)), pocket.bounds.get(y.name, (y.low, y.high)))
    return tag("rect", hint, class_=f"pocket{shadow}", **box)


def _narrow(run: RunResults, frame: Frame, x: Factor, y: Factor) -> Html:
    """What the first demonstrations covered, where they were kept to part of either range."""
    if not {x.name, y.name} & set(run.narrow):
        return Html("")
    box = _box(frame, run.narrow.get(x.name, (x.low, x.high)), run.narrow.get(y.name, (y.low, y.high)))
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
