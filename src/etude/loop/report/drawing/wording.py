"""How the report writes names, numbers and units."""

from collections.abc import Iterable

from etude.core import Factor, PerturbationSpace, Rate
from etude.loop.arms import MORE_STEPS

_ARMS = {MORE_STEPS: "Same data, more steps"}
_COLOURS = {"baseline": 0, MORE_STEPS: 1, "uniform": 2, "reseeded": 6}
_TESTS = {"exam": "Exam", "uniform_test": "Uniform test", "nominal": "Nominal"}


def arm_title(name: str) -> str:
    """An arm as a row's heading."""
    return _ARMS.get(name, sentence_case(name))


def arm_colour(arms: Iterable[str], arm: str) -> str:
    """Class that gives an arm its colour, the same in every picture of a run or a study.

    Args:
        arms: All that are shown there, in their order.
        arm: One of them.
    """
    names = [*arms, arm]
    others = [name for name in names if name not in _COLOURS]
    return f"arm{_COLOURS[names[-1]] if names[-1] in _COLOURS else 3 + others.index(names[-1]) % 3}"


def test_title(name: str) -> str:
    """A test as a column's heading."""
    return _TESTS.get(name, sentence_case(name))


def sentence_case(name: str) -> str:
    """An identifier as words: "knocked_over" -> "Knocked over"."""
    words = name.replace("_", " ").replace("-", " ").strip()
    return words[:1].upper() + words[1:]


def factor_title(factor: Factor) -> str:
    """A factor in words, without its unit: "front_camera.yaw_rad" -> "front camera yaw"."""
    name = factor.name.removesuffix(f"_{factor.unit}")
    return name.replace("_", " ").replace(".", " ")


def axis_title(factor: Factor) -> str:
    """A factor in words with its unit in brackets."""
    return factor_title(factor) if factor.unit == "1" else f"{factor_title(factor)} [{factor.unit}]"


def named_axis(name: str, space: PerturbationSpace | None) -> str:
    """A factor by its name: as its `axis_title` where the space knows it."""
    return axis_title(space[name]) if space is not None and name in space.names else name


def unit_suffix(factor: Factor) -> str:
    """The unit after a number, with its space; ratios have none."""
    return "" if factor.unit == "1" else f"\u00a0{factor.unit}"


def value_text(value: float) -> str:
    """A value to three digits with a real minus sign."""
    return f"{value:.3g}".replace("-", "−")


def range_text(low: float, high: float, factor: Factor) -> str:
    """A range in physical units: "0.11 to 0.2 rad"."""
    return f"{value_text(low)} to {value_text(high)}{unit_suffix(factor)}"


def percent(share: float, digits: int = 0) -> str:
    """A share as a percentage."""
    return f"{share * 100:.{digits}f}\u00a0%"


def count_text(rate: Rate) -> str:
    """k/n, or that there was nothing to count."""
    return f"{rate.k}/{rate.n}" if rate.n else "no cases"


def interval_text(rate: Rate) -> str:
    """The interval in per cent: "66–84 %"."""
    return f"{rate.low * 100:.0f}–{rate.high * 100:.0f}\u00a0%" if rate.n else ""


def signed(value: float, digits: int = 0) -> str:
    """A number with its sign: "+5", "−5", "±0"."""
    text = f"{abs(value):.{digits}f}"
    return "±" + text if float(text) == 0 else ("+" if value > 0 else "−") + text


def difference_text(difference: tuple[float, float, float]) -> str:
    """A difference of two shares in points, with its interval: "+43 points (+31 to +52)"."""
    value, low, high = difference
    if value != value:
        return "not measured"
    points = f"{signed(value * 100)} points"
    return f"{points} ({signed(low * 100)} to {signed(high * 100)})" if low == low and high == high else points


def evidence_text(e_value: float) -> str:
    """An e-value to a sensible number of digits."""
    if e_value >= 10_000:
        return "E > 10\u202f000"
    return f"E = {e_value:.2g}" if e_value < 10 else f"E = {e_value:.0f}"


def duration_text(seconds: float) -> str:
    """Wall-clock time for people."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"
