from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from etude.core import (
    Case,
    InfeasibleError,
    Memory,
    Observation,
    Perturbation,
    ShapeError,
    rollout,
    stream,
    to_observation,
)
from etude.core.statistics import Rate
from etude.sim import SimEnv, SO101Sort
from etude.sim.robots.so101 import SO101_FEATURES
from etude.sim.worlds.so101.scene import HOME_DEG, PADS
from etude.sim.worlds.so101.sort import SortWorld
from etude.sim.worlds.so101.sort_expert import SortingExpert, choose_yaw
from etude.sim.worlds.so101.sort_stages import FAILURE_MODES, Moment, SortMonitor

TASK = SO101Sort(cameras=())
EDGE = 0.036
RIGHT, WRONG, AWAY = PADS["b1"], PADS["b2"], (0.2, 0.0)
OCCUPIED, FREE = Perturbation({"b1.occupied": 1.0}), Perturbation({"b1.occupied": 0.0})


@cache
def environment() -> SimEnv:
    return TASK.environment(object_state=True)


def world() -> SortWorld:
    found = environment().world
    assert isinstance(found, SortWorld)
    return found


def seen(theta: Perturbation = FREE, seed: int = 0) -> Observation:
    return to_observation(environment().reset(seed=seed, options={"perturbation": theta})[0], TASK.text)


def is_occupied(observation: Observation) -> bool:
    assert observation.object_state is not None
    return bool(observation.object_state[12])


def cube_place(seed: int, theta: Perturbation) -> np.ndarray:
    environment().reset(seed=seed, options={"perturbation": theta})
    return world().object_poses()["cube"][:2, 3]


# The pad that is occupied


def test_the_seed_occupies_b1_in_half_of_the_episodes() -> None:
    taken = [is_occupied(seen(Perturbation(), seed)) for seed in range(200)]
    low, high = Rate.of(taken).low, Rate.of(taken).high
    assert low < 0.5 < high
    assert [is_occupied(seen(Perturbation(), seed)) for seed in range(20)] == taken[:20]


@pytest.mark.parametrize(("value", "taken"), [(0.0, False), (0.49, False), (0.5, True), (1.0, True)])
def test_theta_decides_over_the_seed(value: float, taken: bool) -> None:
    assert {is_occupied(seen(Perturbation({"b1.occupied": value}), seed)) for seed in range(6)} == {taken}


def test_the_occupant_stands_on_b1_wherever_that_lies() -> None:
    moved = Perturbation({"b1.occupied": 1.0, "b1.x_m": 0.215, "b1.y_m": 0.15, "occupant.scale": 1.2})
    seen(moved)
    np.testing.assert_allclose(world().data.body("occupant").xpos, (0.215, 0.15, 1.2 * EDGE / 2))
    np.testing.assert_allclose(world().data.geom("b1").xpos[:2], (0.215, 0.15))
    seen(FREE)
    assert world().data.body("occupant").xpos[2] < -1.0


def test_whether_b1_is_occupied_moves_nothing_else() -> None:
    for seed in range(5):
        np.testing.assert_array_equal(cube_place(seed, OCCUPIED), cube_place(seed, FREE))
        np.testing.assert_array_equal(seen(OCCUPIED, seed).state, seen(FREE, seed).state)


@pytest.mark.parametrize(("theta", "pad"), [(FREE, "b1"), (OCCUPIED, "b2")])
def test_the_expert_puts_the_cube_where_it_belongs(theta: Perturbation, pad: str) -> None:
    outcome = rollout(environment(), TASK.expert(), Case(theta=theta, seed=4))
    assert outcome.success
    np.testing.assert_allclose(world().object_poses()["cube"][:2, 3], PADS[pad], atol=0.012)


@dataclass(frozen=True)
class Blind:
    """The expert, if it believed that B1 is always free, or always taken."""

    occupied: float

    def begin(self, rng: np.random.Generator) -> Memory:
        return rng

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[np.ndarray]:
        believed: list[Observation] = []
        for observation in observations:
            assert observation.object_state is not None
            objects = observation.object_state.copy()
            objects[12] = self.occupied
            believed.append(replace(observation, object_state=objects))
        return TASK.expert().act(believed, memories)


@pytest.mark.parametrize(("theta", "belief"), [(FREE, 1.0), (OCCUPIED, 0.0)])
def test_the_other_pad_is_the_wrong_place(theta: Perturbation, belief: float) -> None:
    outcome = rollout(environment(), Blind(belief), Case(theta=theta, seed=4))
    assert (outcome.success, outcome.failure_mode, outcome.stage) == (False, "wrong_place", "grasp")


# The expert


def test_a_dropped_cube_is_picked_up_again() -> None:
    expert, rng = TASK.expert(), stream(0, "policy")
    observation, lifted, info = seen(), False, dict[str, object]()
    for _ in range(TASK.max_steps):
        (chunk,) = expert.act([observation], [rng])
        action = chunk[0].copy()
        if not lifted and info.get("stage") == "grasp":
            lifted = True
            for _ in range(6):  # somebody opens the jaws on the way
                environment().step(np.r_[action[:5], 60.0].astype(np.float32))
        raw, _, terminated, _, info = environment().step(action)
        observation = to_observation(raw, "")
        if terminated:
            break
    assert lifted
    assert info["is_success"]


