"""What lifting has of its own; what it shares with every world is in test_worlds.py."""

from dataclasses import replace
from itertools import pairwise
from math import pi

import numpy as np
import pytest

from etude.core import Case, ConfigError, Perturbation, rollout, stream, to_observation
from etude.core.se3 import wrap_angle
from etude.sim import FrankaLift, lifting_expert
from etude.sim.layout import Cube
from etude.sim.worlds.franka.cubes import Scene
from etude.sim.worlds.franka.grasping import Hand, choose_grasp
from etude.sim.worlds.franka.lift import FAILURE_MODES, HELD_STEPS, LiftMonitor, decide
from etude.sim.worlds.franka.tabletop import CUBE_EDGE_M

EDGE = 0.04
TASK = FrankaLift(cameras=())
START = Scene(cubes=((0.5, 0.0, 0.02),), gripper=(0.4, 0.0, 0.25), opening=0.08, uprightness=(1.0,))
NEARER = replace(START, gripper=(0.5, 0.0, 0.1))
AT_CUBE = replace(START, gripper=(0.5, 0.0, 0.02))
CLOSED = replace(AT_CUBE, opening=0.04)
HELD = replace(CLOSED, cubes=((0.5, 0.0, 0.06),), gripper=(0.5, 0.0, 0.06))
HIGH = replace(CLOSED, cubes=((0.5, 0.0, 0.121),), gripper=(0.5, 0.0, 0.121))
PUSHED = replace(START, cubes=((0.55, 0.0, 0.02),))


def follow(*moments: Scene) -> LiftMonitor:
    monitor = LiftMonitor(EDGE)
    for moment in moments:
        monitor.judge(moment)
    return monitor


@pytest.mark.parametrize(
    ("moments", "mode"),
    [
        ((START,), "no_reach"),
        ((START, AT_CUBE, START), "missed_grasp"),
        ((START, PUSHED), "knocked_away"),
        ((START, AT_CUBE, HELD, START), "dropped"),
        ((START, AT_CUBE, HELD, PUSHED), "dropped"),
        ((START, AT_CUBE, HELD), "timeout"),
        ((START, AT_CUBE, HIGH), "timeout"),
    ],
)
def test_a_failure_has_a_name(moments: tuple[Scene, ...], mode: str) -> None:
    monitor = follow(*moments)
    assert monitor.failure_mode == mode
    assert mode in FAILURE_MODES
    assert monitor.progress < 1.0


def test_success_is_a_cube_that_is_held_up_for_a_while() -> None:
    monitor = follow(START, AT_CUBE, HELD, *[HIGH] * (HELD_STEPS - 1))
    assert not monitor.success
    monitor.judge(HIGH)
    assert (monitor.success, monitor.progress, monitor.failure_mode, monitor.stage) == (True, 1.0, "", "lift")
    thrown = follow(START, AT_CUBE, HELD, *[replace(HIGH, opening=0.08)] * 10)
    assert not thrown.success


def test_progress_grows_with_every_stage_and_with_distance_inside_one() -> None:
    moments = (START, NEARER, AT_CUBE, CLOSED, HELD, HIGH)
    values = [follow(*moments[: i + 1]).progress for i in range(len(moments))]
    assert all(a < b for a, b in pairwise(values))


def test_the_expert_lifts() -> None:
    environment = FrankaLift(image_size=16).environment(lazy_images=True, object_state=True)
    for seed in range(5):
        outcome = rollout(environment, FrankaLift().expert(), Case(Perturbation(), seed))
        assert outcome.success
        assert outcome.length <= TASK.max_steps / 2


@pytest.mark.slow
def test_the_expert_masters_the_whole_space() -> None:
    environment, rng = TASK.environment(object_state=True), stream(0, "whole space")
    outcomes = [rollout(environment, TASK.expert(), Case(TASK.space.sample(rng), i)) for i in range(300)]
    assert sum(outcome.success for outcome in outcomes) >= 285


CUBE_AT = {"cube_red.x_m": 0.5, "cube_red.y_m": 0.0, "cube_red.yaw_rad": 0.0}


