"""The picture of one training: its losses, and its success in rollouts where there were any, as a file of its own."""

from collections.abc import Mapping, Sequence
from math import ceil, floor, log10
from typing import Any

from etude.core import Rate
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.svg import Frame, Scale, path, picture, ticks

_STYLE = """
text { font: 12px system-ui, sans-serif; fill: #57606a; }
.axis { fill: #24292f; } .plot { fill: none; stroke: #d0d7de; } .grid { stroke: #eaeef2; }
.curve { fill: none; stroke-width: 1.6; } .training { stroke: #a9b4c2; } .validation { stroke: #0969da; }
.success { stroke: #1a7f37; fill: none; stroke-width: 1.6; } .dot { fill: #1a7f37; }
.key.training { fill: #8894a3; stroke: none; } .key.validation { fill: #0969da; stroke: none; }
@media (prefers-color-scheme: dark) {
  svg { background: #0d1117; } text { fill: #9198a1; } .axis { fill: #e6edf3; } .plot { stroke: #3d444d; }
  .grid { stroke: #21262d; } .validation { stroke: #4493f8; } .key.validation { fill: #4493f8; }
  .success { stroke: #3fb950; } .dot { fill: #3fb950; }
}
"""
_LEFT, _RIGHT, _HEIGHT = 56, 530, 150


def learning_picture(curves: Mapping[str, Sequence[Sequence[float]]]) -> str:
    """Draw what `curves.json` holds, as an SVG file.

    Args:
        curves: "training" and "validation": [steps done, loss]; "success", where the policy was rolled out:
            [steps done, successes, episodes, ends of the interval].
    """
    last = max((point[0] for points in curves.values() for point in points), default=1)
    x = Scale(0, max(last, 1), _LEFT, _RIGHT)
    panels = [_losses(curves, x, top=12)]
    success = curves.get("success", ())
    if success:
        panels.append(_success(success, x, top=_HEIGHT + 62))
    height = 12 + len(panels) * (_HEIGHT + 50)
    drawn = picture(560, height, _in_words(curves), tag("style", Html(_STYLE)), *panels)
    return drawn.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1) + "\n"


def _losses(curves: Mapping[str, Sequence[Sequence[float]]], x: Scale, top: float) -> Html:
    """Losses on a logarithmic axis; what is not positive is left out."""
    lines = {
        name: [(step, log10(loss)) for step, loss in curves.get(name, ()) if loss > 0]
        for name in ("training", "validation")
    }
    values = [value for points in lines.values() for _, value in points] or [0.0]
    y = Scale(min(values) - 0.05, max(values) + 0.05, top + _HEIGHT, top)
    parts = [Frame(x, y, "steps", "loss").draw(ticks(0, x.high), _decades(y.low, y.high))]
    for index, (name, points) in enumerate(lines.items()):
        parts.append(tag("path", class_=f"curve {name}", d=path([(x(step), y(value)) for step, value in points])))
        at = top + 16 + 15 * index
        parts.append(tag("text", name, class_=f"key {name}", x=_RIGHT - 8, y=at, text_anchor="end"))
    return join(parts)


def _decades(low: float, high: float) -> list[tuple[float, str]]:
    """1, 2 and 5 times the powers of ten whose logarithms lie in [low, high]."""
    values = [m * 10.0**power for power in range(floor(low), ceil(high) + 1) for m in (1, 2, 5)]
    return [(log10(value), f"{value:g}") for value in values if low <= log10(value) <= high]


def _success(points: Sequence[Sequence[float]], x: Scale, top: float) -> Html:
    """Success in per cent with its intervals."""
    y = Scale(0.0, 1.0, top + _HEIGHT, top)
    parts: list[Html] = [
        Frame(x, y, "steps", "success [%]").draw(ticks(0, x.high), [(0, "0"), (0.5, "50"), (1, "100")])
    ]
    rates = [(step, k / n, low, high) for step, k, n, low, high in points]
    parts += [tag("path", class_="success", d=path([(x(s), y(low)), (x(s), y(high))])) for s, _, low, high in rates]
    parts.append(tag("path", class_="success", d=path([(x(step), y(value)) for step, value, _, _ in rates])))
    parts += [tag("circle", class_="dot", cx=x(step), cy=y(value), r=3) for step, value, _, _ in rates]
    return join(parts)


def _in_words(curves: Mapping[str, Sequence[Sequence[Any]]]) -> str:
    """What a reader who cannot see the picture gets."""
    told = [
        f"{name} loss {points[-1][1]:.3g} at the end"
        for name in ("training", "validation")
        if (points := curves.get(name))
    ]
    if success := curves.get("success"):
        told.append(f"success {Rate(success[-1][1], success[-1][2])} at the end")
    return f"Curves of a training: {', '.join(told)}."
