"""Why the baseline fails, and what became of its pockets: the diagnosis and the fresh searches of a run."""

from etude.core import Rate
from etude.loop.arms import BASELINE
from etude.loop.report.drawing.markup import Html, join
from etude.loop.report.drawing.wording import arm_title
from etude.loop.report.results import RunResults
from etude.loop.report.sections.causes import causes_section, plan_section
from etude.loop.report.sections.moved import moved_section, moved_sections


def diagnosis_section(run: RunResults) -> Html:
    """Causes and plan, as on the diagnosis's own page; nothing where it was not asked."""
    if run.diagnosis is None:
        return Html("")
    return join([causes_section(run.diagnosis, run.space), plan_section(run.diagnosis, run.space)])


def followed_section(run: RunResults) -> Html:
    """Every arm whose last policy was searched afresh."""
    before = run.arms[BASELINE].fresh_search if BASELINE in run.arms else None
    drawn = [
        moved_section(arm_title(name), arm.followed, before or Rate(0, 0), arm.fresh_search, run.space)
        for name, arm in run.arms.items()
        if name != BASELINE and (arm.fresh_search or arm.followed)
    ]
    return moved_sections(drawn)
