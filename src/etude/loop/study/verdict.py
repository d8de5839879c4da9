"""Is the claim met? Yes, no or undecided, in plain words, by what the plan said before it ran."""

from dataclasses import dataclass, replace
from math import inf
from typing import Literal

from etude.core.statistics import AcrossReplicates
from etude.loop.arms import BASELINE, UNIFORM
from etude.loop.report.drawing.wording import arm_title, signed
from etude.loop.study.analysis import Analysis, ArmAnalysis

type State = Literal["yes", "no", "undecided"]


@dataclass(frozen=True)
class Answer:
    """One hypothesis.

    Attributes:
        question: Its name in the plan.
        state: Whether it holds.
        sentence: The same with its numbers.
    """

    question: str
    state: State
    sentence: str


@dataclass(frozen=True)
class StudyVerdict:
    """What became of the claim about one arm.

    Attributes:
        arm: The arm.
        state: "yes" where every hypothesis holds, "no" where one is refuted, else "undecided"; that too where the
            study is smaller than a claim takes.
        headline: One sentence.
        answers: The hypotheses.
    """

    arm: str
    state: State
    headline: str
    answers: tuple[Answer, ...]


def judge(analysis: Analysis, arm: ArmAnalysis) -> StudyVerdict:
    """Answer the plan's questions about an arm."""
    answers = (
        _primary(analysis, arm),
        _fewer(analysis, arm),
        _nominal(analysis, arm),
        _pockets(analysis, arm),
    )
    undirected = _undirected(analysis, arm)
    short = _no_signal(analysis) or _short(analysis)
    if short:
        answers = tuple(replace(answer, state="undecided") for answer in answers)
        return StudyVerdict(arm.name, "undecided", f"{arm_title(arm.name)}, undecided: {short}.{undirected}", answers)
    states = [answer.state for answer in answers]
    state: State = "no" if "no" in states else "yes" if set(states) == {"yes"} else "undecided"
    name = arm_title(arm.name)
    told = {
        "yes": f"Yes: {name} meets the claim.",
        "no": f"No: {name} does not meet the claim ({_those(answers, state)}).",
        "undecided": f"Undecided: {name} may meet the claim, but this study cannot tell ({_those(answers, state)}).",
    }
    return StudyVerdict(arm.name, state, told[state] + undirected, answers)


def _primary(analysis: Analysis, arm: ArmAnalysis) -> Answer:
    plan, gain = analysis.plan, arm.above[UNIFORM, "exam"]
    margin = f"{100 * plan.margin:g} points"
    uneven, all_of_them = len(analysis.uneven(arm.name)), len(analysis.confirmed)
    equal = "with as many demonstrations and gradient steps"
    if uneven:
        equal = f"but not {equal} in {uneven} of {all_of_them} replicates"
    text = f"On the exam {arm_title(arm.name)} has {points_text(gain)} against uniform, {equal}"
    if gain.interval is None:
        return Answer("primary", "undecided", f"{text}; one replicate has no interval.")
    low, high = gain.interval
    if high < plan.margin:
        worse = ", and it is worse than uniform" if high < 0 else ""
        return Answer("primary", "no", f"{text}: a gain of {margin} is ruled out{worse}.")
    if gain.mean >= plan.margin and low > 0 and arm.p < plan.alpha:
        return Answer("primary", "yes", f"{text}: at least {margin}, and the interval lies above 0.")
    reason = f"less than {margin}, which are not ruled out" if gain.mean < plan.margin else "the interval reaches 0"
    if gain.mean >= plan.margin and low > 0:
        arms = len(analysis.compared)
        reason = f"{f'after Holm over {arms} arms ' if arms > 1 else ''}p is {arm.p:.3f}"
    return Answer("primary", "undecided", f"{text}: {reason}.")


def _no_signal(analysis: Analysis) -> str:
    """Why nothing can be compared, where no policy solved anything; "" where one did."""
    if any(arm.success["exam"].mean for arm in analysis.arms):
        return ""
    return "every policy solved 0 % of the exam, which compares nothing: train the first one longer, or on more data"


def _undirected(analysis: Analysis, arm: ArmAnalysis) -> str:
    """That an arm which aims at pockets had none at first; "" where it had."""
    if analysis.plan.config.arm(arm.name).draw not in ("pockets", "needs"):  # a plan may aim without one
        return ""
    count, all_of_them = sum(not each.pockets for each in analysis.confirmed), len(analysis.confirmed)
    first = " in its first round" if analysis.plan.config.rounds > 1 else ""
    where = "No baseline had a pocket"
    if count < all_of_them:
        where = f"In {count} of {all_of_them} replicates the baseline had no pocket"
    return f" {where}: {arm_title(arm.name)} drew everywhere{first}." if count else ""


