"""The human-like hand: still a demonstration, never twice the same, always the same for the same stream."""

import numpy as np
import pytest
from generation.grasping import GraspTask

from etude.core import Case, ConfigError, Outcome, Perturbation, PoseControlled, rollout
from etude.data import EpisodeRecorder
from etude.generation.human import HumanLike, HumanStyle
from etude.sim import make_task

TASK = GraspTask()


def _demonstrate(seed: int, style: HumanStyle) -> tuple[Outcome, np.ndarray]:
    environment, recorder = TASK.environment(object_state=True), EpisodeRecorder()
    hand = HumanLike(TASK.expert(), environment, TASK.fps, style)
    return rollout(environment, hand, Case(Perturbation({}), seed), [recorder]), recorder.episode.action


def test_a_hand_without_faults_is_the_expert() -> None:
    still = HumanStyle(tremor_m=0, tremor_rad=0, wander_rad=0, slow=1, pauses_hz=0)
    environment, recorder = TASK.environment(object_state=True), EpisodeRecorder()
    rollout(environment, TASK.expert(), Case(Perturbation({}), 3), [recorder])
    np.testing.assert_allclose(_demonstrate(3, still)[1], recorder.episode.action, atol=1e-6)


def test_demonstrations_succeed_and_take_longer_than_the_expert() -> None:
    environment = TASK.environment(object_state=True)
    cases = [Case(Perturbation({}), seed) for seed in range(5)]
    expert = [rollout(environment, TASK.expert(), case).length for case in cases]
    human = [_demonstrate(case.seed, HumanStyle())[0] for case in cases]
    assert all(outcome.success for outcome in human)
    assert sum(outcome.length for outcome in human) > 1.2 * sum(expert)


def test_the_same_seed_gives_the_same_hand_and_another_another() -> None:
    first, again, other = (_demonstrate(seed, HumanStyle())[1] for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other)


def test_a_pause_asks_for_the_last_target_again() -> None:
    style = HumanStyle(tremor_m=0, tremor_rad=0, wander_rad=0, slow=1, pauses_hz=TASK.fps, pause_s=(0.2, 0.2))
    actions = _demonstrate(0, style)[1]
    moving = np.linalg.norm(actions[:, :2], axis=1) > 1e-9
    assert moving[:8].tolist() == [True, True, False, False, True, False, False, True]


@pytest.mark.parametrize("wrong", [{"slow": 0.0}, {"tremor_m": -1.0}, {"pause_s": (1.0, 0.5)}, {"drift_s": 0.0}])
def test_styles_that_make_no_sense_are_refused(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        HumanStyle(**wrong)


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["franka-lift", "franka-stack", "so101-sort", "aloha-one-arm", "aloha-transfer-cube", "aloha-insertion"],
)
def test_every_world_can_be_shown_how_by_hand(name: str) -> None:
    task = make_task(f"{name}:cameras=none")
    environment = task.environment(object_state=True)
    assert isinstance(environment, PoseControlled)
    hand = HumanLike(task.expert(), environment, task.fps)
    outcomes = [rollout(environment, hand, Case(Perturbation({}), seed)) for seed in range(4)]
    assert sum(outcome.success for outcome in outcomes) >= 2
