"""The result in plain words, computed from the numbers: gains, losses, and what was not shown."""

from dataclasses import dataclass
from typing import Literal

from etude.core import Paired
from etude.evaluation.comparison import p_text
from etude.loop.arms import BASELINE, MORE_STEPS, UNIFORM
from etude.loop.report.drawing.wording import arm_title, count_text, signed, test_title
from etude.loop.report.results import RunResults, foremost
from etude.loop.report.run.comparison import compare

type Tone = Literal["better", "worse", "unclear"]

ALPHA = 0.05
NOMINAL_MARGIN = 0.03
"""The share of nominal success that practice may cost."""


@dataclass(frozen=True)
class Verdict:
    """What a person should take away.

    Attributes:
        tone: Whether practice helped, hurt, or neither was shown.
        headline: One sentence.
        sentences: The numbers behind it, one comparison each.
    """

    tone: Tone
    headline: str
    sentences: tuple[str, ...]


def judge(run: RunResults) -> Verdict:
    """Put the run's result into words: about the first arm that aims, or the last where none does."""
    arm = foremost(run.arms)
    if arm is None or BASELINE not in run.arms:
        return Verdict("unclear", "Nothing was compared: the run has no arm beside the baseline.", ())
    sat = [test for test in ("exam", "uniform_test") if _both_sat(run, arm, BASELINE, test)]
    if not sat:
        return Verdict("unclear", f"{arm_title(arm)} and baseline have not sat the same test.", ())
    test = sat[0]
    tone, headline = _headline(run, arm, test)
    rounds = run.arms[arm].practice
    if rounds and all(practice.without_pocket for practice in rounds):
        headline += f" No pockets: {arm_title(arm).lower()} drew everywhere."
    return Verdict(tone, headline, tuple(_sentences(run, arm, test)))


def outcome_of(paired: Paired) -> Tone:
    """Whether the first of two is better, worse, or neither was shown (exact McNemar at 5 %)."""
    if paired.p >= ALPHA:
        return "unclear"
    return "better" if paired.wins > paired.losses else "worse"


def _headline(run: RunResults, arm: str, test: str) -> tuple[Tone, str]:
    name, where = f"{arm_title(arm)} practice", f"the {test_title(test).lower()}"
    if not any(results.rate(test).k for results in run.arms.values()):
        return "unclear", f"No policy solved a case of {where}: train the first one longer, or on more demonstrations."
    tone = outcome_of(compare(run, arm, BASELINE, test))
    if arm == MORE_STEPS:
        name = "Training longer on the same data"
    if tone == "worse":
        return "worse", f"{name} made the policy worse on {where}."
    if tone == "unclear":
        return "unclear", f"No change shown on {where}: {name.lower()} and the baseline cannot be told apart."
    nominal = compare(run, arm, BASELINE, "nominal")
    if nominal.difference < -NOMINAL_MARGIN:
        cost = f"{-nominal.difference * 100:.0f} points"
        return "unclear", f"{name} helped on {where}, but success in the nominal world fell by {cost}."
    if arm != MORE_STEPS and _both_sat(run, arm, MORE_STEPS, test):
        control = outcome_of(compare(run, arm, MORE_STEPS, test))
        if control != "better":
            return "unclear", f"{name} helped on {where}, but not shown to be more than training longer would."
    return "better", f"{name} helped on {where}{_beside_uniform(run, arm, test)}."


def _beside_uniform(run: RunResults, arm: str, test: str) -> str:
    """The other half of a gain: whether aiming was what helped."""
    if arm == UNIFORM or not _both_sat(run, arm, UNIFORM, test):
        return ""
    readings: dict[Tone, str] = {
        "better": ", and more than uniform practice did",
        "worse": ", but less than uniform practice did",
        "unclear": "; against uniform practice no difference is shown",
    }
    return readings[outcome_of(compare(run, arm, UNIFORM, test))]


