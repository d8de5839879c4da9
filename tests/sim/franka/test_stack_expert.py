"""The expert as a function of what it sees: symmetric grasps, blocked grasps, correction."""

from math import pi

import numpy as np
import pytest

from etude.core import Case, ConfigError, Observation, Perturbation, ShapeError, rollout, stream, to_observation
from etude.core.se3 import wrap_angle
from etude.sim import FrankaStack, stacking_expert
from etude.sim.layout import Cube
from etude.sim.worlds.franka.grasping import Hand, Look, choose_grasp
from etude.sim.worlds.franka.stack_expert import decide

EDGE = 0.04
TASK = FrankaStack(cubes=2, distractors=0, cameras=())
ABOVE = Hand(0.4, 0.0, 0.2, 0.0, 0.0, 0.0, 0.08)


def cube(x: float, y: float, yaw: float = 0.0) -> Cube:
    return Cube(x, y, 0.02, yaw, EDGE)


FAR = cube(0.6, 0.1)


def test_of_equivalent_grasps_it_takes_the_one_that_turns_the_hand_least() -> None:
    for yaw in np.linspace(-3.0, 3.0, 25).tolist():
        grasp = choose_grasp((FAR, cube(0.4, 0.0, yaw)), 1, hand_yaw=0.1)
        assert abs(grasp.yaw - 0.1) <= pi / 4 + 1e-9
        assert abs((grasp.yaw - yaw + pi / 4) % (pi / 2) - pi / 4) < 1e-9


@pytest.mark.parametrize("side", [-1, 1])
def test_a_neighbour_where_a_finger_would_go_makes_it_take_the_free_axis(side: int) -> None:
    red, beside, ahead = cube(0.5, 0.0), cube(0.5, side * 0.045), cube(0.5 + side * 0.045, 0.0)
    assert abs(wrap_angle(choose_grasp((beside, red), 1, hand_yaw=0.0).yaw)) == pytest.approx(pi / 2)
    assert choose_grasp((ahead, red), 1, hand_yaw=0.0).yaw == pytest.approx(0.0)


BLOCKED = {"cube_red.x_m": 0.5, "cube_red.y_m": 0.042, "cube_red.yaw_rad": 0.0}
BY_A_CUBE = {"cube_blue.x_m": 0.5, "cube_blue.y_m": 0.0, "cube_blue.yaw_rad": 0.0}
BY_A_DISTRACTOR = {"distractors.count": 1.0, "distractor_1.x_m": 0.5, "distractor_1.y_m": 0.0}


@pytest.mark.parametrize("neighbour", [BY_A_CUBE, BY_A_DISTRACTOR], ids=["cube", "distractor"])
def test_a_blocked_grasp_is_carried_out(neighbour: dict[str, float]) -> None:
    task = FrankaStack(cubes=2, distractors=1, cameras=())
    environment, expert = task.environment(object_state=True), task.expert()
    raw, info = environment.reset(seed=0, options={"perturbation": Perturbation(BLOCKED | neighbour)})
    turned, done = 0.0, False
    while not done:
        (chunk,) = expert.act([to_observation(raw, "")], [None])
        raw, _, terminated, truncated, info = environment.step(chunk[0])
        turned = max(turned, abs(float(np.arctan2(raw["agent_pos"][4], raw["agent_pos"][3]))))
        done = terminated or truncated
    assert info["is_success"]
    assert turned > 1.4


def test_it_picks_up_again_what_was_taken_from_it() -> None:
    environment, expert = TASK.environment(object_state=True), TASK.expert()
    raw, info = environment.reset(seed=2)
    opened, done = False, False
    while not done:
        (chunk,) = expert.act([to_observation(raw, "")], [None])
        action = chunk[0].copy()
        if info["stage"] == "grasp_1" and not opened:  # let go in the middle of the way
            action[6], opened = 1.0, raw["agent_pos"][9] > 0.06
        raw, _, terminated, truncated, info = environment.step(action)
        done = terminated or truncated
    assert opened
    assert info["is_success"]


def test_it_keeps_nothing_between_calls() -> None:
    look = Look((FAR, cube(0.45, -0.05, 0.3)), ABOVE, ())
    first = decide(look)
    decide(Look((FAR, cube(0.5, 0.05)), ABOVE, ()))
    assert decide(look) == first


def test_its_noise_comes_from_the_episodes_generator() -> None:
    observation = to_observation(TASK.environment(object_state=True).reset(seed=0)[0], "")
    noisy, plain = stacking_expert(cubes=2, distractors=0, noise=0.05), TASK.expert()

    def first(seed: int) -> np.ndarray:
        return noisy.act([observation], [noisy.begin(stream(seed, "policy"))])[0]

    np.testing.assert_array_equal(first(0), first(0))
    assert (first(0) != first(1)).any()
    (quiet,) = plain.act([observation], [plain.begin(stream(0, "policy"))])
    assert quiet.shape == (1, 7)
    assert quiet.dtype == np.float32
    assert quiet[0, 6] == first(0)[0, 6]


def test_noise_on_its_actions_is_recovered_from() -> None:
    environment = TASK.environment(object_state=True)
    expert = stacking_expert(cubes=2, distractors=0, noise=0.05)
    assert all(rollout(environment, expert, Case(Perturbation(), seed)).success for seed in (0, 1, 2))


def test_without_the_cubes_poses_it_says_so() -> None:
    with pytest.raises(ShapeError, match="object state"):
        TASK.expert().act([Observation(images={}, state=np.zeros(17, np.float32))], [None])
    with pytest.raises(ConfigError, match="noise = 2 of the expert"):
        stacking_expert(noise=2.0)
