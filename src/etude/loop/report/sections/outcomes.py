"""What outcomes say without their cases: rates, sub-tasks, ways to fail, and how values are spread."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from etude.core import Outcome, Rate, cvar
from etude.loop.report.drawing.charts import whisker
from etude.loop.report.drawing.histogram import histogram
from etude.loop.report.drawing.layout import grid, header, rate_text, row, scrolling, section
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.wording import sentence_case, value_text
from etude.loop.report.sections.modes import failure_mode, failure_modes, mode_bar, mode_key

_TAILS = (0.1, 0.25)
_ENDS = (("Successes", "ink-good", True), ("Failures", "ink-bad", False))


def success_section(outcomes: Sequence[Outcome], order: Sequence[str] = ()) -> Html:
    """Success, every sub-task (those of `order` in it), and the tail, each with its interval."""
    if not outcomes:
        return Html("")
    found = dict.fromkeys(name for outcome in outcomes for name in outcome.subtasks)
    names = [name for name in dict.fromkeys([*order, *found]) if name in found]
    reached = {name: Rate.of([outcome.subtasks.get(name, False) for outcome in outcomes]) for name in names}
    rows = [rate_row("Success", Rate.of([outcome.success for outcome in outcomes]), "ink-good")]
    rows += [rate_row(f"Reached: {name.replace('_', ' ')}", reached[name], "ink-plain") for name in names]
    table = tag("table", header("", "Cases", "95 % interval"), tag("tbody", *rows), class_="rates")
    return section(
        "success", "Success", "Of all cases, with the 95 % Wilson interval.", scrolling(table), _tail(outcomes)
    )


def labels_section(labels: Mapping[str, Rate]) -> Html:
    """Success in each part of a suite, the worst first."""
    if not labels:
        return Html("")
    worst = sorted(labels, key=lambda label: (labels[label].value, label))
    rows = [rate_row(label, labels[label], "ink-good") for label in worst]
    table = tag("table", header("", "Succeed", "95 % interval"), tag("tbody", *rows), class_="rates")
    return section("labels", "Part by part", "Success in the suite's parts, the worst first.", scrolling(table))


def modes_section(outcomes: Sequence[Outcome]) -> Html:
    """How episodes ended: one bar, then each way to fail with its interval."""
    modes = failure_modes(outcomes)
    if not modes:
        return Html("")
    found = [failure_mode(outcome) for outcome in outcomes]
    rows = [rate_row(sentence_case(mode), Rate(found.count(mode), len(found)), "ink-bad") for mode in modes]
    table = tag("table", header("Ended by", "Of all cases", "95 % interval"), tag("tbody", *rows), class_="rates")
    bar = tag("div", mode_bar("All cases", outcomes, modes), class_="bars")
    note = "Cases by how they ended; numbers are cases."
    return section("modes", "Failure modes", note, mode_key(modes), bar, scrolling(table))


def distributions_section(outcomes: Sequence[Outcome]) -> Html:
    """Progress, length, smoothness and return, successes and failures stacked."""
    titles: tuple[tuple[str, str, tuple[float, float] | None], ...] = (
        ("progress", "progress", (0.0, 1.0)),
        ("length", "length [control steps]", None),
        ("smoothness", "smoothness [spectral arc length]", None),
        ("total_reward", "return", None),
    )
    pictures: list[Html] = []
    for name, title, span in titles:
        values = [
            (word, colour, [getattr(o, name) for o in outcomes if o.success is success])
            for word, colour, success in _ENDS
        ]
        drawn = histogram(title, values, span=span, whole=name == "length")
        if drawn is not None:
            pictures.append(tag("figure", drawn))
    if not pictures:
        return Html("")
    keys = [tag("span", word, class_=f"key {ink}") for word, ink, _ in _ENDS]
    note = (
        "Progress is 1 exactly for successes and counts finished sub-tasks, with the distance inside one. Smoothness "
        "is at most 0; nearer 0 is smoother."
    )
    parts = [tag("p", *keys, class_="legend"), grid(pictures)]
    return section("spread", "Progress, length, smoothness", note, *parts)


def latency_section(timing: Mapping[str, Any] | None) -> Html:
    """How long the network took to answer, where it was timed."""
    latency = (timing or {}).get("latency", timing) or {}
    if "median_s" not in latency:
        return Html("")
    facts = (
        ("Median", f"{1000 * latency['median_s']:.1f} ms a call"),
        ("95th percentile", f"{1000 * latency['p95_s']:.1f} ms a call"),
        ("Observations a call", f"{latency['observations_per_call']:.1f}"),
        ("Calls", f"{latency['calls']}"),
    )
    table = tag("table", tag("tbody", *(row(title, text) for title, text in facts)), class_="rates")
    note = "How long the policy's network took. Times belong to the machine: they differ between equal evaluations."
    return section("latency", "Latency", note, table)


def rate_row(title: str, rate: Rate, colour_class: str) -> Html:
    """A row of a table of rates: name, k/n with its interval, whisker."""
    return row(title, rate_text(rate), whisker(rate, colour_class) if rate.n else "")


def _tail(outcomes: Sequence[Outcome]) -> Html:
    progress = np.array([outcome.progress for outcome in outcomes])
    told = [f"{value_text(cvar(progress, share))} in the worst {share * 100:.0f}\u00a0%" for share in _TAILS]
    words = f"Mean progress: {value_text(float(progress.mean()))}; {', '.join(told)} of the cases."
    return tag("p", words, class_="note")
