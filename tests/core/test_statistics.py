"""Every statistic against scipy, brute force, or what it promises."""

from functools import cache
from itertools import product
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize, stats
from scipy.special import betaln
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

from etude.core import ConfigError, Paired, Rate, cvar, holm
from etude.core.statistics import cases_needed, losses_needed
from etude.search.pockets import more_frequent_p

counts = st.integers(0, 60)


@given(counts, counts, st.sampled_from([0.8, 0.95, 0.99]))
def test_the_interval_is_wilsons(k: int, failures: int, level: float) -> None:
    rate = Rate(k, k + failures, level)
    if rate.n == 0:
        assert rate.interval == (0.0, 1.0)
        return
    expected = stats.binomtest(k, rate.n).proportion_ci(level, method="wilson")
    assert rate.interval == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert rate.interval == pytest.approx(proportion_confint(k, rate.n, 1 - level, "wilson"), abs=1e-9)
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
    if wins + losses:
        assert Paired(wins, losses).p == pytest.approx(mcnemar([[7, wins], [losses, 5]], exact=True).pvalue)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=40))
def test_pairs_are_counted_and_their_roles_can_be_swapped(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    paired, swapped = Paired.of(first, second), Paired.of(second, first)
    assert paired.wins + paired.losses + paired.ties == len(pairs)
    assert (swapped.wins, swapped.losses, swapped.ties) == (paired.losses, paired.wins, paired.ties)
    assert swapped.p == paired.p
    if pairs:
        assert paired.difference == pytest.approx(np.mean(first) - np.mean(second))


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


@given(st.integers(0, 25), st.integers(0, 25))
def test_the_two_sided_e_value_is_its_integral_and_the_mean_of_two_one_sided_ones(wins: int, losses: int) -> None:
    def density(q: float) -> float:
        return 2 ** (wins + losses) * q**wins * (1 - q) ** losses * stats.beta.pdf(q, 2, 2)

    lower, _ = integrate.quad(density, 0.0, 0.5)
    upper, _ = integrate.quad(density, 0.5, 1.0)
    assert Paired(wins, losses).two_sided_e_value == pytest.approx((2 * lower + 2 * upper) / 2, rel=1e-6)
    assert Paired(wins, losses).two_sided_e_value == pytest.approx(Paired(losses, wins).two_sided_e_value)


def test_evidence_is_exact_for_thousands_of_cases() -> None:
    for wins, losses in ((2600, 2400), (2500, 2500), (2400, 2600), (5000, 0)):
        paired = Paired(wins, losses)
        nearly = (wins + losses) * log(2) + betaln(wins + 2, losses + 2) - betaln(2, 2)
        assert log(paired.two_sided_e_value) == pytest.approx(min(nearly, 700), rel=1e-9)
        one_sided = (
            log(2) * (wins + losses + 1) + betaln(wins + 1, losses + 1) + stats.beta.logsf(0.5, wins + 1, losses + 1)
        )
        assert log(paired.e_value) == pytest.approx(min(one_sided, 700), rel=1e-6)
        assert paired.p == pytest.approx(stats.binomtest(wins, 5000).pvalue, rel=1e-9, abs=1e-300)


def test_the_two_sided_e_value_is_fair_under_equality() -> None:
    for wins, losses in product(range(20), repeat=2):
        ahead = (Paired(wins + 1, losses).two_sided_e_value + Paired(wins, losses + 1).two_sided_e_value) / 2
        assert ahead == pytest.approx(Paired(wins, losses).two_sided_e_value)


small = st.integers(0, 30)


def most_likely_losses(wins: int, losses: int, ties: int, delta: float) -> float:
    """The most likely share of losses if the difference is delta, found by looking for it."""

    def unlikely(share: float) -> float:
        shares = np.array([share + delta, share, 1 - 2 * share - delta])
        return -float(np.sum(np.array([wins, losses, ties]) * np.log(np.maximum(shares, 1e-300))))

    low, high = max(0.0, -delta), (1 - delta) / 2
    return float(optimize.minimize_scalar(unlikely, bounds=(low, high), method="bounded", options={"xatol": 1e-12}).x)


@settings(max_examples=50)
@given(st.integers(1, 30), st.integers(1, 30), small)
def test_the_interval_of_a_difference_ends_where_the_score_test_begins_to_reject(w: int, l: int, ties: int) -> None:
    paired, z = Paired(w, l, ties + 1), stats.norm.ppf(0.975)
    for delta, sign in zip(paired.interval(), (1, -1), strict=True):
        share = most_likely_losses(w, l, ties + 1, delta)
        score = (w - l - paired.n * delta) / np.sqrt(paired.n * (2 * share + delta * (1 - delta)))
        assert score == pytest.approx(sign * z, abs=1e-3)


@given(small, small, small)
def test_intervals_of_a_difference_hold_it_and_mirror(wins: int, losses: int, ties: int) -> None:
    paired, swapped = Paired(wins, losses, ties), Paired(losses, wins, ties)
    for interval, mirrored in (
        (paired.interval(), swapped.interval()),
        (paired.anytime_interval(), swapped.anytime_interval()),
    ):
        assert interval == pytest.approx((-mirrored[1], -mirrored[0]), abs=1e-9)
        assert -1 <= interval[0] <= interval[1] <= 1
        if paired.n:
            assert interval[0] <= paired.difference <= interval[1]


def test_at_zero_the_interval_is_mcnemars_test_without_correction() -> None:
    for wins, losses in product(range(25), repeat=2):
        if wins + losses:
            rejected = mcnemar([[9, wins], [losses, 9]], exact=False, correction=False).pvalue < 0.05
            low, high = Paired(wins, losses, 18).interval()
            assert rejected == (low > 0 or high < 0)


def test_without_discordant_cases_the_interval_is_known() -> None:
    z = float(stats.norm.ppf(0.975))
    assert Paired(0, 0, 50).interval() == pytest.approx((-(z**2) / (50 + z**2), z**2 / (50 + z**2)))
    assert Paired(0, 0).interval() == Paired(0, 0).anytime_interval() == (-1.0, 1.0)
    assert Paired(4, 0).interval()[1] == Paired(4, 0).anytime_interval()[1] == 1.0


def exact_coverage(n: int, win: float, loss: float) -> float:
    """Probability of all tables whose interval holds the true difference."""
    covered = 0.0
    for wins in range(n + 1):
        for losses in range(n + 1 - wins):
            low, high = Paired(wins, losses, n - wins - losses).interval()
            if low <= win - loss <= high:
                covered += stats.multinomial.pmf([wins, losses, n - wins - losses], n, [win, loss, 1 - win - loss])
    return covered


@pytest.mark.slow
@pytest.mark.parametrize(("win", "loss"), [(0.05, 0.05), (0.25, 0.05), (0.4, 0.1)])
def test_the_interval_of_a_difference_covers_about_as_often_as_it_says(win: float, loss: float) -> None:
    assert exact_coverage(30, win, loss) >= 0.935


@settings(max_examples=40)
@given(small, small, small, st.sampled_from([0.01, 0.05, 0.2]))
def test_the_anytime_interval_leaves_out_zero_exactly_when_the_e_value_decides(
    wins: int, losses: int, ties: int, alpha: float
) -> None:
    paired = Paired(wins, losses, ties)
    low, high = paired.anytime_interval(alpha)
    assert (low > 0 or high < 0) == (paired.two_sided_e_value >= 1 / alpha)


@pytest.mark.parametrize(("wins", "losses", "ties"), [(14, 3, 30), (2, 9, 4), (0, 5, 20)])
def test_the_anytime_interval_ends_where_a_bettor_wins_twenty_times_the_stake(
    wins: int, losses: int, ties: int
) -> None:
    def capital(difference: float) -> float:
        mu = (1 + difference) / 2

        def bets(u: float) -> float:
            ahead, behind = u / mu, (1 - u) / (1 - mu)
            return ahead**wins * behind**losses * ((ahead + behind) / 2) ** ties * stats.beta.pdf(u, 2, 2)

        return integrate.quad(bets, 0, 1, limit=200)[0]

    paired = Paired(wins, losses, ties)
    for end in paired.anytime_interval():
        assert capital(end) == pytest.approx(20, rel=1e-4)
    low, high = paired.anytime_interval()
    inside, outside = (
        np.linspace(low, high, 9)[1:-1],
        [*np.linspace(-0.95, low, 5)[:-1], *np.linspace(high, 0.95, 5)[1:]],
    )
    assert all(capital(m) < 20 for m in inside)
    assert all(capital(m) > 20 for m in outside)


@pytest.mark.slow
@pytest.mark.parametrize(("win", "loss"), [(0.05, 0.0), (0.3, 0.2)])
def test_the_anytime_interval_holds_at_all_looks_at_once(win: float, loss: float) -> None:
    drawn = np.random.default_rng(0).random((300, 160))
    wins, losses = (drawn < win).cumsum(axis=1), ((drawn >= win) & (drawn < win + loss)).cumsum(axis=1)

    @cache
    def misses(wins: int, losses: int, cases: int) -> bool:
        low, high = Paired(wins, losses, cases - wins - losses).anytime_interval()
        return not low <= win - loss <= high

    missed = [
        any(misses(int(w[n]), int(l[n]), n + 1) for n in range(15, 160, 16)) for w, l in zip(wins, losses, strict=True)
    ]
    assert np.mean(missed) <= 0.05


@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 20), st.integers(0, 20))
def test_more_frequent_is_fishers_exact_test(k: int, rest: int, other_k: int, other_rest: int) -> None:
    inside, outside = Rate(k, k + rest), Rate(other_k, other_k + other_rest)
    expected = stats.fisher_exact([[k, rest], [other_k, other_rest]], alternative="greater").pvalue
    assert more_frequent_p(inside, outside) == pytest.approx(expected)


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


