"""The middle of the page: where the policy fails, on what, and how."""

from etude.core import Pocket, Rate
from etude.loop.arms import BASELINE
from etude.loop.report.drawing.along import Group, success_along
from etude.loop.report.drawing.charts import whisker
from etude.loop.report.drawing.layout import figure, folded, grid, header, section
from etude.loop.report.drawing.maps import data_map, planes, ranked_factors, search_map
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.wording import arm_colour, arm_title, count_text, factor_title, sentence_case, test_title
from etude.loop.report.results import RunResults
from etude.loop.report.run.arms import arm_key, legend
from etude.loop.report.run.comparison import pocket_rates
from etude.loop.report.sections.modes import failure_modes, mode_bar, mode_key
from etude.loop.report.sections.pockets import pocket_card


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
    cards = [pocket_card(pocket, run.space, _exam_here(run, pocket)) for pocket in run.pockets]
    return section("pockets", "Pockets", note, tag("div", *cards, class_="cards"))


def factors_that_matter(run: RunResults) -> list[str]:
    """All factors, those that explain most of the search's severity, or of the baseline's, first."""
    rows = [(row.theta, row.severity) for row in run.archive]
    if not rows and BASELINE in run.arms:
        rows = [(outcome.case.theta, 1 - outcome.progress) for outcome in run.arms[BASELINE].uniform_test]
    return ranked_factors(run.space, rows)


def maps_section(run: RunResults) -> Html:
    """The same plane of two factors for the search and for every arm's new demonstrations.

    The first ones are not dots: what their seeds drew is in no θ. The shading says what they covered.
    """
    arms = [name for name, arm in run.arms.items() if arm.new_data and name != BASELINE]
    if not run.archive and not arms:
        return Html("")
    rows: list[Html] = []
    for plane in planes(run.space, factors_that_matter(run), run.pockets, run.narrow):
        figures = [figure("Search: × failed, dot succeeded", search_map(plane, run.archive))] if run.archive else []
        for name in arms:
            thetas, inside = run.arms[name].new_data, _inside_pockets(run, name)
            caption = f"{arm_title(name)}: {len(thetas)} new"
            caption += f", {inside} in a pocket" if run.pockets else ""
            figures.append(figure(caption, data_map(plane, thetas, arm_colour(run.arms, name), inside)))
        title = f"{sentence_case(factor_title(plane.x))} and {factor_title(plane.y)}"
        rows.append(tag("div", tag("h3", title), grid(figures, dense=len(figures) > 3)))
    boxes = "Boxes are pockets, dashed where other factors bound them too. " if run.pockets else ""
    note = (
        f"{boxes}An arm's dots are its new demonstrations. Shaded is what the first ones covered (only drawn where "
        "they were kept to part of the range). The search looks where it finds failures, so the density of its points "
        "is not a failure rate."
    )
    return section("maps", "Pocket maps", note, *rows)


def factors_section(run: RunResults) -> Html:
    """Success against each factor, on the unbiased test first."""
    order = [run.space[name] for name in factors_that_matter(run)]
    parts: list[Html] = []
    for test in ("uniform_test", "exam"):
        opened = test == "uniform_test" and any(arm.rate(test).k for arm in run.arms.values())
        groups = [
            Group(arm_title(name), arm_colour(run.arms, name), arm.outcomes(test)) for name, arm in run.arms.items()
        ]
        pictures = [success_along(groups, factor, run.narrow.get(factor.name)) for factor in order]
        figures = [tag("figure", drawn) for drawn in pictures if drawn is not None]
        if figures:
            title = f"On the {test_title(test).lower()}"
            parts.append(folded(title, legend(run), grid(figures, dense=True), opened=opened))
    if not parts:
        return Html("")
    note = (
        "Dots are success in a bin, bands their 95 % Wilson intervals, arms shifted sideways to be seen. Factors that "
        "explain most of the search's severity come first; shaded is where the first demonstrations were kept to."
    )
    if run.pockets:
        note += (
            " The exam's cases lie in the pockets: read it for what changed there, not as a picture of the whole space."
        )
    return section("factors", "Success against each factor", note, *parts)


def modes_section(run: RunResults) -> Html:
    """How episodes ended, per arm and test."""
    tests = ("exam", "uniform_test", "nominal")
    modes = failure_modes([o for arm in run.arms.values() for test in tests for o in arm.outcomes(test)])
    parts: list[Html] = []
    for test in tests:
        sat = {name: arm.outcomes(test) for name, arm in run.arms.items() if arm.outcomes(test)}
        bars = [mode_bar(arm_title(name), outcomes, modes) for name, outcomes in sat.items()]
        if bars:
            parts += [tag("h3", test_title(test)), tag("div", *bars, class_="bars")]
    if not parts:
        return Html("")
    return section("modes", "Failure modes", "Episodes by how they ended; numbers are cases.", mode_key(modes), *parts)


def _exam_here(run: RunResults, pocket: Pocket) -> Html:
    """Exam success of every arm on the cases from this pocket."""
    rows: list[Html] = []
    for name in run.arms:
        rate = pocket_rates(run, name).get(pocket.name)
        if rate is not None:
            cells = [tag("td", tag("b", count_text(rate))), tag("td", whisker(rate, arm_colour(run.arms, name)))]
            rows.append(tag("tr", tag("th", arm_key(run, name), scope="row"), *cells))
    if not rows:
        return Html("")
    return tag("table", header("exam here", "solved", ""), tag("tbody", *rows), class_="facts")


def _inside_pockets(run: RunResults, arm: str) -> int:
    """How many of an arm's new demonstrations lie in a pocket, all its factors counted."""
    return sum(any(pocket.contains(theta, run.space) for pocket in run.pockets) for theta in run.arms[arm].new_data)
