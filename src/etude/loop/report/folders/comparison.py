"""The page of a comparison: which of two policies is better, by how much, since when one could say, and where."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etude.core import PerturbationSpace
from etude.core.files import read_json
from etude.evaluation.comparison import p_text
from etude.loop.report.drawing.charts import difference_bar, whisker
from etude.loop.report.drawing.document import document, heading
from etude.loop.report.drawing.layout import folded, header, rate_text, row, scrolling, section
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import difference_text, evidence_text, named_axis, signed, value_text
from etude.loop.report.sections.clips import films, films_section
from etude.loop.report.sections.contests import looks_section, stacked_cases
from etude.loop.report.sections.source import Source, rate_of, repeat_section
from etude.loop.report.sections.verdicts import verdict_box

_CONTENTS = {
    "rates": "Both",
    "cases": "Case by case",
    "looks": "While the cases came in",
    "seeds": "Training seeds",
    "factors": "Along the factors",
    "videos": "Videos",
    "repeat": "How to repeat it",
}
_INKS = {"a": "arm3", "b": "arm2"}
_GROUPS = {"won": "Won: only A solved it", "lost": "Lost: only B solved it"}
_LISTED = 40
_SHOWN = 6


def page(folder: Path) -> str:
    """The whole document."""
    source, found = Source.of(folder), read_json(folder / "comparison.json")
    task = source.make_task()
    space = task.space if task else None
    files = ("comparison.json", *(path.name for path in sorted(folder.glob("*.parquet"))))
    sections = join(
        [
            _rates(found),
            _cases(found),
            looks_section(found["sequential"], found["alpha"], found["margin"]),
            _seeds(found["seeds"]),
            _factors(found["factors"], space),
            films_section(films(folder, _GROUPS), "Videos", "The same case: left A, right B."),
            repeat_section(source, files),
        ]
    )
    facts = f"{found['task']} · A: {_names(found, 'a')} · B: {_names(found, 'b')} · {_where(found)}"
    several = found["seeds"] is not None
    title = "A against B" if several else f"{_names(found, 'a')} against {_names(found, 'b')}"
    head = heading(title, facts, _CONTENTS, sections)
    return document(title, head, tag("main", _verdict(found), sections))


def _names(found: Mapping[str, Any], side: str) -> str:
    return ", ".join(found[side]["policies"])


def _where(found: Mapping[str, Any]) -> str:
    """How many cases, and which."""
    suite, drawn = found["suite"], found["drawn"]
    which = f" of suite {suite['name']}" if suite else f", {drawn['space']}, seed {drawn['seed']}" if drawn else ""
    return f"{found['cases']} case{'' if found['cases'] == 1 else 's'}{which}"


def _verdict(found: Mapping[str, Any]) -> Html:
    better, difference = found["verdict"]["better"], found["difference"]
    told = [f"Success of A less that of B: {_text(difference)}."]
    if found["p"] is not None:
        told.append(
            f"If both were equally good, cases would come out this unequal with {p_text(found['p'])} (McNemar)."
        )
    if found["e_value"] is not None:
        told.append(
            f"Evidence that they differ, valid whenever one looks: {evidence_text(found['e_value'])}. Of equally good "
            "policies at most one pair in twenty ever reaches 20."
        )
    if found["sequential"]:
        saved = found["sequential"]["saved"]
        told.append(f"Stopping early saved {saved} rollouts." if saved else "It could not be said earlier.")
    tone = {"a": "better", "b": "worse"}.get(better, "unclear")
    return verdict_box(tone, found["verdict"]["sentence"], *told)


def _rates(found: Mapping[str, Any]) -> Html:
    rows: list[Html] = []
    for side, ink in _INKS.items():
        for name, rate in zip(found[side]["policies"], map(rate_of, found[side]["success"]), strict=True):
            title = tag("span", f"{side.upper()}: {name}", class_=f"key {ink}")
            rows.append(row(title, rate_text(rate), whisker(rate, ink) if rate.n else ""))
    rows.append(row("A less B", _text(found["difference"]), difference_bar(_triple(found["difference"]), "ink-plain")))
    methods = {
        "score": "score interval of a paired difference",
        "anytime": "interval that holds at all looks at once",
        "seeds": "interval over training seeds and cases",
    }
    method = methods.get(found["difference"]["method"], found["difference"]["method"])
    level = f"{100 * (1 - found['alpha']):g}\u00a0%"
    note = f"Success with its 95\u00a0% Wilson interval, and the difference with its {level} {method}."
    table = tag("table", header("", "Cases", "Interval"), tag("tbody", *rows), class_="rates")
    return section("rates", "Both", note, scrolling(table))


def _cases(found: Mapping[str, Any]) -> Html:
    won, lost, ties = found["won"], found["lost"], found["ties"]
    alone = found["seeds"] is None
    bar = stacked_cases(len(won), len(lost), ties, alone=alone)
    lists = [
        folded(f"{title} ({len(cases)})", _listed(cases))
        for title, cases in (("Cases that A won", won), ("Cases that A lost", lost))
        if cases
    ]
    what = "that one solves and the other does not" if alone else "that more policies of one solve than of the other"
    note = f"The same (θ, seed) for both: only cases {what} can tell them apart."
    return section("cases", "Case by case", note, bar, *lists)


def _listed(cases: Sequence[Mapping[str, Any]]) -> Html:
    lines: list[Html] = []
    for case in cases[:_LISTED]:
        theta = ", ".join(f"{name} {value_text(value)}" for name, value in sorted(case["theta"].items()))
        lines.append(tag("li", f"seed {case['seed']}: {theta or 'the nominal world'}"))
    more = [tag("li", f"and {len(cases) - _LISTED} more, in comparison.json")] if len(cases) > _LISTED else []
    return tag("ul", *lines, *more, class_="cases")


def _seeds(seeds: Mapping[str, Any] | None) -> Html:
    if not seeds:
        return Html("")
    rows = [
        row(f"Pair {i}", f"{signed(100 * pair['difference'])} points", f"{pair['won']} won, {pair['lost']} lost",
            p_text(pair["p"]))
        for i, pair in enumerate(seeds["pairs"], 1)
    ]  # fmt: skip
    intervals = [
        row(title, difference_text((seeds["difference"], *seeds[name])),
            difference_bar((seeds["difference"], *seeds[name]), "ink-plain"))
        for name, title in (("t", "t over training seeds"), ("bootstrap", "hierarchical bootstrap"))
    ]  # fmt: skip
    note = (
        "Training seeds differ by themselves: the difference holds for the way of training, not for one lucky seed. "
        "The bootstrap draws seeds, then cases; with few seeds it is too narrow, so the wider bound of both counts."
    )
    parts = [scrolling(tag("table", tag("tbody", *intervals), class_="rates"))]
    if rows:
        head = header("", "A less B", "Case by case", "p")
        parts.append(scrolling(tag("table", head, tag("tbody", *rows), class_="rates")))
    return section("seeds", "Training seeds", note, *parts)


def _factors(factors: Sequence[Mapping[str, Any]], space: PerturbationSpace | None) -> Html:
    if not factors:
        return Html("")
    rows: list[Html] = []
    for factor in factors:
        halves = [_half(factor[side]) for side in ("lower", "upper")]
        title = named_axis(factor["factor"], space)
        rows.append(row(title, value_text(factor["split"]), *halves, p_text(factor["p"]), p_text(factor["p_holm"])))
    head = header("Factor", "Median", "A less B below it", "A less B above it", "p", "p (Holm)")
    note = (
        "Does the difference depend on a factor? Its cases are cut at the median; p is of a permutation test that both "
        f"halves differ alike, then corrected for {len(factors)} factors."
    )
    first, rest = (_effects(head, part) for part in (rows[:_SHOWN], rows[_SHOWN:]))
    more = [folded(f"{len(rows) - _SHOWN} more factors", rest)] if rows[_SHOWN:] else []
    return section("factors", "Along the factors", note, first, *more)


def _effects(head: Html, rows: Sequence[Html]) -> Html:
    return scrolling(tag("table", head, tag("tbody", *rows), class_="effects"))


def _half(half: Mapping[str, Any]) -> Html:
    text = tag("span", f"{_text({**half, 'value': half['difference']})}, n = {half['n']}", class_="interval")
    return join([text, difference_bar(_triple({**half, "value": half["difference"]}), "ink-plain")])


def _triple(difference: Mapping[str, float]) -> tuple[float, float, float]:
    return difference["value"], difference["low"], difference["high"]


def _text(difference: Mapping[str, float]) -> str:
    return difference_text(_triple(difference))
