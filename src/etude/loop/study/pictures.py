"""A study's pictures: success against cost, and every replicate as a dot beside the mean and its interval."""

from etude.core.statistics import AcrossReplicates
from etude.loop.arms import BASELINE
from etude.loop.report.drawing.layout import figure
from etude.loop.report.drawing.lines import Curve, curves
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.svg import PERCENT, Scale, path, picture
from etude.loop.report.drawing.wording import arm_colour, arm_title, percent, test_title
from etude.loop.study.analysis import Analysis
from etude.loop.study.curves import mean_curve
from etude.loop.study.plan import CONTROLS

_TITLES = {
    "demonstrations": "new demonstrations",
    "attempts": "attempts at demonstrations",
    "steps": "simulator steps, discovery included",
}


def success_curves(analysis: Analysis, test: str, cost: str) -> Html | None:
    """Mean success on a test against what it cost, with intervals over replicates."""
    names = [arm.name for arm in analysis.arms]
    lines = [curve(analysis, name, test, cost, arm_colour(names, name)) for name in names if name != BASELINE]
    shown = [line for line in lines if line.points[-1][0] > 0]
    levels = {name: analysis.arm(name).success[test].mean for name in (BASELINE, *CONTROLS)}
    drawn = curves(
        shown,
        _TITLES[cost],
        "success [%]",
        y_span=(0.0, 1.0),
        y_ticks=PERCENT,
        marks=[(level, "") for level in levels.values()],
    )
    if drawn is None:
        return None
    heights = {tuple(y for _, y in line.points) for line in shown}
    alike = "; all lines are equal, one hides the others" if len(shown) > 1 and len(heights) == 1 else ""
    dashed = ", ".join(f"{arm_title(name).lower()} {percent(level)}" for name, level in levels.items())
    return figure(f"{test_title(test)} against {_TITLES[cost]}; dashed: {dashed}{alike}", drawn)


def curve(analysis: Analysis, arm: str, test: str, cost: str, colour_class: str) -> Curve:
    """One arm's."""
    found = mean_curve(analysis.confirmed, arm, cost, test, 1 - analysis.plan.alpha)
    several = len(analysis.confirmed) > 1
    return Curve(
        arm_title(arm),
        colour_class,
        [(point.cost, point.success) for point in found],
        ranges=[(point.low, point.high) for point in found] if several else (),
    )


def strip(found: AcrossReplicates, colour_class: str, span: tuple[float, float] = (0.0, 1.0)) -> Html:
    """Every replicate as a small dot, below them the mean with its interval.

    Args:
        found: What to draw, shares.
        colour_class: Class of its colour.
        span: Ends of the axis; 0 is marked where it lies inside.
    """
    x = Scale(*span, 5, 195)
    parts = [tag("path", class_="rail", d=path([(x(span[0]), 15), (x(span[1]), 15)]))]
    if span[0] < 0 < span[1]:
        parts.append(tag("path", class_="reference", d=path([(x(0), 1), (x(0), 21)])))
    parts += [tag("circle", class_="dot small", cx=x.clipped(value), cy=5, r=2.4) for value in found.values]
    if found.interval is not None:
        low, high = (x.clipped(end) for end in found.interval)
        parts.append(tag("path", class_="whisker", d=path([(low, 15), (high, 15)])))
    if found.mean == found.mean:
        parts.append(tag("circle", class_="dot", cx=x.clipped(found.mean), cy=15, r=4.5))
    values = ", ".join(f"{100 * value:.0f}" for value in found.values)
    return picture(
        200, 22, f"Per replicate {values}; mean {100 * found.mean:.0f}.", tag("g", *parts, class_=colour_class)
    )
