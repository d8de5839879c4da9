"""The regime is measured as by hand, and decides between uniform and aimed practice."""

from dataclasses import replace
from pathlib import Path

import pytest
from toys import POCKET

from etude.core import Pocket, Rate
from etude.core.files import write_json
from etude.loop.practice.regime import REGIME, Regime, judge_regime


def pocket(inside: int, outside: int, volume: float, expert: int = 20) -> Pocket:
    rates = {"inside": Rate(inside, 20), "outside": Rate(outside, 40), "expert": Rate(expert, 20)}
    return replace(POCKET, volume=volume, **rates)


@pytest.mark.parametrize(
    ("failures", "pockets", "arm", "why"),
    [
        (Rate(85, 100), (pocket(20, 30, 0.1),), "uniform", "fails in 85 of 100 uniform rollouts, almost everywhere"),
        (Rate(20, 100), (), "uniform", "no pocket was confirmed"),
        (Rate(40, 100), (pocket(14, 14, 0.05),), "uniform", "only 10% of the failures lie in pockets"),
        (Rate(10, 100), (pocket(18, 2, 0.1, 8),), "uniform", "the expert itself succeeds in only 8 of 20"),
        (Rate(15, 100), (pocket(18, 5, 0.01),), "failure", "7% of the failures lie in pockets that are 1.0%"),
        (Rate(12, 100), (pocket(18, 2, 0.1),), "failure", "67% of the failures lie in pockets that are 10.0%"),
    ],
)
def test_each_regime_is_recognised(failures: Rate, pockets: tuple[Pocket, ...], arm: str, why: str):
    regime = judge_regime(failures, pockets)
    assert regime.arm == arm
    assert why in regime.why


def test_the_share_of_failures_in_pockets_is_as_by_hand(tmp_path: Path):
    regime = judge_regime(Rate(12, 100), (pocket(18, 2, 0.1),))
    assert regime.share == pytest.approx(0.1 * 0.9 / (0.1 * 0.9 + 0.9 * 0.05))
    assert regime.concentration == pytest.approx(regime.share / 0.1)
    write_json(tmp_path / REGIME, regime.to_json())
    assert Regime.load(tmp_path) == regime