def test_it_decides_for_each_observation_alone() -> None:
    expert = TASK.expert()
    first, second = seen(FREE, 1), seen(OCCUPIED, 2)
    together = expert.act([first, second], [None, None])
    np.testing.assert_array_equal(together[0], expert.act([first], [None])[0])
    np.testing.assert_array_equal(together[1], expert.act([second], [None])[0])


def test_its_noise_is_the_memorys_and_spares_the_gripper() -> None:
    noisy, observation = SortingExpert(noise=2.0), seen()
    (plain,) = TASK.expert().act([observation], [None])
    (one,), (again,) = (noisy.act([observation], [stream(3, "policy")]) for _ in range(2))
    np.testing.assert_array_equal(one, again)
    assert (one[0, :5] != plain[0, :5]).all()
    assert one[0, 5] == plain[0, 5]
    assert rollout(environment(), noisy, Case(theta=FREE, seed=0)).success


def test_it_takes_the_cube_where_no_distractor_blocks_the_jaws() -> None:
    expert, cube = TASK.expert(), {"cube.x_m": 0.2, "cube.y_m": 0.0, "cube.yaw_rad": 0.0}
    usual = choose_yaw(expert._look(seen(FREE_AT := Perturbation({**FREE.values, **cube}))))
    beside = {"distractors.count": 1.0, "distractor_1.x_m": 0.2, "distractor_1.y_m": 0.045}
    theta = Perturbation({**FREE_AT.values, **beside})
    assert abs(choose_yaw(expert._look(seen(theta))) - usual) > 1.0
    assert rollout(environment(), expert, Case(theta=theta, seed=0)).success


def test_an_observation_without_objects_is_refused() -> None:
    with pytest.raises(ShapeError, match="object state"):
        TASK.expert().act([replace(seen(), object_state=None)], [None])


# The world


def test_states_and_actions_are_lerobots() -> None:
    assert TASK.state_names == TASK.action_names == SO101_FEATURES
    np.testing.assert_allclose(seen().state, HOME_DEG, atol=5.0)
    goal = np.array([10.0, -30.0, 30.0, 80.0, 70.0, 40.0], np.float32)
    for _ in range(40):
        raw = environment().step(goal)[0]
    np.testing.assert_allclose(raw["agent_pos"], goal, atol=0.5)  # the joints' friction stops them a little short


def test_things_on_the_pads_are_refused() -> None:
    with pytest.raises(InfeasibleError, match="overlap"):
        seen(Perturbation({"cube.x_m": 0.2, "cube.y_m": 0.08, "b1.x_m": 0.2, "b1.y_m": 0.12}))
    x, y = PADS["b2"]
    with pytest.raises(InfeasibleError, match="overlap"):
        seen(
            Perturbation(
                {"distractors.count": 1.0, "distractor_1.x_m": x, "distractor_1.y_m": y, "b2.x_m": x, "b2.y_m": y}
            )
        )


# How an episode is judged


def moment(
    xy: Sequence[float], *, z: float = EDGE / 2, hand: Sequence[float] = (0.2, 0.0, 0.15), opening: float = 0.06
) -> Moment:
    return Moment(cube=(*xy, z), hand=hand, opening=opening)


def held(xy: Sequence[float], z: float = 0.06) -> Moment:
    return moment(xy, z=z, hand=(xy[0] - 0.02, xy[1], z), opening=EDGE)


@pytest.mark.parametrize(
    ("moments", "mode"),
    [
        ([moment(AWAY)], "no_reach"),
        ([moment(AWAY, hand=(0.18, 0.0, 0.018)), moment(AWAY)], "missed_grasp"),
        ([held(AWAY), moment((0.25, 0.05))], "dropped"),
        ([held(AWAY), held(RIGHT), moment((RIGHT[0] + 0.04, RIGHT[1]))], "misplaced"),
        ([held(AWAY), held(WRONG), moment(WRONG)], "wrong_place"),
        ([held(AWAY), held(RIGHT)], "timeout"),
        ([held(AWAY), held(RIGHT), moment(RIGHT)], "timeout"),
    ],
)
def test_failures_have_names(moments: list[Moment], mode: str) -> None:
    monitor = SortMonitor(right=RIGHT, wrong=WRONG, edge=EDGE)
    for one in moments:
        monitor.judge(one)
    assert monitor.failure_mode == mode
    assert mode in FAILURE_MODES
    assert not monitor.success


def test_a_cube_that_lies_released_on_the_right_pad_is_a_success() -> None:
    monitor = SortMonitor(right=RIGHT, wrong=WRONG, edge=EDGE)
    progress = [0.0]
    for one in [moment(AWAY), held(AWAY), held(RIGHT), held(RIGHT, z=EDGE / 2), *[moment(RIGHT)] * 10]:
        monitor.judge(one)
        progress.append(monitor.progress)
    assert monitor.success
    assert monitor.failure_mode == ""
    assert progress == sorted(progress)
    assert list(monitor.subtasks.values()) == [True, True, True]
