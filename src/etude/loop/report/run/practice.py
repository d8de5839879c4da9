"""What every arm practised, round by round."""

from etude.loop.report.drawing.layout import section
from etude.loop.report.drawing.markup import Html
from etude.loop.report.drawing.wording import arm_title
from etude.loop.report.results import RunResults
from etude.loop.report.run.arms import colour
from etude.loop.report.sections.practice import round_part

_NOTE = (
    "Where new demonstrations were made and who of them was chosen. Dashed: how often a factor's values were drawn in "
    "the round; solid: in the next, with the share of draws that moved. Ticks below: candidates in grey, the chosen in "
    "colour."
)


def practice_section(run: RunResults) -> Html:
    """All rounds of all arms that made demonstrations."""
    parts = [
        round_part(f"{arm_title(name)}, round {practice.index}", practice, run.space, colour(run, name))
        for name, arm in run.arms.items()
        for practice in arm.practice
    ]
    return section("practice", "What was practised", _NOTE, *parts) if parts else Html("")