def _short(analysis: Analysis) -> str:
    """Why the study is too small for a claim; "" where it is not."""
    plan, count = analysis.plan, len(analysis.confirmed)
    if count < plan.least_replicates:
        return f"a claim takes {plan.least_replicates} replicates, and {count} came to the end"
    cases = min(len(each.arms[BASELINE].last.solved["exam"]) for each in analysis.confirmed)
    return "" if cases >= plan.least_cases else f"a claim takes {plan.least_cases} exam cases, and one has {cases}"


def _fewer(analysis: Analysis, arm: ArmAnalysis) -> Answer:
    wanted, needed = analysis.plan.fewer, arm.needed
    if needed is None:
        return Answer("fewer demonstrations", "undecided", f"{arm_title(arm.name)} made no demonstrations.")
    if needed.fewer == 0:
        text = f"{arm_title(arm.name)} does not reach what uniform ends with on the exam"
    elif needed.fewer == inf:
        text = "Uniform gained nothing on the exam, so there is nothing to reach with fewer demonstrations"
        return Answer("fewer demonstrations", "undecided", f"{text}.")
    else:
        text = (
            f"{arm_title(arm.name)} reaches what uniform ends with after {needed.demonstrations:.0f} demonstrations, "
            f"{needed.fewer:.1f} times fewer"
        )
    if needed.interval is None:
        return Answer("fewer demonstrations", "undecided", f"{text}; one replicate has no interval.")
    low, high = needed.interval
    text = f"{text} (interval {_times(low)} to {_times(high)})"
    if high < wanted:
        return Answer("fewer demonstrations", "no", f"{text}: {wanted:g} times fewer is ruled out.")
    if needed.fewer >= wanted and low > 1:
        return Answer("fewer demonstrations", "yes", f"{text}.")
    return Answer("fewer demonstrations", "undecided", f"{text}: {wanted:g} times fewer is not shown.")


def _nominal(analysis: Analysis, arm: ArmAnalysis) -> Answer:
    change, margin = arm.above[BASELINE, "nominal"], analysis.plan.nominal_margin
    text = f"In the nominal world: {points_text(change)} against the baseline"
    if change.interval is None:
        return Answer("nominal", "undecided", f"{text}; one replicate has no interval.")
    low, high = change.interval
    bound = f"a loss of more than {100 * margin:g} points"
    if low >= -margin:
        return Answer("nominal", "yes", f"{text}: {bound} is ruled out.")
    if high < -margin:
        return Answer("nominal", "no", f"{text}: {bound}.")
    return Answer("nominal", "undecided", f"{text}: {bound} is not ruled out.")


def _pockets(analysis: Analysis, arm: ArmAnalysis) -> Answer:
    if arm.pockets is None:
        return Answer("pockets", "undecided", "There was no fresh search of its last policy.")
    before = sum(each.pockets for each in analysis.confirmed)
    after = sum(each.arms[arm.name].pockets or 0 for each in analysis.confirmed)
    moved = arm.fates.get("new", 0)
    text = f"Pockets over all replicates: {before} before, {after} after a fresh search; {moved} of these are new"
    if arm.pockets.interval is None:
        return Answer("pockets", "undecided", f"{text}; one replicate has no interval.")
    if not before and not after:
        return Answer("pockets", "undecided", f"{text}: none could go.")
    low, high = arm.pockets.interval
    each = f"{signed(low, 1)} to {signed(high, 1)} in each"
    if arm.pockets.alike:
        each = f"{signed(low, 1)} in each of {len(arm.pockets.values)} replicates"
    if high < 0:
        return Answer("pockets", "yes", f"{text}: fewer ({each}).")
    if low >= 0:
        return Answer("pockets", "no", f"{text}: not fewer ({each}).")
    return Answer("pockets", "undecided", f"{text}: the change, {each}, may be chance.")


def points_text(gain: AcrossReplicates) -> str:
    """A difference in points with its interval: "+12 points (+3 to +21)"."""
    if gain.mean != gain.mean:
        return "not measured"
    text = f"{signed(100 * gain.mean, 1)} points"
    if gain.interval is None:
        return text
    if gain.alike:
        return f"{text} {each_alike(gain)}"
    low, high = gain.interval
    return f"{text} ({signed(100 * low, 1)} to {signed(100 * high, 1)})"


def each_alike(found: AcrossReplicates) -> str:
    """In place of an interval without width, which would look like certainty."""
    return f"(in each of {len(found.values)} replicates: no spread, so no interval)"


def _times(value: float) -> str:
    return "not reached" if value == 0 else "at once" if value == inf else f"{value:.1f}"


def _those(answers: tuple[Answer, ...], state: State) -> str:
    return ", ".join(answer.question for answer in answers if answer.state == state)
