"""The middle of the page: where the policy fails, on what, and how."""

from etude.core import Pocket, Rate
from etude.loop.report.charts import colour, range_bar, success_by_factor, whisker
from etude.loop.report.comparison import pocket_rates
from etude.loop.report.layout import arm_key, grid, header, legend, section
from etude.loop.report.maps import data_map, factor_pairs, factors_that_matter, inside_pockets, search_map
from etude.loop.report.markup import Html, join, tag
from etude.loop.report.results import RunResults
from etude.loop.report.wording import (
    arm_title,
    count_text,
    factor_title,
    interval_text,
    percent,
    range_text,
    sentence_case,
    test_title,
)


def pockets_section(run: RunResults) -> Html:
    """Each pocket as a box of few factors, with rates from fresh rollouts."""
    rollouts = Rate.of([not row.success for row in run.archive])
    searched = f"The search found {rollouts.k} failures in {rollouts.n} rollouts. " if rollouts.n else ""
    if not run.pockets:
        note = (
            f"{searched}No region was confirmed in which the policy fails much more often than elsewhere: no pockets."
        )
        return section("pockets", "Pockets", note)
    note = (
        f"{searched}A pocket is a region of few factors in which the baseline fails much more often than outside it; "
        "its rates are from fresh rollouts. The bar shows the pocket within the factor's range, the mark is nominal."
    )
    return section(
        "pockets", "Pockets", note, tag("div", *(_pocket(run, pocket) for pocket in run.pockets), class_="cards")
    )


def maps_section(run: RunResults) -> Html:
    """The same plane of two factors for the search and for every arm's new demonstrations.

    The first ones are not dots: what their seeds drew is in no θ. The shading says what they covered.
    """
    arms = [name for name, arm in run.arms.items() if arm.new_data and name != "baseline"]
    if not run.archive and not arms:
        return Html("")
    rows: list[Html] = []
    for x, y in factor_pairs(run):
        figures = [_figure("Search: × failed, dot succeeded", search_map(run, x, y))] if run.archive else []
        for name in arms:
            caption = f"{arm_title(name)}: {len(run.arms[name].new_data)} new demonstrations"
            caption += f", {inside_pockets(run, name)} in a pocket" if run.pockets else ""
            figures.append(_figure(caption, data_map(run, name, x, y)))
        rows.append(tag("div", tag("h3", f"{sentence_case(factor_title(x))} and {factor_title(y)}"), grid(figures)))
    note = (
        "Boxes are pockets, dashed where other factors bound them too. Shaded is what the first demonstrations covered "
        "(only drawn where they were kept to part of the range). The search looks where it finds failures, so the "
        "density of its points is not a failure rate."
    )
    return section("maps", "Pocket maps", note, *rows)


def factors_section(run: RunResults) -> Html:
    """Success against each factor, on the unbiased test first."""
    order = [run.space[name] for name in factors_that_matter(run)]
    parts: list[Html] = []
    for test, opened in (("uniform_test", True), ("exam", False)):
        pictures = [drawn for factor in order if (drawn := success_by_factor(run, factor, test)) is not None]
        if pictures:
            summary = tag("summary", f"On the {test_title(test).lower()}")
            parts.append(
                _details(
                    summary, legend(run), grid([tag("figure", drawn) for drawn in pictures], dense=True), opened=opened
                )
            )
    if not parts:
        return Html("")
    note = (
        "Dots are success in a bin, bands their 95 % Wilson intervals, arms shifted sideways to be seen. Factors that "
        "explain most of the search's severity come first; shaded is where the first demonstrations were kept to. The "
        "exam's cases lie in the pockets: read it for what changed there, not as a picture of the whole space."
    )
    return section("factors", "Success against each factor", note, *parts)


