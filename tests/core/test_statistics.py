"""Every statistic against scipy, brute force, or what it promises."""

from itertools import product
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from etude.core import ConfigError, Paired, Rate, cvar, holm

counts = st.integers(0, 60)


@given(counts, counts, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_is_wilsons(k: int, failures: int, level: float) -> None:
    rate = Rate(k, k + failures, level)
    if rate.n == 0:
        assert rate.interval == (0.0, 1.0)
        return
    expected = stats.binomtest(k, rate.n).proportion_ci(level, method="wilson")
    assert rate.interval == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert 0.0 <= rate.low <= rate.value <= rate.high <= 1.0


@given(counts, counts)
def test_swapping_success_and_failure_mirrors_the_interval(k: int, failures: int) -> None:
    rate, mirrored = Rate(k, k + failures), Rate(failures, k + failures)
    assert rate.interval == pytest.approx((1 - mirrored.high, 1 - mirrored.low), abs=1e-12)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.85])
def test_the_interval_covers_about_as_often_as_it_says(p: float) -> None:
    n = 60
    coverage = sum(stats.binom.pmf(k, n, p) for k in range(n + 1) if Rate(k, n).low <= p <= Rate(k, n).high)
    assert coverage == pytest.approx(0.95, abs=0.025)


@pytest.mark.parametrize(("k", "n"), [(-1, 3), (4, 3)])
def test_impossible_counts_are_refused(k: int, n: int) -> None:
    with pytest.raises(ConfigError):
        Rate(k, n)


def test_a_rate_reads_well() -> None:
    assert str(Rate.of([True, False, True])) == "2/3 (21%–94%)"


@given(counts, counts)
def test_the_p_value_is_the_exact_binomial_test(wins: int, losses: int) -> None:
    expected = stats.binomtest(wins, wins + losses).pvalue if wins + losses else 1.0
    assert Paired(wins, losses).p == pytest.approx(expected)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_pairs_are_counted_and_their_roles_can_be_swapped(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    paired, swapped = Paired.of(first, second), Paired.of(second, first)
    assert paired.wins + paired.losses + paired.ties == len(pairs)
    assert (swapped.wins, swapped.losses, swapped.ties) == (paired.losses, paired.wins, paired.ties)
    assert swapped.p == paired.p
    if pairs:
        assert paired.difference == pytest.approx(np.mean(first) - np.mean(second))


@settings(deadline=None)
@given(st.integers(0, 25), st.integers(0, 25))
def test_the_e_value_is_its_integral(wins: int, losses: int) -> None:
    def density(q: float) -> float:
        return 2 ** (wins + losses) * q**wins * (1 - q) ** losses * 2

    expected, _ = integrate.quad(density, 0.5, 1.0)
    assert Paired(wins, losses).e_value == pytest.approx(expected, rel=1e-6)


def test_the_e_value_starts_at_one_and_is_fair_under_equality() -> None:
    """From any state, the mean over an equally likely win or loss is at most what it was: a supermartingale."""
    assert Paired(0, 0).e_value == pytest.approx(1.0)
    for wins, losses in product(range(20), repeat=2):
        ahead = (Paired(wins + 1, losses).e_value + Paired(wins, losses + 1).e_value) / 2
        assert ahead == pytest.approx(Paired(wins, losses).e_value)


def test_looking_after_every_case_is_wrong_at_most_one_time_in_twenty() -> None:
    wins = np.random.default_rng(0).random((3000, 80)) < 0.5
    table = {(w, n - w): Paired(w, n - w).e_value for n in range(1, 81) for w in range(n + 1)}
    ever = sum(any(table[int(w), n + 1 - int(w)] >= 20 for n, w in enumerate(run.cumsum())) for run in wins)
    assert ever / len(wins) <= 0.05


def test_evidence_for_a_better_policy_grows() -> None:
    wins = (np.random.default_rng(0).random((300, 80)) < 0.8).sum(axis=1)
    grown = [Paired(int(w), 80 - int(w)).e_value >= 20 for w in wins]
    assert np.mean(grown) > 0.99
    assert log(Paired(900, 100).e_value) > 300  # no overflow, no zero
    assert Paired(100, 900).e_value < 1


values = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@given(values, st.floats(0.01, 1.0))
def test_cvar_is_the_mean_of_the_worst_share(progress: list[float], fraction: float) -> None:
    array = np.array(progress)
    # By its definition as an optimum: max over c of c - E[(c - X)+] / fraction, attained at a value (Rockafellar).
    brute = max(c - np.maximum(c - array, 0).mean() / fraction for c in progress)
    assert cvar(array, fraction) == pytest.approx(brute, abs=1e-9)


@given(values)
def test_cvar_of_everything_is_the_mean(progress: list[float]) -> None:
    assert cvar(np.array(progress), 1.0) == pytest.approx(np.mean(progress))


@pytest.mark.parametrize("fraction", [0.0, 1.5])
def test_cvar_needs_a_share(fraction: float) -> None:
    with pytest.raises(ConfigError):
        cvar(np.ones(3), fraction)


@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_by_definition(p_values: list[float]) -> None:
    ordered = sorted(p_values)
    m = len(ordered)
    expected = [min(1.0, max((m - j) * q for j, q in enumerate(ordered) if q <= p)) for p in p_values]
    assert holm(p_values) == pytest.approx(expected)


def test_holm_keeps_the_familywise_error() -> None:
    p_values = np.random.default_rng(0).random((2000, 8))
    assert np.mean([min(holm(row.tolist())) < 0.05 for row in p_values]) == pytest.approx(0.05, abs=0.015)
