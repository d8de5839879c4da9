"""Statistics over replicates against scipy, statsmodels, brute force, and what they promise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.power import TTestPower

from etude.core import ConfigError, Paired, Rate
from etude.core.statistics.replicates import (
    across_replicates,
    mean_difference,
    mean_rate,
    nested_bootstrap,
    paired_t,
    replicates_needed,
    spread_bound,
    t_power,
)

differences = st.lists(st.floats(-1, 1), min_size=2, max_size=12).filter(lambda values: np.std(values) > 1e-6)


@given(differences)
def test_the_interval_and_p_are_those_of_the_paired_t_test(values: list[float]):
    found = mean_difference(np.array(values))
    expected = stats.ttest_1samp(values, 0.0)
    interval = expected.confidence_interval(0.95)
    assert found.t == pytest.approx((interval.low, interval.high))
    assert found.p == pytest.approx(expected.pvalue)
    assert found.interval == found.t


def test_the_interval_holds_the_truth_as_often_as_it_says_where_few_cases_and_few_replicates_vary():
    rng, truth, held = np.random.default_rng(0), 0.12, 0
    for _ in range(1000):
        gains = truth + 0.06 * rng.standard_normal(5)  # of each replicate's training
        values = np.array([_pair(0.5, gain, 200, rng).difference for gain in gains])
        low, high = paired_t(values)
        held += low <= truth <= high
    assert stats.binomtest(held, 1000, 0.95).pvalue > 0.01


def test_the_nested_bootstrap_is_that_of_drawing_replicates_and_then_their_cases():
    rng = np.random.default_rng(1)
    pairs = [Paired(30, 10, 60), Paired(20, 18, 22), Paired(9, 3, 8)]
    cases = [np.repeat([1.0, -1.0, 0.0], [pair.wins, pair.losses, pair.ties]) for pair in pairs]
    drawn = [
        np.mean([rng.choice(cases[index], len(cases[index])).mean() for index in rng.integers(3, size=3)])
        for _ in range(4000)
    ]
    found = nested_bootstrap(pairs, np.random.default_rng(2), draws=20_000)
    assert found == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])), abs=0.015)


def test_what_both_intervals_allow_is_told_and_one_replicate_allows_nothing():
    rng = np.random.default_rng(3)
    found = across_replicates([Paired(30, 10, 60), Paired(25, 12, 63)], rng)
    assert found.t
    assert found.bootstrap
    assert found.score == Paired(55, 22, 123).interval()
    ends = (found.t, found.bootstrap, found.score)
    assert found.interval == (min(low for low, _ in ends), max(high for _, high in ends))
    alone = across_replicates([Paired(30, 10, 60)], rng)
    assert (alone.mean, alone.interval, alone.p) == (0.2, None, 1.0)
    with pytest.raises(ConfigError, match="only among several, got 1"):
        paired_t(np.array([0.2]))


def test_cases_that_all_came_out_alike_leave_a_width():
    found = across_replicates([Paired(0, 0, 4), Paired(0, 0, 4)], np.random.default_rng(0))
    assert found.t == (0.0, 0.0)
    assert found.interval == Paired(0, 0, 8).interval()
    rates = mean_rate([Rate(0, 4), Rate(0, 4)])
    assert (rates.mean, rates.interval) == (0.0, Rate(0, 8).interval)
    assert mean_rate([Rate(1, 4)]).interval is None


def test_a_few_equal_replicates_are_no_certainty():
    equal = mean_difference(np.full(3, 0.1))
    assert equal.alike
    assert equal.p == 0.25  # the sign test's: t would have none
    assert not mean_difference(np.array([0.1, 0.2])).alike
    assert not mean_rate([Rate(0, 4), Rate(0, 4)]).alike


@given(st.floats(0.02, 0.4), st.floats(0.02, 0.3), st.integers(2, 40))
@settings(max_examples=50, deadline=None)
def test_power_is_that_of_the_t_test(effect: float, spread: float, replicates: int):
    expected = TTestPower().power(effect / spread, replicates, 0.05, alternative="larger")
    two_sided = TTestPower().power(effect / spread, replicates, 0.025, alternative="larger")
    found = t_power(effect, spread, replicates)
    assert found == pytest.approx(two_sided, abs=1e-6)
    assert found <= expected + 1e-9


def test_the_fewest_replicates_have_the_power_and_one_fewer_has_not():
    needed = replicates_needed(0.15, 0.1)
    assert needed is not None
    assert t_power(0.15, 0.1, needed) >= 0.8 > t_power(0.15, 0.1, needed - 1)
    assert replicates_needed(0.15, 0.0) == 2
    assert replicates_needed(0.0, 0.1) is None
    assert replicates_needed(0.001, 0.5, most=50) is None


def test_the_bound_of_the_spread_lies_above_it_as_often_as_it_says():
    rng = np.random.default_rng(4)
    above = sum(spread_bound(rng.standard_normal(3)) >= 1.0 for _ in range(2000))
    assert stats.binomtest(above, 2000, 0.8).pvalue > 0.01


def _pair(base: float, gain: float, n: int, rng: np.random.Generator) -> Paired:
    """Two policies of which the first succeeds in `gain` more of the cases."""
    luck = rng.random(n)  # of the case: both policies find the same cases hard
    return Paired.of((luck < base + gain).tolist(), ((luck + 0.2 * rng.random(n)) % 1 < base).tolist())