def modes_section(run: RunResults) -> Html:
    """How episodes ended, per arm and test."""
    modes = _modes(run)
    parts: list[Html] = []
    for test in ("exam", "uniform_test", "nominal"):
        bars = [_mode_bar(run, name, test, modes) for name in run.arms if run.arms[name].outcomes(test)]
        if bars:
            parts += [tag("h3", test_title(test)), tag("div", *bars, class_="bars")]
    if not parts:
        return Html("")
    keys = [tag("span", "Success", class_="swatch mode0")]
    keys += [tag("span", sentence_case(mode), class_=f"swatch mode{1 + i % 8}") for i, mode in enumerate(modes)]
    note = "Episodes by how they ended; numbers are cases."
    return section("modes", "Failure modes", note, tag("p", *keys, class_="legend"), *parts)


def _pocket(run: RunResults, pocket: Pocket) -> Html:
    ranges: list[Html] = []
    for name, bounds in pocket.bounds.items():
        factor = run.space[name]
        words = tag("span", f"{factor_title(factor)} {range_text(*bounds, factor)}")
        ranges.append(tag("li", words, " ", range_bar(factor, bounds)))
    facts = [
        _fact("fails inside", pocket.inside),
        _fact("fails outside", pocket.outside),
        _fact("expert succeeds inside", pocket.expert),
        tag("tr", tag("th", "share of the space", scope="row"), tag("td", percent(pocket.volume, 1))),
    ]
    table = tag("table", tag("tbody", *facts), class_="facts")
    return tag("article", tag("h3", pocket.name), tag("ul", *ranges, class_="ranges"), table, _exam_here(run, pocket))


def _fact(title: str, rate: Rate) -> Html:
    interval = tag("span", interval_text(rate), class_="interval")
    return tag("tr", tag("th", title, scope="row"), tag("td", tag("b", count_text(rate)), " ", interval))


def _exam_here(run: RunResults, pocket: Pocket) -> Html:
    """Exam success of every arm on the cases from this pocket."""
    rows: list[Html] = []
    for name in run.arms:
        rate = pocket_rates(run, name).get(pocket.name)
        if rate is not None:
            cells = [tag("td", tag("b", count_text(rate))), tag("td", whisker(rate, colour(run, name)))]
            rows.append(tag("tr", tag("th", arm_key(run, name), scope="row"), *cells))
    if not rows:
        return Html("")
    return tag("table", header("exam here", "solved", ""), tag("tbody", *rows), class_="facts")


def _figure(caption: str, drawn: Html) -> Html:
    return tag("figure", tag("figcaption", caption), drawn)


def _details(summary: Html, *body: str, opened: bool) -> Html:
    return tag("details", summary, *body, open="" if opened else None)


def _modes(run: RunResults) -> list[str]:
    """All failure modes, the most frequent first."""
    outcomes = [
        outcome
        for arm in run.arms.values()
        for test in ("exam", "uniform_test", "nominal")
        for outcome in arm.outcomes(test)
    ]
    names = [outcome.failure_mode or "unnamed" for outcome in outcomes if not outcome.success]
    return sorted(set(names), key=lambda name: (-names.count(name), name))


def _mode_bar(run: RunResults, arm: str, test: str, modes: list[str]) -> Html:
    outcomes = run.arms[arm].outcomes(test)
    counts = {"Success": sum(outcome.success for outcome in outcomes)}
    for mode in modes:
        counts[mode] = sum(not outcome.success and (outcome.failure_mode or "unnamed") == mode for outcome in outcomes)
    parts: list[Html] = []
    for index, (mode, count) in enumerate(counts.items()):
        if count:
            kind = 0 if index == 0 else 1 + (index - 1) % 8
            words = f"{sentence_case(mode)}: {count} of {len(outcomes)}"
            shown = str(count) if count / len(outcomes) >= 0.04 else ""
            parts.append(tag("span", shown, class_=f"mode{kind}", style=f"flex-grow: {count}", title=words))
    said = "; ".join(f"{sentence_case(mode)} {count}" for mode, count in counts.items() if count)
    bar = tag("div", *parts, class_="bar", role="img", aria_label=f"{arm_title(arm)}: {said}")
    return join([tag("span", arm_title(arm)), bar])
