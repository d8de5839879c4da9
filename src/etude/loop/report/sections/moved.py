"""Gone, or moved? What became of a policy's pockets after practice, and what a search of the new policy found."""

from collections.abc import Mapping, Sequence

from etude.core import PerturbationSpace, Rate
from etude.loop.report.drawing.charts import whisker
from etude.loop.report.drawing.layout import header, rate_text, section
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import count_text, interval_text
from etude.loop.report.sections.pockets import ranges
from etude.loop.report.sections.verdicts import badge
from etude.search import FollowedPocket

_FATES: Mapping[str, tuple[str, str, str]] = {
    "gone": ("gone", "good", "it fails clearly less often here"),
    "remaining": ("remaining", "bad", "the fresh search confirmed it again"),
    "unclear": ("unclear", "", "not found again, but not shown to be better either"),
    "new": ("new", "bad", "found by the fresh search; the policy before failed less often here"),
    "overlooked": ("overlooked", "", "found by the fresh search; the policy before failed here as well"),
}


def moved_section(
    title: str, followed: Sequence[FollowedPocket], before: Rate, after: Rate | None, space: PerturbationSpace
) -> Html:
    """Every pocket, old and new, with both policies on the same fresh cases inside.

    Args:
        title: Of the arm.
        followed: The pockets.
        before: Failures of the policy before practice among the uniform rollouts of its search.
        after: The same of the policy after practice; None where it was not searched.
        space: Of the pockets.
    """
    parts: list[Html] = [tag("h3", title)]
    if after is not None:
        words = "Failures of uniformly drawn cases, each from its own search: before practice "
        words += f"{_rate(before)}, after {_rate(after)}."
        parts.append(tag("p", words))
    if not followed:
        parts.append(tag("p", "No pocket before practice, and none after.", class_="none"))
        return join(parts)
    counts = {fate: sum(pocket.fate == fate for pocket in followed) for fate in _FATES}
    told = ", ".join(f"{count} {_FATES[fate][0]}" for fate, count in counts.items() if count)
    parts += [tag("p", tag("b", f"Pockets: {told}.")), tag("div", *(_card(p, space) for p in followed), class_="cards")]
    return join(parts)


def moved_sections(drawn: Sequence[Html]) -> Html:
    """The section of all arms that were searched afresh; nothing where none was."""
    if not drawn:
        return Html("")
    note = (
        "The last policy was searched afresh, at the cost of the first search; then the policies before and after "
        "practice rolled out the same fresh cases inside every pocket, old and new. Green is after."
    )
    return section("moved", "Gone, or moved?", note, *drawn)


def _card(followed: FollowedPocket, space: PerturbationSpace) -> Html:
    word, tone, why = _FATES[followed.fate]
    rows = [
        tag("tr", tag("th", title, scope="row"), tag("td", rate_text(rate)), tag("td", whisker(rate, ink)))
        for title, rate, ink in (("before", followed.before, "ink-soft"), ("after", followed.after, "ink-good"))
    ]
    table = tag("table", header("fails inside", "", ""), tag("tbody", *rows), class_="facts")
    title = tag("h3", followed.pocket.name, " ", badge(word, tone))
    return tag("article", title, ranges(followed.pocket.bounds, space), table, tag("p", f"{why}.", class_="note"))


def _rate(rate: Rate) -> str:
    return f"{count_text(rate)} ({interval_text(rate)})" if rate.n else "not measured"