@settings(max_examples=40)
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_by_definition(p_values: list[float]) -> None:
    ordered = sorted(p_values)
    m = len(ordered)
    expected = [min(1.0, max((m - j) * q for j, q in enumerate(ordered) if q <= p)) for p in p_values]
    assert holm(p_values) == pytest.approx(expected)
    if p_values:
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1])


def test_holm_keeps_the_familywise_error() -> None:
    p_values = np.random.default_rng(0).random((2000, 8))
    assert np.mean([min(holm(row.tolist())) < 0.05 for row in p_values]) == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize("tests", [1, 2, 22])
def test_the_losses_needed_are_the_fewest_that_holm_lets_pass(tests: int) -> None:
    needed = losses_needed(tests)
    others = [1.0] * (tests - 1)
    assert holm([Paired(0, needed).p, *others])[0] < 0.05 <= holm([Paired(0, needed - 1).p, *others])[0]


@pytest.mark.parametrize(("drop", "tests"), [(0.3, 1), (0.3, 22), (1.0, 22), (0.15, 5)])
def test_the_cases_needed_are_the_fewest_that_show_a_drop_often_enough(drop: float, tests: int) -> None:
    n, needed = cases_needed(drop, tests), losses_needed(tests)
    assert stats.binom.sf(needed - 1, n, drop) >= 0.8
    assert n == needed or stats.binom.sf(needed - 1, n - 1, drop) < 0.8
