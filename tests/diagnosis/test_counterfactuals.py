"""Undoing a cause repairs failures, undoing anything else does not, and a sham is beside both."""

from collections.abc import Sequence

import pytest

from etude.core import Case, Effect, Factor, Outcome, Perturbation, PerturbationSpace, Rate, stream
from etude.diagnosis.counterfactuals import CounterfactualConfig, Question, ask, jittered, undone, untested


def crash(theta: Perturbation) -> str | None:
    return "it would crash" if theta.get("lamp", 0.0) == 0.0 and theta.get("arm.m", 0.0) > 0.5 else None


def factor(name: str, kind: str = "physics") -> Factor:
    return Factor(name=name, unit="1", low=-1.0, high=1.0, nominal=0.0, kind=kind)  # type: ignore[arg-type]


SPACE = PerturbationSpace("four", (factor("lamp"), factor("hue"), factor("arm.m"), factor("cup.x_m", "layout")), crash)
BOX = {"lamp": (0.5, 1.0), "hue": (0.5, 1.0)}


def failing(theta: Perturbation) -> bool:
    """It fails where both lamp and hue are high."""
    return theta.get("lamp", 0.0) > 0.5 and theta.get("hue", 0.0) > 0.5


def roll(cases: Sequence[Case]) -> list[Outcome]:
    for case in cases:
        SPACE.check(case.theta)
    return [outcome(case, not failing(case.theta)) for case in cases]


def outcome(case: Case, success: bool) -> Outcome:
    return Outcome(
        case=case, success=success, progress=float(success), stage="", failure_mode="" if success else "dropped",
        length=1, total_reward=0.0,
    )  # fmt: skip


def failures(count: int, **fixed: float) -> tuple[Case, ...]:
    rng = stream(0, "failures")
    values = [
        {"lamp": rng.uniform(0.6, 1), "hue": rng.uniform(0.6, 1), "arm.m": rng.uniform(-1, 0.4), **fixed}
        for _ in range(count)
    ]
    return tuple(Case(Perturbation({**v, "cup.x_m": rng.uniform(-1, 1)}), i) for i, v in enumerate(values))


def asked(cases: Sequence[Case], config: CounterfactualConfig | None = None) -> dict[str, Effect]:
    question = Question(cause="c", bounds=BOX, cases=tuple(cases), factors=("lamp", "hue", "arm.m", "cup.x_m"))
    (answer,), _ = ask(SPACE, [question], roll, stream(0, "ask"), config or CounterfactualConfig())
    return {effect.factor: effect for effect in answer.effects}


def test_undoing_either_of_two_factors_that_fail_together_repairs_all():
    effects = asked(failures(20))
    for name in ("lamp", "hue"):
        assert (effects[name].verdict, effects[name].repaired, effects[name].sham) == (
            "confirmed", Rate(20, 20), Rate(0, 20)
        )  # fmt: skip
    assert [effects[name].verdict for name in ("arm.m", "cup.x_m")] == ["refuted", "refuted"]


def test_two_that_fail_together_need_not_both_be_undone():
    question = Question(cause="c", bounds=BOX, cases=failures(16), factors=("lamp", "hue"))
    (answer,), rolled = ask(SPACE, [question], roll, stream(0, "ask"))
    assert answer.interaction is not None
    assert (answer.interaction.factors, answer.interaction.repaired) == (("lamp", "hue"), Rate(16, 16))
    assert answer.interaction.difference[0] == 0.0
    assert {one.undone for one in rolled} == {("sham",), ("lamp",), ("hue",), ("lamp", "hue")}
    assert len(rolled) == 4 * 16


def test_a_world_that_cannot_be_is_not_rolled_out():
    assert asked(failures(12, **{"arm.m": 0.9}))["lamp"].verdict == "untestable"


def test_a_factor_that_is_nominal_in_its_rule_cannot_be_undone():
    case = failures(1)[0]
    assert undone(SPACE, {"lamp": (-0.2, 1.0)}, case, "lamp") is None
    assert undone(SPACE, {"cup.x_m": (-1.0, 1.0)}, case, "cup.x_m") is not None  # the seed draws another place
    assert undone(SPACE, BOX, Case(case.theta.without("hue"), 1), "hue") is None


def test_what_a_sham_repairs_as_well_is_not_confirmed():
    def lucky(cases: Sequence[Case]) -> list[Outcome]:
        return [outcome(case, True) for case in cases]

    question = Question(cause="c", bounds=BOX, cases=failures(20), factors=("lamp",))
    (answer,), _ = ask(SPACE, [question], lucky, stream(0, "ask"))
    assert (answer.effects[0].repaired, answer.effects[0].verdict) == (Rate(20, 20), "refuted")


@pytest.mark.parametrize(("rollouts", "tested"), [(300, 2), (120, 1), (40, 0)])
def test_a_budget_is_kept_and_tests_the_first_causes_well_rather_than_all_badly(rollouts: int, tested: int):
    questions = [
        Question(cause=name, bounds=BOX, cases=failures(40), factors=("lamp", "hue", "arm.m", "cup.x_m"))
        for name in ("first", "second")
    ]
    answers, rolled = ask(SPACE, questions, roll, stream(0, "ask"), CounterfactualConfig(rollouts=rollouts))
    assert len(rolled) <= rollouts
    assert [answer.effects[0].verdict for answer in answers] == ["confirmed"] * tested + ["untested"] * (2 - tested)


def test_few_failures_decide_nothing():
    assert {effect.verdict for effect in asked(failures(6)).values()} <= {"undecided", "confirmed"}
    assert {effect.verdict for effect in asked(failures(5)).values()} == {"untested"}


def test_a_sham_moves_every_factor_by_at_most_a_hundredth_of_its_range():
    for case in failures(20):
        moved = jittered(SPACE, case, stream(case.seed, "jitter")).theta
        for name, value in case.theta.values.items():
            assert 0 < abs(moved.values[name] - value) <= 0.02


def test_nothing_is_known_without_rollouts():
    question = Question(cause="c", bounds=BOX, cases=failures(9), factors=("lamp",))
    (effect,) = untested(question).effects
    assert (effect.verdict, effect.repaired, str(effect.difference[0])) == ("untested", Rate(0, 0), "nan")
