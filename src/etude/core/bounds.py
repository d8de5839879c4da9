"""Boxes in few factors, where a policy fails or a rule holds, and how they are put in words."""

from collections.abc import Mapping
from math import floor, log10

from etude.core.space import Factor, Perturbation, PerturbationSpace
from etude.core.statistics import Rate

type Bounds = Mapping[str, tuple[float, float]]
"""Factor -> (low, high), physical units; other factors are free."""

_NO_EDGE = 0.005  # an edge nearer to the end of its factor's range, as a share of it, bounds nothing
_STEPS = 50  # a number is written with the digits that tell a step of this part of its factor's range


def holds(bounds: Bounds, theta: Perturbation, space: PerturbationSpace) -> bool:
    """Whether θ lies in a box; unset factors stand at their nominal value."""
    return all(low <= theta.get(name, space[name].nominal) <= high for name, (low, high) in bounds.items())


def describe_bounds(bounds: Bounds, space: PerturbationSpace) -> str:
    """A box in words: "front_camera.yaw_rad in [0.11, 0.2] and cube_red.y_m < −0.05"; "everywhere" without any edge."""
    said = [_interval(space[name], low, high) for name, (low, high) in bounds.items()]
    return " and ".join(words for words in said if words) or "everywhere"


def describe_failures(inside: Rate, outside: Rate) -> str:
    """How often a policy fails in a box: "92 % fail, n = 40 (80–97 %); 11 % outside"."""
    if not inside.n:
        return "not measured"
    said = f"{inside.value:.0%} fail, n = {inside.n} ({inside.low * 100:.0f}–{inside.high:.0%})"
    return (f"{said}; {outside.value:.0%} outside" if outside.n else said).replace("%", "\u00a0%")


def _interval(factor: Factor, low: float, high: float) -> str:
    """One factor of a box; an edge at the end of the factor's range is left out, "" without an edge."""
    margin = _NO_EDGE * (factor.high - factor.low)
    below, above = low - factor.low > margin, factor.high - high > margin
    if not below and not above:
        return ""
    decimals = max(0, -floor(log10((factor.high - factor.low) / _STEPS)))
    while decimals < 12 and low != high and f"{low:.{decimals}f}" == f"{high:.{decimals}f}":
        decimals += 1
    first, last = _number(low, decimals), _number(high, decimals)
    if below and above:
        return f"{factor.name} in [{first}, {last}]"
    return f"{factor.name} > {first}" if below else f"{factor.name} < {last}"


def _number(value: float, decimals: int) -> str:
    """Without zeros at the end, with a real minus sign."""
    text = f"{value:.{decimals}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text == "-0" else text.replace("-", "−")
