"""Several replicates of one run: what their chains agree on. The unit is the replicate, not the case."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from etude.core.files import write_bytes, write_json
from etude.core.statistics import paired_t
from etude.loop.report.drawing.document import document
from etude.loop.report.drawing.layout import header, scrolling, section
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.wording import arm_title, percent, signed, test_title
from etude.loop.report.results import TESTS, Plain, RunResults


def write_overview(runs: Sequence[RunResults], pages: Sequence[str], out: Path) -> Path:
    """Write index.html and summary.json over all replicates.

    Args:
        runs: Results of every replicate, of equal arms.
        pages: Link to the report of each, relative to `out`.
        out: The folder.
    """
    write_json(out / "summary.json", across(runs))
    title = f"{runs[0].run}: {len(runs)} replicates"
    body = (tag("header", tag("h1", title)), tag("main", *_body(runs, pages)))
    write_bytes(out / "index.html", document(title, *body).encode())
    return out / "index.html"


def across(runs: Sequence[RunResults]) -> dict[str, Plain]:
    """Rates per replicate, and differences between arms as means with a paired t interval over replicates."""
    return {
        "task": runs[0].task,
        "replicates": len(runs),
        "arms": {
            name: {test: [run.arms[name].rate(test).value for run in runs] for test in TESTS} for name in runs[0].arms
        },
        "differences": {f"{arm}_vs_{other}": of_test for (arm, other), of_test in _differences(runs).items()},
        "seeds": [dict(run.seeds) for run in runs],
    }


def difference(runs: Sequence[RunResults], arm: str, other: str, test: str) -> dict[str, Plain]:
    """Mean difference in success between two arms over replicates, with its 95 % interval (paired t).

    With fewer than two replicates there is no interval: low and high are None.
    """
    values = np.array([run.arms[arm].rate(test).value - run.arms[other].rate(test).value for run in runs])
    low, high = paired_t(values) if len(values) > 1 else (None, None)
    return {"mean": float(values.mean()), "low": low, "high": high, "n": len(values)}


def _body(runs: Sequence[RunResults], pages: Sequence[str]) -> list[Html]:
    differences = [
        tag("tr", tag("th", _title(run_pair), scope="row"), *(tag("td", _text(of_test[test])) for test in TESTS))
        for run_pair, of_test in _differences(runs).items()
    ]
    rates = [
        tag(
            "tr",
            tag("th", tag("a", f"Replicate {index}", href=page), scope="row"),
            *(tag("td", ", ".join(percent(arm.rate(test).value) for arm in run.arms.values())) for test in TESTS),
        )
        for index, (run, page) in enumerate(zip(runs, pages, strict=True))
    ]
    titles = [test_title(test) for test in TESTS]
    arms = ", ".join(arm_title(name) for name in runs[0].arms)
    return [
        section(
            "differences",
            "What the replicates agree on",
            "Mean difference in success, in points, with its 95 % interval over replicates (paired t).",
            scrolling(tag("table", header("Pair", *titles), tag("tbody", *differences))),
        ),
        section(
            "replicates",
            "Every replicate",
            f"Success of each arm, in this order: {arms}. Each name leads to the replicate's own report.",
            scrolling(tag("table", header("Replicate", *titles), tag("tbody", *rates))),
        ),
    ]


def _differences(runs: Sequence[RunResults]) -> dict[tuple[str, str], dict[str, dict[str, Plain]]]:
    arms = list(runs[0].arms)
    return {
        (arm, other): {test: difference(runs, arm, other, test) for test in TESTS}
        for i, arm in enumerate(arms)
        for other in arms[:i]
    }


def _title(pair: tuple[str, str]) -> str:
    return f"{arm_title(pair[0])} less {arm_title(pair[1]).lower()}"


def _text(difference: Mapping[str, Plain]) -> str:
    values = [difference[key] for key in ("mean", "low", "high")]
    mean_points, *interval = [signed(100 * float(v), 1) if isinstance(v, float) else "" for v in values]
    if interval[0] and difference["low"] == difference["high"]:  # no spread: that is no certainty
        return f"{mean_points} (in each of {difference['n']} replicates)"
    return f"{mean_points} ({interval[0]} to {interval[1]})" if interval[0] else mean_points
