"""The spectral arc length against a direct sum, and its laws: scale and duration do not count, sub-movements do."""

from itertools import pairwise

import numpy as np
import pytest
from toys import PointTask

from etude.compute import SerialExecutor
from etude.core import Case, Observation, Outcome, Perturbation, Step
from etude.evaluation import Expert, RandomPolicy, Runner, summarise
from etude.evaluation.smoothness import SmoothnessMeter, alike, sparc

FPS = 100


def reach(duration_s: float = 1.0, fps: float = FPS) -> np.ndarray:
    """Speed of the minimum-jerk movement."""
    t = np.linspace(0, 1, round(duration_s * fps))
    return 30 * t**2 * (1 - t) ** 2 / duration_s


def by_hand(speed: np.ndarray, fps: float) -> float:
    """The definition: every coefficient a sum over time, the band found by walking down from its end."""
    size = 16 * 2 ** int(np.ceil(np.log2(len(speed))))
    frequencies = [k * fps / size for k in range(size // 2 + 1) if k * fps / size <= 10.0]
    moments = np.arange(len(speed)) / fps
    line = [abs(np.sum(speed * np.exp(-2j * np.pi * f * moments))) / speed.sum() for f in frequencies]
    while line[-1] < 0.05:
        line.pop()
    band = frequencies[len(line) - 1]
    lengths = [
        np.hypot((frequencies[i] - frequencies[i - 1]) / band, line[i] - line[i - 1]) for i in range(1, len(line))
    ]
    return -float(sum(lengths))


@pytest.mark.parametrize("fps", [20, 30, 100])
def test_it_is_what_the_definition_says(fps: int) -> None:
    rng = np.random.default_rng(fps)
    for speed in (reach(1.3, fps), np.abs(rng.normal(size=57)), np.concatenate([reach(0.7, fps), reach(1.1, fps)])):
        assert sparc(speed, fps) == pytest.approx(by_hand(speed, fps), rel=1e-9)


def test_one_reach_has_the_length_known_from_the_paper() -> None:
    assert sparc(reach(), FPS) == pytest.approx(-1.41, abs=0.01)


def test_neither_how_fast_nor_how_long_counts() -> None:
    expected = sparc(reach(), FPS)
    assert sparc(1e-3 * reach(), FPS) == pytest.approx(expected, rel=1e-12)
    for duration_s in (0.6, 1.7, 3.0):
        assert sparc(reach(duration_s), FPS) == pytest.approx(expected, abs=0.01)


def test_every_further_movement_makes_it_longer() -> None:
    lengths = [sparc(np.concatenate([reach()] * count), FPS) for count in (1, 2, 3, 5)]
    assert all(after < before - 0.3 for before, after in pairwise(lengths))  # type: ignore[operator]


def test_what_does_not_move_has_none() -> None:
    assert sparc(np.zeros(40), FPS) is None
    assert sparc(np.zeros(0), FPS) is None


def test_numbers_of_the_commonest_unit_are_looked_at() -> None:
    assert alike(["gripper.x_m", "gripper.right_x", "a.position_rad", "b.position_rad"]) == [2, 3]
    assert alike(["state_0", "state_1"]) == [0, 1]
    assert alike(["x_m", "a_rad"]) == [0]
    assert alike([]) == []


def test_an_observer_measures_the_motion_that_it_sees() -> None:
    speed = reach(1.0, 20)
    places = np.concatenate([[0.0], np.cumsum(speed) / 20])
    meter, case = SmoothnessMeter(["x_m", "grip"], 20), Case(Perturbation(), 0)
    meter.begin(case)
    seen = [Observation(images={}, state=np.array([0.6 * x, 7 * x])) for x in places]
    for index, observation in enumerate(seen[:-1]):
        meter.step(Step(index=index, observation=observation, action=np.zeros(2), info={}))
    meter.end(
        seen[-1], Outcome(case=case, success=True, progress=1, stage="", failure_mode="", length=20, total_reward=0)
    )
    assert meter.smoothness == pytest.approx(sparc(speed, 20), rel=1e-9)


def test_every_outcome_of_an_evaluation_has_it_and_chance_moves_less_smoothly() -> None:
    task, cases = PointTask(), [Case(Perturbation(), seed) for seed in range(6)]
    expert = Runner(task, Expert(task), SerialExecutor()).run(cases)
    chance = Runner(task, RandomPolicy.of(task), SerialExecutor()).run(cases)
    means = [summarise(outcomes).mean_smoothness for outcomes in (expert, chance)]
    assert all(o.smoothness is not None for o in [*expert, *chance])
    assert means[1] < means[0] < 0  # type: ignore[operator]
