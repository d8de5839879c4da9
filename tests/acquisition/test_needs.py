"""What a pocket takes is told with an interval that holds, and not told where the rates cannot know."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
from toys import POCKET

from etude.acquisition.needs import Need, NeedConfig, Posterior, estimate_need
from etude.core import ConfigError, Rate

EXPERT = Rate(20, 20)


def exponential(start: float, scale: float) -> tuple[list[float], float]:
    """Success after 0, 10, 20 and 40 demonstrations, and how many reach 0.8."""
    rates = [1 - (1 - start) * math.exp(-n / scale) for n in (0, 10, 20, 40)]
    return rates, max(0.0, -scale * math.log(0.2 / (1 - start)))


def power(start: float, scale: float, exponent: float) -> tuple[list[float], float]:
    rates = [1 - (1 - start) * (1 + n / scale) ** -exponent for n in (0, 10, 20, 40)]
    return rates, max(0.0, scale * ((0.2 / (1 - start)) ** (-1 / exponent) - 1))


@pytest.mark.parametrize("cases", [20, 50])
def test_intervals_hold_what_was_planted_whichever_family_it_is_of(cases: int):
    rng, held, known, wrong = np.random.default_rng(cases), 0, 0, 0
    for i in range(160):
        start = rng.uniform(0, 0.6)
        scale = math.exp(rng.uniform(math.log(5), math.log(300)))
        rates, wanted = exponential(start, scale) if i % 2 else power(start, scale, rng.uniform(0.5, 2))
        measured = {n: Rate(int(rng.binomial(cases, p)), cases) for n, p in zip((0, 10, 20, 40), rates, strict=True)}
        need = estimate_need(POCKET, EXPERT, measured)
        held += need.low <= wanted <= need.high
        if need.verdict == "known":
            known += 1
            wrong += not need.low / 2 <= wanted <= 2 * need.high
    assert held / 160 >= 0.8
    assert known >= 40
    assert wrong / known <= 0.1


def test_precise_rates_of_a_planted_curve_give_its_number():
    rates, wanted = exponential(0.1, 25)
    measured = {n: Rate(round(4000 * p), 4000) for n, p in zip((0, 10, 20, 40), rates, strict=True)}
    need = estimate_need(POCKET, EXPERT, measured)
    assert need.verdict == "known"
    assert need.demonstrations == pytest.approx(wanted, rel=0.25)
    assert need.success(20) == pytest.approx(rates[2], abs=0.05)


def test_more_rollouts_and_farther_counts_narrow_the_interval():
    few = estimate_need(POCKET, EXPERT, {0: Rate(2, 20), 10: Rate(7, 20)})
    more = estimate_need(POCKET, EXPERT, {0: Rate(10, 100), 10: Rate(35, 100)})
    farther = estimate_need(POCKET, EXPERT, {0: Rate(2, 20), 10: Rate(7, 20), 40: Rate(14, 20)})
    assert few.high / few.low > more.high / more.low
    assert few.high / few.low > farther.high / farther.low


def test_what_the_expert_cannot_do_is_told_and_nothing_else_is():
    need = estimate_need(POCKET, Rate(3, 20), {0: Rate(0, 20), 40: Rate(2, 20)})
    assert need.verdict == "unsolvable"
    assert need.describe() == "not solvable by the expert (3/20)"
    assert need.expected == ()
    assert need.success(100) == 0


@pytest.mark.parametrize(
    ("measured", "verdict", "words"),
    [
        ({0: Rate(19, 20), 10: Rate(20, 20)}, "solved", "none: the policy reaches 80% there already"),
        ({0: Rate(0, 20), 10: Rate(0, 20), 20: Rate(1, 20)}, "unclear", "cannot be told from so little: at least"),
        ({0: Rate(2, 20), 10: Rate(12, 20), 20: Rate(16, 20), 40: Rate(19, 20)}, "known", "about "),
        ({}, "unclear", "not measured"),
    ],
)
def test_what_the_rates_say_is_told_in_words(measured: dict[int, Rate], verdict: str, words: str):
    need = estimate_need(POCKET, EXPERT, measured)
    assert need.verdict == verdict
    assert need.describe().startswith(words)


def test_a_weaker_expert_lowers_the_target_and_no_curve_exceeds_it():
    need = estimate_need(POCKET, Rate(12, 20), {0: Rate(1, 20), 40: Rate(10, 20)})
    assert need.target == pytest.approx(0.48)
    assert need.verdict == "known"
    assert max(e.high for e in need.expected) <= 0.6


def test_expected_success_rises_and_bends_downwards():
    need = estimate_need(POCKET, EXPERT, {0: Rate(2, 20), 10: Rate(9, 20), 20: Rate(12, 20)})
    gains = [need.success(n + 1) - need.success(n) for n in range(0, 190, 10)]
    assert min(gains) > 0
    assert all(a >= b - 1e-12 for a, b in pairwise(gains))
    assert all(e.low <= e.mean <= e.high for e in need.expected)


def test_every_curve_reaches_the_target_at_the_number_it_is_told_to():
    posterior = Posterior.of(0.9, {0: Rate(2, 20), 10: Rate(9, 20)})
    counts = posterior.counts_for(0.7)
    assert posterior.weight.sum() == pytest.approx(1)
    for i in range(0, len(counts), 97):
        if counts[i]:
            assert posterior.success(counts[i])[i] == pytest.approx(0.7)
        else:
            assert posterior.start[i] >= 0.7 - 1e-9


@pytest.mark.parametrize("rates", [{}, {0: Rate(2, 20), 10: Rate(9, 20)}])
def test_a_need_is_the_same_after_it_was_written(rates: dict[int, Rate]):
    need = estimate_need(POCKET, EXPERT, rates)
    assert Need.from_json(json.loads(json.dumps(need.to_json()))) == need


def test_a_target_that_is_no_share_is_refused():
    with pytest.raises(ConfigError, match=r"^target = 1.5 must lie between 0 and 1\.$"):
        NeedConfig(target=1.5)