def _both_sat(run: RunResults, first: str, second: str, test: str) -> bool:
    return all(name in run.arms and run.arms[name].outcomes(test) for name in (first, second))


def _sentences(run: RunResults, arm: str, test: str) -> list[str]:
    sentences = [_against_baseline(run, arm, test)]
    if arm != MORE_STEPS and _both_sat(run, arm, MORE_STEPS, test):
        reached = count_text(run.arms[MORE_STEPS].rate(test))
        comparison = _comparison(run, arm, MORE_STEPS, test)
        sentences.append(f"Against the same data with more steps ({reached}): {comparison}.")
    if _both_sat(run, arm, BASELINE, "nominal"):
        sentences.append(_nominal(run, arm))
    if test != "uniform_test" and _both_sat(run, arm, BASELINE, "uniform_test"):
        sentences.append(f"{_change(run, arm, 'uniform_test')}: {_comparison(run, arm, 'baseline', 'uniform_test')}.")
    if arm != UNIFORM and _both_sat(run, arm, UNIFORM, test):
        comparison = _comparison(run, arm, UNIFORM, test)
        sentences.append(f"Against uniform practice, {_budget_words(run, arm)}: {comparison}.")
    return sentences


def _against_baseline(run: RunResults, arm: str, test: str) -> str:
    before, after = run.arms[BASELINE].rate(test), run.arms[arm].rate(test)
    apart = before.high < after.low or after.high < before.low
    overlap = "the 95 % intervals do not overlap" if apart else "the 95 % intervals overlap"
    return f"{_change(run, arm, test)}: {_comparison(run, arm, 'baseline', test)}; {overlap}."


def _nominal(run: RunResults, arm: str) -> str:
    paired = compare(run, arm, BASELINE, "nominal")
    low, high = paired.interval()
    margin = f"{NOMINAL_MARGIN * 100:.0f} points"
    if high < -NOMINAL_MARGIN:
        reading = f"worse by more than the {margin} it may cost"
    elif paired.difference < -NOMINAL_MARGIN:
        reading = f"more than the {margin} it may cost, though {_cases(paired)} cannot tell this from chance"
    elif low > -NOMINAL_MARGIN:
        reading = f"a loss of more than {margin} is ruled out"
    else:
        reading = f"not worse by more than {margin} as measured; {_cases(paired)} cannot rule out a larger loss"
    bounds = f"95 % interval {signed(low * 100)} to {signed(high * 100)}"
    return f"{_change(run, arm, 'nominal')} ({signed(paired.difference * 100)} points, {bounds}): {reading}."


def _change(run: RunResults, arm: str, test: str) -> str:
    before, after = run.arms[BASELINE].rate(test), run.arms[arm].rate(test)
    return f"{test_title(test)} {count_text(before)} → {count_text(after)}"


def _comparison(run: RunResults, first: str, second: str, test: str) -> str:
    """A paired comparison, as in "+5 of 80 cases (20 won, 15 lost), p = .50: no difference shown"."""
    paired = compare(run, first, second, test)
    readings = {"better": "better", "worse": "worse", "unclear": "no difference shown"}
    counts = f"{paired.wins} won, {paired.losses} lost"
    gap = f"{signed(paired.wins - paired.losses)} of {_cases(paired)}"
    return f"{gap} ({counts}), {p_text(paired.p)}: {readings[outcome_of(paired)]}"


def _budget_words(run: RunResults, arm: str) -> str:
    ours, theirs = run.arms[arm].budget, run.arms[UNIFORM].budget
    if (ours.accepted, ours.train_steps) == (theirs.accepted, theirs.train_steps):
        return "with as many demonstrations and training steps"
    return (
        f"with {ours.accepted} demonstrations and {ours.train_steps} steps "
        f"to its {theirs.accepted} and {theirs.train_steps}"
    )


def _cases(paired: Paired) -> str:
    return f"{paired.n} cases"