def beside(index: int, x: float, y: float, **looks: float) -> dict[str, float]:
    place = {f"distractor_{index}.x_m": x, f"distractor_{index}.y_m": y}
    return place | {f"distractor_{index}.{key}": value for key, value in looks.items()}


def test_beside_a_distractor_the_hand_turns_and_between_two_it_grips_off_centre() -> None:
    cube, hand = Cube(0.5, 0.0, 0.02, 0.0, EDGE), Hand(0.4, 0.0, 0.2, 0.0, 0.0, 0.0, 0.08)
    left, ahead = Cube(0.5, 0.045, 0.02, 0.0, EDGE), Cube(0.557, 0.030, 0.02, 0.0, EDGE)
    assert choose_grasp((cube,), 0, hand.yaw).yaw == pytest.approx(0.0)
    assert abs(wrap_angle(choose_grasp((cube,), 0, hand.yaw, (left,)).yaw)) == pytest.approx(pi / 2)
    around = choose_grasp((cube,), 0, hand.yaw, (left, ahead))
    assert abs(wrap_angle(around.yaw)) == pytest.approx(pi / 2)
    assert around.y < -0.005, "away from both"


@pytest.mark.parametrize("seed", range(3))
def test_a_blocked_cube_is_lifted_and_who_does_not_see_the_distractor_fails(seed: int) -> None:
    theta = CUBE_AT | {"distractors.count": 1.0} | beside(1, 0.5, 0.05, shape=0.1)
    environment, case = TASK.environment(object_state=True), Case(Perturbation(theta), seed)
    assert rollout(environment, TASK.expert(), case).success
    blind = replace(TASK.expert(), decide=lambda look: decide(look._replace(obstacles=())))
    assert not rollout(environment, blind, case).success


def test_noise_on_its_actions_is_recovered_from() -> None:
    environment, expert = TASK.environment(object_state=True), lifting_expert(noise=0.05)
    assert all(rollout(environment, expert, Case(Perturbation(), seed)).success for seed in range(3))


def test_it_keeps_nothing_between_calls_and_sees_no_obstacle_that_is_absent() -> None:
    observation = to_observation(TASK.environment(object_state=True).reset(seed=0)[0], "")
    expert, bare = TASK.expert(), lifting_expert(distractors=0)
    (first,), (again,) = (expert.act([observation], [expert.begin(stream(s, "policy"))]) for s in (0, 1))
    np.testing.assert_array_equal(first, again)
    seen = observation.object_state
    assert seen is not None
    np.testing.assert_array_equal(first, bare.act([replace(observation, object_state=seen[:8])], [None])[0])


def test_a_box_of_the_cubes_colour_differs_from_it_in_its_cap() -> None:
    task = FrankaLift(cameras=("front",), image_size=96)
    world = task.world()
    twin = CUBE_AT | {"distractors.count": 1.0} | beside(1, 0.5, 0.08, shape=0.0, hue=0.0)
    world.reset(Perturbation(twin), 0)
    cube, box, cap = (world.model.geom(name) for name in ("cube_red", "distractor_1", "distractor_1_cap"))
    np.testing.assert_allclose(box.rgba, cube.rgba, atol=1e-6)
    assert box.type[0] == cube.type[0]
    assert cap.rgba[:3].max() < 0.1
    assert world.data.geom("distractor_1_cap").xpos[2] + cap.size[1] > 2 * box.size[0], "it shows"


def test_seeds_draw_the_cube_from_the_published_field() -> None:
    environment = TASK.environment(object_state=True)
    states = np.array([environment.reset(seed=seed)[0]["environment_state"] for seed in range(40)])
    low, high = states[:, :2].min(axis=0), states[:, :2].max(axis=0)
    assert (low >= [0.399, -0.141]).all()
    assert (high <= [0.601, 0.141]).all()
    assert (high - low > [0.15, 0.2]).all()
    np.testing.assert_allclose(states[:, 2], CUBE_EDGE_M / 2, atol=1e-3)


def test_a_number_of_distractors_that_cannot_stand_there_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose 0 to 4"):
        FrankaLift(distractors=5)
