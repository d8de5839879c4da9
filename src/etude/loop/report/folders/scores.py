"""The page of a scoring: how scores are distributed, and what they go with."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etude.core.files import read_json
from etude.data import DatasetMeta
from etude.data.parquet import read_rows
from etude.loop.report.drawing.document import document, heading
from etude.loop.report.drawing.histogram import histogram
from etude.loop.report.drawing.layout import figure, grid, header, row, scrolling, section
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.scatter import scatter
from etude.loop.report.drawing.wording import signed, value_text
from etude.loop.report.sections.source import Source, repeat_section
from etude.loop.scoring import BEST, FACTOR, SCORES_FILE, SUMMARY_FILE

_CONTENTS = {
    "how": "How they are distributed",
    "with": "What they go with",
    "who": "Who is where",
    "repeat": "How to repeat it",
}
_FACTORS, _SHOWN = 4, 8

type Rows = Sequence[Mapping[str, Any]]


def page(folder: Path) -> str:
    """The whole document."""
    source, summary = Source.of(folder), read_json(folder / SUMMARY_FILE)
    rows = read_rows([folder / SCORES_FILE])
    names = [name for name in rows[0] if name in summary["quantiles"]]  # as they were asked for
    sections = join(
        [
            _how(rows, names, summary),
            _with(rows, names, summary),
            _who(rows, names, _kept(folder)),
            repeat_section(source, (SCORES_FILE, SUMMARY_FILE)),
        ]
    )
    asked = [f"{name} {source[name]}" for name in ("policy", "anchors", "draws")] if source["policy"] else []
    facts = [f"{len(rows)} episodes", *asked]
    head = heading(f"Scores of {source['dataset'] or 'a dataset'}", " · ".join(facts), _CONTENTS, sections)
    return document("Scores", head, tag("main", sections))


def _kept(folder: Path) -> int:
    """How many episodes were kept as a dataset."""
    best = folder / BEST
    return DatasetMeta.open(best).total_episodes if best.exists() else 0


def _how(rows: Rows, names: Sequence[str], summary: Mapping[str, Any]) -> Html:
    """A histogram of each score, and the numbers that tell how many episodes it rests on."""
    drawn = [histogram(name, [(name, "arm3", [each[name] for each in rows])]) for name in names]
    figures = [figure(name, one) for name, one in zip(names, drawn, strict=True) if one]
    lines = [
        row(
            name,
            *(value_text(value) for value in summary["quantiles"][name]),
            f"{summary['effective_sample_size'][name]:.1f} of {len(rows)}",
            f"{sum(each[name] == 0 for each in rows)}",
            *([f"{summary['with_reference'][name]:.3f}"] if summary["with_reference"] else []),
        )
        for name in names
    ]
    titles = ("Score", "Lowest", "Lower quarter", "Median", "Upper quarter", "Highest", "Effective", "Exactly 0")
    more = ("ρ with 256 draws",) if summary["with_reference"] else ()
    note = (
        "Effective is 1/ΣP², how many episodes would share a choice in proportion to the score: few, where a few of "
        "them own it."
    )
    table = tag("table", header(*titles, *more), tag("tbody", *lines))
    return section("how", _CONTENTS["how"], note, grid(figures), scrolling(table))


def _with(rows: Rows, names: Sequence[str], summary: Mapping[str, Any]) -> Html:
    """The first score against the others, the length, and the factors it goes with most."""
    first = names[0]
    factors: Mapping[str, float] = summary["with_factors"].get(first, {})
    strongest = sorted(factors, key=lambda name: -abs(factors[name]))[:_FACTORS]
    pairs = {tuple(pair[:2]): pair[2] for pair in summary["rank_correlations"]}
    against = [
        ("length", "length [frames]", summary["with_length"][first]),
        *((other, other, pairs[(first, other)]) for other in names[1:]),
        *((FACTOR + name, name, factors[name]) for name in strongest),
    ]
    figures = [
        figure(
            f"{title}: ρ = {signed(rho, 2)}",
            scatter([e[key] for e in rows], [e[first] for e in rows], title, first, f"ρ = {signed(rho, 2)}"),
        )
        for key, title, rho in against
    ]
    note = f"{first} against the length, other scores, and the factors of θ it goes with most; ρ is Spearman's."
    caution = _caution(factors, summary.get("factors_by_chance", {}).get(first, 0.0))
    return section("with", _CONTENTS["with"], f"{note}{caution}", grid(figures))


def _caution(factors: Mapping[str, float], chance: float) -> str:
    """Whether a factor goes with the score more than the most alike of as many would by chance; "" where unknown."""
    if not chance:
        return ""
    beyond = sum(abs(rho) > chance for rho in factors.values())
    found = f"of these {beyond} {'does' if beyond == 1 else 'do'}" if beyond else "none of these does"
    return (
        f" Of {len(factors)} factors that have nothing to do with it, the one that goes with it most would go beyond "
        f"|ρ| = {chance:.2f} in 1 of 20 such datasets, by chance alone; {found}."
    )


def _who(rows: Rows, names: Sequence[str], keep: int) -> Html:
    """The highest and the lowest episodes, and which were kept as a dataset."""
    ranked = sorted(enumerate(rows), key=lambda each: (-each[1][names[0]], each[0]))
    left_out = max(0, len(ranked) - 2 * _SHOWN)
    shown = [*ranked[:_SHOWN], *ranked[_SHOWN + left_out :]]
    place = {index: rank + 1 for rank, (index, _) in enumerate(ranked)}
    lines = [
        row(
            f"{place[index]}",
            f"{each['episode_index']}",
            f"{each['length']}",
            *(value_text(each[name]) for name in names),
            *(["kept" if place[index] <= keep else ""] if keep else []),
        )
        for index, each in shown
    ]
    if left_out:
        lines.insert(_SHOWN, row("…", tag("td", f"{left_out} more", colspan=2 + len(names) + bool(keep))))
    table = tag("table", header("Rank", "Episode", "Frames", *names, *(["Kept"] if keep else [])), tag("tbody", *lines))
    note = f"The highest and the lowest, by {names[0]}."
    note += f" The {keep} highest are a dataset of their own, best." if keep else ""
    return section("who", _CONTENTS["who"], note, scrolling(table))
