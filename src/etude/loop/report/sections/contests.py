"""Two policies on the same cases: who won how many, and what was known when."""

from collections.abc import Mapping
from math import log10
from typing import Any

from etude.loop.report.drawing.layout import figure, grid, section
from etude.loop.report.drawing.lines import Curve, curves
from etude.loop.report.drawing.markup import Html, join, tag

_LEAST, _MOST = -2.0, 4.0  # decades of evidence that are drawn
_ONE = ("Only A", "Both the same", "Only B")
_SEVERAL = ("A more often", "Equally often", "B more often")
_POWERS = [(-2.0, "0.01"), (-1.0, "0.1"), (0.0, "1"), (1.0, "10"), (2.0, "100"), (3.0, "10³"), (4.0, "10⁴")]


def stacked_cases(won: int, lost: int, ties: int, *, alone: bool = True) -> Html:
    """Cases that only A solved, that both did the same in, and that only B solved, as one bar.

    Args:
        won: Cases for A.
        lost: Cases for B.
        ties: The others.
        alone: Whether each is one policy; of several training seeds a case is won by solving it more often.
    """
    total = won + lost + ties
    wanted = tuple(zip(_ONE if alone else _SEVERAL, (won, ties, lost), ("won", "tied", "lost"), strict=True))
    parts: list[Html] = []
    for title, count, kind in wanted:
        if count:
            shown = str(count) if count / total >= 0.03 else ""
            hint = f"{title}: {count} of {total}"
            parts.append(tag("span", shown, class_=f"case-{kind}", style=f"flex-grow: {count}", title=hint))
    keys = [tag("span", f"{title} {count}", class_=f"swatch case-{kind}") for title, count, kind in wanted]
    said = "; ".join(f"{title} {count}" for title, count, _ in wanted)
    bar = tag("div", *parts, class_="bar", role="img", aria_label=said)
    return join([tag("p", *keys, class_="legend"), bar])


def looks_section(sequential: Mapping[str, Any] | None, alpha: float, margin: float | None) -> Html:
    """Evidence and difference against the cases so far, with the lines at which one may stop."""
    if not sequential or not sequential["looks"]:
        return Html("")
    looks = sequential["looks"]
    evidence = [(look["n"], _decades(look["e_value"])) for look in looks]
    stop = (log10(1 / alpha), f"may say so: E ≥ {1 / alpha:.0f}")
    upper = [
        Curve("evidence that they differ", "arm4", [(0, 0.0), *evidence]),
    ]
    first = curves(upper, "cases", "evidence E", y_span=(_LEAST, _MOST), y_ticks=_POWERS, marks=[stop])
    value = [(look["n"], (look["won"] - look["lost"]) / look["n"]) for look in looks if look["n"]]
    lines = [
        Curve("A less B", "arm3", value),
        Curve("lowest that is compatible", "arm0", [(look["n"], look["low"]) for look in looks]),
        Curve("highest", "arm0", [(look["n"], look["high"]) for look in looks]),
    ]
    marks = [(0.0, "")]
    marks += [(-margin, ""), (margin, f"within ±{100 * margin:g} points: as good as equal")] if margin else []
    percent = [(step / 2, f"{step * 50:+d}".replace("-", "−")) for step in range(-2, 3)]
    second = curves(lines, "cases", "difference [points]", y_span=(-1.0, 1.0), y_ticks=percent, marks=marks)
    figures = [figure(caption, drawn) for caption, drawn in (("Evidence", first), ("Difference", second)) if drawn]
    stopped, planned = sequential["stopped_at"], sequential["planned"]
    note = (
        f"Looked at after every few cases; stopped at {stopped} of {planned} cases a side. The grey lines hold at all "
        f"looks at once: together with the verdict they are wrong with at most {100 * alpha:g}\u00a0%."
    )
    return section("looks", "While the cases came in", note, grid(figures, broad=True))


def _decades(e_value: float) -> float:
    return min(max(log10(max(e_value, 1e-9)), _LEAST), _MOST)
