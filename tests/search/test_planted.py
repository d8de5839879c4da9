"""The planted truth is what it says: volumes, chances, slopes, and nothing but the case decides."""

import numpy as np
import pytest

from etude.core import Case, ConfigError, stream
from etude.search.planted import PlantedTruth, planted_space


def cases(truth: PlantedTruth, n: int, seed: int = 0) -> list[Case]:
    rng = np.random.default_rng(seed)
    return [Case(truth.space.sample(rng), i) for i in range(n)]


@pytest.mark.parametrize("volume", [0.003, 0.04])
@pytest.mark.parametrize("seed", range(5))
def test_six_pockets_in_two_to_four_of_ten_factors_have_the_volume_asked_for(volume: float, seed: int) -> None:
    truth = PlantedTruth.draw(volume, stream(seed))
    assert (len(truth.space.factors), len(truth.pockets), len(truth.decoys)) == (10, 6, 3)
    for bounds in truth.pockets:
        assert 2 <= len(bounds) <= 4
        assert all(-1 <= low < high <= 3 for low, high in bounds.values())
        assert np.prod([(high - low) / 4 for low, high in bounds.values()]) == pytest.approx(volume / 6)


def test_it_fails_inside_and_hardly_anywhere_else() -> None:
    truth = PlantedTruth.draw(0.3, stream(0))
    tried = cases(truth, 4000)
    failed = np.array([not outcome.success for outcome in truth.policy(tried)])
    inside = truth.holders(tried).any(axis=1)
    assert failed[inside].mean() == pytest.approx(0.95, abs=0.03)
    assert failed[~inside].mean() < 0.005


def test_the_case_alone_decides() -> None:
    truth = PlantedTruth.draw(0.04, stream(1))
    tried = cases(truth, 50)
    outcomes = truth.policy(tried)
    assert truth.policy(tried[::-1]) == outcomes[::-1]
    again = truth.policy([Case(case.theta, case.seed + 1) for case in tried])
    assert [outcome.progress for outcome in again] != [outcome.progress for outcome in outcomes]


def test_severity_rises_towards_pockets_and_decoys_within_reach_and_only_failures_are_severe() -> None:
    pocket, decoy = {"thing_0.size_m": (1.0, 1.4)}, {"thing_1.size_m": (1.0, 1.4)}
    truth = PlantedTruth(space=planted_space(3), pockets=(pocket,), decoys=(decoy,), noise=0.0, elsewhere=0.0)

    def severities(*unit: tuple[float, float]) -> list[float]:
        points = [truth.space.from_unit(np.array([*u, 0.5])) for u in unit]
        return [1 - outcome.progress for outcome in truth.policy([Case(theta, 3) for theta in points])]

    far, near, nearer, inside = severities((0.0, 0.0), (0.35, 0.0), (0.45, 0.0), (0.55, 0.0))
    assert far == 0 < near < nearer <= 0.5 < 0.75 <= inside
    assert severities((0.0, 0.35), (0.0, 0.45), (0.0, 0.55)) == pytest.approx([near, nearer, 0.5])
    binary = PlantedTruth(space=truth.space, pockets=(pocket,), graded=False)
    assert {outcome.progress for outcome in binary.policy(cases(binary, 300))} == {0.0, 1.0}


def test_the_expert_fails_where_it_is_hard() -> None:
    truth = PlantedTruth(space=planted_space(2), pockets=(), hard=({"thing_0.size_m": (-1.0, 1.0)},))
    outcomes = truth.expert(cases(truth, 50))
    assert all(outcome.success == (outcome.case.theta.values["thing_0.size_m"] > 1) for outcome in outcomes)
    assert all(outcome.success for outcome in PlantedTruth(space=truth.space, pockets=()).expert(cases(truth, 20)))


def test_chances_that_make_no_sense_are_refused() -> None:
    for wrong in ({"failure": 1.2}, {"elsewhere": 0.99}, {"reach": 0.0}, {"noise": -1.0}):
        with pytest.raises(ConfigError):
            PlantedTruth(space=planted_space(2), pockets=(), **wrong)
