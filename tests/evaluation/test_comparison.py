"""Comparisons of outcomes that are made up: what they say, and what simulation says of them."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

from etude.core import Case, ConfigError, MismatchError, Outcome, Paired, Perturbation
from etude.evaluation.comparison import (
    Stopping,
    across_seeds,
    analyse,
    compare_in_turns,
    dependences,
    hierarchical_bootstrap,
    judge,
    judge_looks,
    looks,
)
from etude.evaluation.comparison.factors import permutation_p


def cases(count: int, **factors: Sequence[float]) -> list[Case]:
    return [Case(Perturbation({name: values[i] for name, values in factors.items()}), i) for i in range(count)]


def outcomes(of: Sequence[Case], successes: Sequence[bool]) -> list[Outcome]:
    return [
        Outcome(
            case=case, success=bool(success), progress=float(success), stage="", length=9, total_reward=0.0,
            failure_mode="" if success else "timeout",
        )
        for case, success in zip(of, successes, strict=True)
    ]  # fmt: skip


def draw(rng: np.random.Generator, rate: float, shape: tuple[int, int]) -> np.ndarray:
    return rng.random(shape) < rate


# --- one policy a side


def test_the_better_side_is_said_in_one_sentence():
    assert judge(Paired(5, 25, 120)).sentence == "B is better: 13 points (7 to 21), p < .001."
    assert judge(Paired(30, 10, 60)).sentence == "A is better: 20 points (8 to 32), p = .002."
    undecided = judge(Paired(5, 4, 41))
    assert undecided.better == "unclear"
    assert undecided.sentence == "Cannot say after 50 cases: A less B is 2 points (−11 to 15), p = 1."
    assert judge(Paired(1, 0, 0)).sentence == "Cannot say after 1 case: A less B is 100 points (−59 to 100), p = 1."
    assert judge(Paired(4, 0, 8)).sentence == (
        "Cannot say after 12 cases: A less B is 33 points (1 to 61), but the exact test asks for more cases, p = .12."
    )


def test_an_analysis_counts_cases_won_and_lost_and_reads_back_as_json():
    of = cases(30)
    first, second = [i % 3 != 0 for i in range(30)], [i % 5 == 0 for i in range(30)]
    analysis = analyse([outcomes(of, first)], [outcomes(of, second)])
    record = analysis.to_json()
    paired = Paired.of(first, second)
    assert (len(record["won"]), len(record["lost"]), record["ties"]) == (paired.wins, paired.losses, paired.ties)
    assert {Case.from_json(each) for each in record["won"]} == {of[i] for i in range(30) if first[i] and not second[i]}
    assert (record["p"], record["e_value"]) == (paired.p, paired.two_sided_e_value)
    assert (record["difference"]["low"], record["difference"]["high"]) == paired.interval()
    assert record["verdict"]["better"] == "a"
    assert record["sequential"] is record["seeds"] is None
    mirrored = analyse([outcomes(of, second)], [outcomes(of, first)])
    assert (mirrored.won, mirrored.ties) == (tuple(type(c)(c.case, c.b, c.a) for c in analysis.lost), analysis.ties)
    assert mirrored.judgement.sentence == analysis.judgement.sentence.replace("A is", "B is")


def test_outcomes_of_other_cases_are_refused():
    with pytest.raises(MismatchError, match="same cases"):
        analyse([outcomes(cases(3), [True] * 3)], [outcomes(cases(4)[1:], [True] * 3)])


# --- one look after the other


def rolls(of: Sequence[Case], first: Sequence[bool], second: Sequence[bool]):
    return [lambda some, s=s: outcomes(some, [s[case.seed] for case in some]) for s in (first, second)]


@pytest.mark.parametrize("batch", [3, 16, 50])
def test_both_run_the_same_cases_until_it_can_be_said(batch: int):
    of, rng = cases(120), np.random.default_rng(0)
    first, second = draw(rng, 0.8, (1, 120))[0], draw(rng, 0.4, (1, 120))[0]
    stopping = Stopping(batch=batch)
    a, b = compare_in_turns(of, *rolls(of, first, second), stopping)
    assert [o.case for o in a] == [o.case for o in b] == of[: len(a)]
    assert len(a) < 120
    assert len(a) % batch == 0
    analysis = analyse([a], [b], stopping=stopping, planned=120)
    assert analysis.judgement.better == "a"
    assert analysis.saved == 2 * (120 - len(a))
    assert analysis.looks[-1].decision == "a"
    assert all(look.decision is None for look in analysis.looks[:-1])
    record = analysis.to_json()
    assert record["p"] is None  # it would hold only for a number of cases fixed before
    assert record["sequential"]["stopped_at"] == record["cases"] == len(a)
    assert record["e_value"] >= 20


def test_a_certainly_small_difference_is_called_equal_and_a_doubtful_one_is_not():
    alike = [True] * 200
    taken = looks(alike, alike, Stopping(margin=0.05))
    assert taken[-1].decision == "equal"
    assert taken[-1].paired.n < 200
    assert judge_looks(taken, 200, Stopping(margin=0.05)).sentence.startswith("No difference that matters: less than 5")
    assert looks(alike, alike, Stopping(margin=0.0))[-1].decision is None
    doubtful = looks([True, False] * 20, [False, True] * 20, Stopping())
    assert [look.paired.n for look in doubtful] == [16, 32, 40]
    assert judge_looks(doubtful, 40, Stopping()).better == "unclear"


def test_equal_policies_are_seldom_called_different_or_different_ones_equal():
    rng, stopping = np.random.default_rng(0), Stopping(batch=16, margin=0.1)
    ends = [looks(*draw(rng, 0.5, (2, 96)).tolist(), stopping)[-1].decision for _ in range(100)]
    assert sum(end in ("a", "b") for end in ends) <= 5
    pairs = [(draw(rng, 0.95, (1, 96))[0].tolist(), draw(rng, 0.75, (1, 96))[0].tolist()) for _ in range(100)]
    apart = [looks(*pair, stopping)[-1].decision for pair in pairs]
    assert sum(end in ("b", "equal") for end in apart) <= 5
    assert sum(end == "a" for end in apart) > 50


@pytest.mark.parametrize("setting", [{"alpha": 0.0}, {"margin": 1.0}, {"batch": 0}])
def test_a_rule_that_cannot_stop_is_refused(setting: dict[str, float]):
    with pytest.raises(ConfigError):
        Stopping(**setting)


# --- along factors


def test_the_permutation_test_is_the_share_of_all_arrangements():
    scores, lower = np.array([1.0, 1, 0, 1, -1, -1, 0, 0]), np.array([True] * 4 + [False] * 4)
    centred = scores - scores.mean()
    sums = [abs(centred[list(chosen)].sum()) for chosen in combinations(range(8), 4)]
    exact = np.mean(np.array(sums) >= abs(centred[:4].sum()) - 1e-9)
    assert permutation_p(scores, lower, np.random.default_rng(0)) == pytest.approx(exact, abs=0.015)


def test_a_factor_that_decides_who_wins_is_found_and_others_are_not():
    rng = np.random.default_rng(0)
    light, yaw = rng.random(160), rng.random(160)
    of = cases(160, light=light, yaw=yaw)
    first = draw(rng, 0.6, (1, 160))
    second = np.where(light < 0.5, draw(rng, 0.9, (1, 160)), draw(rng, 0.3, (1, 160)))
    found = dependences(of, first, second, rng)
    assert [each.factor for each in found] == ["light", "yaw"]
    assert found[0].p_holm < 0.01 < found[1].p_holm
    assert found[0].lower.difference < 0 < found[0].upper.difference
    assert found[0].lower.interval[1] < 0 < found[0].upper.interval[0]
    assert found[0].lower.n + found[0].upper.n == 160


def test_the_test_of_a_factor_is_wrong_as_often_as_it_says():
    rng = np.random.default_rng(1)
    lower = np.arange(60) < 30
    p_values = [permutation_p(rng.choice([-1.0, 0.0, 0.0, 1.0], 60), lower, rng) for _ in range(100)]
    assert np.mean(np.array(p_values) < 0.05) <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 100)


def test_factors_that_no_case_sets_or_that_stand_still_are_left_out():
    rng, all_won = np.random.default_rng(0), np.ones((1, 20), bool)
    assert dependences(cases(20), draw(rng, 0.5, (1, 20)), all_won, rng) == []
    still = cases(20, light=[0.5] * 20)
    assert analyse([outcomes(still, [True] * 20)], [outcomes(still, [False] * 20)]).factors == ()


# --- over training seeds


def test_intervals_over_training_seeds_are_the_textbooks():
    rng = np.random.default_rng(0)
    first, second = draw(rng, 0.7, (4, 50)), draw(rng, 0.5, (4, 50))
    a, b = first.mean(axis=1), second.mean(axis=1)
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert across_seeds(first, second, rng).t == pytest.approx((expected.low, expected.high))
    welch = CompareMeans(DescrStatsW(a[:3]), DescrStatsW(b)).tconfint_diff(usevar="unequal")
    assert across_seeds(first[:3], second, rng).t == pytest.approx(welch)


def test_the_bootstrap_draws_policies_and_then_cases():
    rng = np.random.default_rng(0)
    first, second = draw(rng, 0.7, (3, 40)), draw(rng, 0.5, (2, 40))
    brute = []
    for _ in range(4000):
        rows, columns = rng.integers(0, 3, 3), rng.integers(0, 40, 40)
        others = rng.integers(0, 2, 2)
        brute.append(first[rows][:, columns].mean() - second[others][:, columns].mean())
    expected = np.quantile(brute, [0.025, 0.975])
    assert hierarchical_bootstrap(first, second, rng) == pytest.approx(tuple(expected), abs=0.02)
    same = np.ones((3, 40), bool)
    assert hierarchical_bootstrap(same, ~same, rng) == pytest.approx((1.0, 1.0))


def test_training_seeds_that_disagree_leave_the_verdict_open():
    of, rng = cases(100), np.random.default_rng(0)
    wide = [outcomes(of, draw(rng, rate, (1, 100))[0]) for rate in (0.9, 0.4, 0.65)]
    low = [outcomes(of, draw(rng, rate, (1, 100))[0]) for rate in (0.5, 0.5, 0.5)]
    high = [outcomes(of, draw(rng, rate, (1, 100))[0]) for rate in (0.92, 0.9, 0.94)]
    assert analyse(wide, low).judgement.better == "unclear"
    clear = analyse(low, high)
    assert clear.judgement.better == "b"
    assert clear.judgement.sentence.endswith("over 3 and 3 training seeds.")
    record = clear.to_json()
    assert record["p"] is record["e_value"] is None
    assert [pair["won"] - pair["lost"] for pair in record["seeds"]["pairs"]] == [
        sum(o.success for o in a) - sum(o.success for o in b) for a, b in zip(low, high, strict=True)
    ]
    assert record["difference"]["low"] <= min(record["seeds"]["t"][0], record["seeds"]["bootstrap"][0])


@pytest.mark.slow
def test_over_few_training_seeds_the_wider_interval_covers_where_the_bootstrap_does_not():
    rng = np.random.default_rng(0)
    held = {"bootstrap": 0, "interval": 0}
    for _ in range(100):
        rates = np.clip(rng.normal(0.6, 0.1, (2, 3, 1)), 0, 1)
        found = across_seeds(*(rng.random((2, 3, 60)) < rates), rng)
        for name in held:
            low, high = getattr(found, name)
            held[name] += low <= 0 <= high
    assert held["interval"] / 100 >= 0.93
    assert held["bootstrap"] < held["interval"]


def test_one_seed_against_several_is_refused():
    of = cases(5)
    with pytest.raises(ConfigError, match="at least two of each"):
        analyse([outcomes(of, [True] * 5)], [outcomes(of, [True] * 5)] * 2)
