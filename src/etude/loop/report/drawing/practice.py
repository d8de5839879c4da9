"""What a round aimed at: where distributions of mutations moved, which sources they are made from, who was chosen."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.acquisition.distributions import MutationDistributions
from etude.core import Factor
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.svg import Frame, Scale, path, picture, ticks
from etude.loop.report.drawing.wording import axis_title, percent

type Values = Sequence[float]

_GRID = np.linspace(0.0, 1.0, 101, dtype=np.float64)
BEFORE = "arm0"
"""Class of the colour of what was before."""


def moved_factors(
    before: MutationDistributions, after: MutationDistributions, most: int = 4
) -> list[tuple[str, float]]:
    """The factors that moved most, with the share of draws that moved (total variation of what is drawn)."""
    moved = [
        (factor, 0.5 * float(np.abs(after.density(factor, _GRID) - before.density(factor, _GRID)).mean()))
        for factor in after.factors
    ]
    return sorted(moved, key=lambda pair: -pair[1])[:most]


def moved_factor(
    factor: Factor,
    before: MutationDistributions,
    after: MutationDistributions,
    made: Values,
    chosen: Values,
    colour_class: str,
) -> Html:
    """One factor: how often it is drawn where, before the round and after it, over the candidates and the chosen.

    Args:
        factor: Along the horizontal axis.
        before: What candidates were drawn from.
        after: What the next are drawn from.
        made: The candidates' values, physical units.
        chosen: Those of the chosen.
        colour_class: Class of the arm's colour.
    """
    densities = {"before": before.density(factor.name, _GRID), "after": after.density(factor.name, _GRID)}
    x = Scale(factor.low, factor.high, 34, 284)
    frame = Frame(x, Scale(0.0, 1.1 * max(float(d.max()) for d in densities.values()), 106, 8), "", "drawn")
    body = [frame.draw([], [])]
    for when, colour, style in (("before", BEFORE, "curve curve1"), ("after", colour_class, "curve curve0")):
        points = zip(_values(factor), densities[when].tolist(), strict=True)
        line = path([(x(value), frame.y(density)) for value, density in points])
        body.append(tag("g", tag("path", tag("title", when), class_=style, d=line), class_=colour))
    body += [_rug("candidates", made, x, 116, BEFORE), _rug("chosen", chosen, x, 127, colour_class)]
    for value, text in ticks(factor.low, factor.high):
        body.append(tag("text", text, class_="tick", x=x(value), y=146, text_anchor="middle"))
    body.append(tag("text", axis_title(factor), class_="axis", x=159, y=161, text_anchor="middle"))
    told = f"{axis_title(factor)}: {len(chosen)} chosen of {len(made)} candidates, and how often it is drawn where."
    return picture(300, 166, told, *body)


def source_bars(before: MutationDistributions, after: MutationDistributions, colour_class: str) -> Html:
    """P(d) of every source demonstration after the round, with a mark at what it was before."""
    shares, marks = after.probabilities.tolist(), before.probabilities.tolist()
    count, high = len(shares), 1.1 * max(*shares, *marks)
    x, y = Scale(-0.5, count - 0.5, 40, 284), Scale(0.0, high, 128, 8)
    frame = Frame(x, y, "source demonstration", "P(d) [%]")
    every = max(1, -(-count // 10))
    names = [(float(i), str(after.sources[i])) for i in range(0, count, every)]
    levels = [(value / 100, text) for value, text in ticks(0.0, 100 * high)]
    body = [frame.draw(names, levels)]
    half = 0.4 * (x(1) - x(0))
    bars: list[Html] = []
    for index, (share, mark) in enumerate(zip(shares, marks, strict=True)):
        hint = tag(
            "title", f"demonstration {after.sources[index]}: {percent(mark, 1)} before, {percent(share, 1)} after"
        )
        height = y(0) - y(share)
        bars.append(tag("rect", hint, class_="filled", x=x(index) - half, y=y(share), width=2 * half, height=height))
        bars.append(tag("path", class_="reference", d=path([(x(index) - half, y(mark)), (x(index) + half, y(mark))])))
    told = f"P(d) of {count} source demonstrations, between {percent(min(shares), 1)} and {percent(max(shares), 1)}."
    return picture(300, 162, told, *body, tag("g", *bars, class_=colour_class))


def _rug(title: str, values: Values, x: Scale, at: float, colour_class: str) -> Html:
    """A tick for each value."""
    marks = "".join(path([(x.clipped(value), at - 4), (x.clipped(value), at + 4)]) for value in values)
    return tag("g", tag("path", tag("title", f"{len(values)} {title}"), class_="curve", d=marks), class_=colour_class)


def _values(factor: Factor) -> list[float]:
    grid: Float64[NDArray[np.float64], " M"] = factor.low + _GRID * (factor.high - factor.low)
    return grid.tolist()
