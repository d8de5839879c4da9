"""What every arm practised, round by round."""

from etude.core import PerturbationSpace
from etude.loop.report.drawing.document import document, heading
from etude.loop.report.drawing.layout import section
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.wording import arm_colour, arm_title
from etude.loop.report.results import PracticeRound, RunResults
from etude.loop.report.sections.practice import round_part

_NOTE = "Where new demonstrations were made and who of them was chosen."
_CURVES = (
    " Dashed: how often a factor's values were drawn in the round; solid: in the next, with the share of draws that "
    "moved. Ticks below: candidates in grey, the chosen in colour."
)


def round_page(arm: str, practice: PracticeRound, space: PerturbationSpace) -> str:
    """The page of one round by itself."""
    title = f"{arm_title(arm)}, round {practice.index}"
    facts = f"{len(practice.scores)} candidates · {len(space.factors)} factors"
    part = section("practice", "What was practised", _note(practice), round_part("", practice, space, "arm4"))
    return document(title, heading(title, facts, {}, part), tag("main", part))


def practice_section(run: RunResults) -> Html:
    """All rounds of all arms that made demonstrations."""
    parts = [
        round_part(f"{arm_title(name)}, round {practice.index}", practice, run.space, arm_colour(run.arms, name))
        for name, arm in run.arms.items()
        for practice in arm.practice
    ]
    note = _note(*(practice for arm in run.arms.values() for practice in arm.practice))
    return section("practice", "What was practised", note, *parts) if parts else Html("")


def _note(*rounds: PracticeRound) -> str:
    """How to read the pictures, where there are any."""
    return _NOTE + (_CURVES if any(practice.before and practice.after for practice in rounds) else "")
