"""Any Gymnasium environment as a task: what it observes, how factors reach it, and what it refuses."""

import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import gymnasium_toys as toys
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from etude.compute import ProcessExecutor, SerialExecutor
from etude.core import (
    Case,
    ConfigError,
    EtudeError,
    Factor,
    FactorRangeError,
    Perturbation,
    ShapeError,
    UnknownNameError,
    rollout,
)
from etude.evaluation import RandomPolicy, Runner
from etude.sim import make_task
from etude.sim.adapter import (
    Attribute,
    Call,
    EnvironmentNotMadeError,
    FactorMapping,
    FactorNotSettableError,
    GymnasiumConfig,
    GymnasiumTask,
    ObservationMapping,
    ResetOption,
    silent_factors,
)


def factor(name: str, low: float, high: float, nominal: float) -> Factor:
    return Factor(name=name, unit="1", low=low, high=high, nominal=nominal, kind="layout")


TARGET = FactorMapping(factor("target.x_m", -0.8, 0.8, 0.0), ResetOption("target_x"))
LIGHT = FactorMapping(factor("light.intensity", 0.2, 2.0, 1.0), Attribute("unwrapped.scene.light", "scale"))
RED = FactorMapping(factor("light.red", -0.2, 0.5, 0.0), Attribute("unwrapped.scene.light[0]", "add"))
SPEED = FactorMapping(factor("robot.speed", 0.1, 0.4, 0.2), Attribute("unwrapped.speed"))
FACTORS = (TARGET, LIGHT, RED, SPEED)


def config(env: Callable[[], Any] = toys.reach, **settings: Any) -> GymnasiumConfig:
    return GymnasiumConfig(**{"env": env, "name": "reach", "factors": FACTORS, **settings})


def task(env: Callable[[], Any] = toys.reach, **settings: Any) -> GymnasiumTask:
    return GymnasiumTask(config(env, **settings))


def only(mapping: FactorMapping) -> GymnasiumTask:
    return task(factors=(mapping,))


def pixels(theta: dict[str, float], env: Any) -> np.ndarray:
    return env.reset(seed=0, options={"perturbation": theta})[0]["pixels"]["front"]


def test_a_task_is_a_value_that_travels_and_makes_nothing_until_it_is_asked():
    lazy = task(toys.broken)
    assert pickle.loads(pickle.dumps(lazy)) == lazy
    assert len({task(), task()}) == 1
    assert lazy.name == "reach"
    assert lazy.space.names == ("target.x_m", "light.intensity", "light.red", "robot.speed")
    with pytest.raises(EnvironmentNotMadeError, match=r"'reach' could not be made: no graphics card was found\.$"):
        _ = lazy.cameras


def test_it_asks_the_environment_what_nobody_said():
    plain = task()
    assert plain.cameras == ("front", "side")
    assert (plain.image_size, plain.fps, plain.max_steps) == (16, 10, 20)
    assert plain.state_names == tuple(f"state_{i}" for i in range(5))
    assert plain.action_names == ("action_0", "action_1")
    told = task(image_size=8, fps=5, max_steps=3, cameras=("side",), action_names=("dx", "dy"), text="go there")
    assert (told.image_size, told.fps, told.max_steps, told.cameras) == (8, 5, 3, ("side",))
    assert (told.action_names, told.text) == (("dx", "dy"), "go there")


@pytest.mark.parametrize("make", [toys.reach, toys.vector_of_one, toys.hidden_vector])
def test_single_environments_and_vectors_of_one_observe_the_same(make: Callable[[], Any]):
    plain = task(make, factors=())
    env = plain.environment(object_state=True)
    observation, info = env.reset(seed=3)
    reference = toys.Reach()
    expected, _ = reference.reset(seed=3)
    assert env.observation_space.contains(observation)
    np.testing.assert_allclose(observation["environment_state"], expected["environment_state"], rtol=1e-6)
    np.testing.assert_array_equal(observation["agent_pos"], [0, 0, 0, 0, 1])
    assert (info["is_success"], info["progress"], info["stage"], info["subtasks"]) == (False, 0.0, "", {})
    towards = np.float32(np.sign(expected["environment_state"]))
    over, steps = False, 0
    while not over:
        observation, _, terminated, truncated, info = env.step(np.where(steps % 2, towards, 0))
        over, steps = terminated or truncated, steps + 1
    assert not np.array_equal(observation["agent_pos"], [0, 0, 0, 0, 1])  # the last moment, not the next first one
    assert info["failure_mode"] in ("failed", "timeout") or info["is_success"]


def test_images_become_squares_of_one_size_whatever_they_were():
    shown = task(image_size=12).environment().reset(seed=0)[0]["pixels"]
    assert {name: (image.shape, image.dtype.name) for name, image in shown.items()} == {
        "front": ((12, 12, 3), "uint8"),
        "side": ((12, 12, 3), "uint8"),
    }
    assert shown["front"].max() == 100  # the bright edge is cut off
    assert np.unique(shown["side"]).tolist() == [128]
    padded = task(image_size=32, fit="pad", cameras=("front",)).environment().reset(seed=0)[0]["pixels"]["front"]
    assert padded[:4].max() == 0
    assert padded[16, 0, 0] == 255


def test_observations_can_be_mapped_by_hand():
    mapping = ObservationMapping(images=(("eye", "views/front"),), state=("robot/vel",), object_state="robot/pos")
    env = task(observe=mapping).environment(object_state=True)
    observation, _ = env.reset(seed=0)
    assert list(observation["pixels"]) == ["eye"]
    assert observation["agent_pos"].shape == observation["environment_state"].shape == (2,)
    with pytest.raises(UnknownNameError, match="part of the observation 'robot/speed'"):
        _ = task(observe=ObservationMapping(state=("robot/speed",))).state_names
    with pytest.raises(ShapeError, match="robot/pos"):
        _ = task(observe=ObservationMapping(images=(("eye", "robot/pos"),))).cameras


def test_theta_and_seed_fix_the_world_and_nothing_accumulates():
    env, rng = task().environment(object_state=True), np.random.default_rng(0)
    nominal = env.reset(seed=5)[0]
    for _ in range(200):
        env.reset(seed=int(rng.integers(100)), options={"perturbation": env.task.space.sample(rng)})
    inner: Any = env.inner.unwrapped
    again = env.reset(seed=5)[0]
    assert inner.speed == 0.2
    np.testing.assert_array_equal(inner.scene.light, 1.0)
    np.testing.assert_array_equal(again["environment_state"], nominal["environment_state"])
    np.testing.assert_array_equal(again["pixels"]["front"], nominal["pixels"]["front"])


def test_factors_do_what_their_mapping_says():
    env = task().environment(object_state=True)
    theta = {"target.x_m": 0.25, "light.intensity": 0.5, "light.red": 0.25, "robot.speed": 0.4}
    observation, _ = env.reset(seed=0, options={"perturbation": theta})
    assert observation["environment_state"][0] == 0.25
    assert observation["pixels"]["front"][0, 0].tolist() == [75, 50, 50]
    assert env.step(np.ones(2))[0]["agent_pos"][0] == np.float32(0.4)


def test_a_function_can_set_a_factor_after_the_reset_and_what_it_writes_is_put_back():
    call = Call(toys.set_speed, writes=("unwrapped.speed",))
    env = only(FactorMapping(SPEED.factor, call)).environment()
    env.reset(seed=0, options={"perturbation": {"robot.speed": 0.4}})
    assert env.inner.unwrapped.speed == 0.4  # pyright: ignore[reportAttributeAccessIssue]
    env.reset(seed=0)
    assert env.inner.unwrapped.speed == 0.2  # pyright: ignore[reportAttributeAccessIssue]


def test_the_seed_draws_what_the_environment_leaves_to_chance():
    drawn = replace(TARGET, drawn=True)
    env = only(drawn).environment(object_state=True)
    places = [env.reset(seed=seed)[0]["environment_state"][0] for seed in (0, 1, 0)]
    assert places[0] == places[2] != places[1]


def test_silent_factors_are_those_the_first_observation_does_not_show():
    ignored = FactorMapping(factor("table.height_m", 0.0, 1.0, 0.5), ResetOption("table_height"))
    assert silent_factors(task(factors=(TARGET, ignored, SPEED))) == ("table.height_m", "robot.speed")
    with pytest.raises(ConfigError, match="starts differently with the same seed"):
        silent_factors(task(toys.careless))


@pytest.mark.parametrize(
    ("path", "how", "words"),
    [
        ("unwrapped.scene.lamp", "set", "has no attribute 'lamp'"),
        ("unwrapped.scene.light[7]", "set", "out of bounds"),
        ("unwrapped.scene.light", "set", r"has shape \(3,\): name one number with \[index\]"),
        ("unwrapped.scene.label", "set", "holds str, not numbers"),
        ("unwrapped.scene['light']", "scale", "not subscriptable"),
        ("unwrapped.np_random_seed", "set", "cannot be written"),
    ],
)
def test_a_factor_without_a_place_is_one_error_and_the_environment_goes_on(path: str, how: Any, words: str):
    nominal = 1.0 if how == "scale" else 0.5
    env = only(FactorMapping(factor("lamp.power", 0.0, 1.0, nominal), Attribute(path, how))).environment()
    env.reset(seed=0)
    with pytest.raises(FactorNotSettableError, match=f"'lamp.power' cannot be set.*{words}") as raised:
        env.reset(seed=0, options={"perturbation": {"lamp.power": 0.75}})
    assert "\n" not in str(raised.value)
    assert pickle.loads(pickle.dumps(raised.value)).factor == "lamp.power"
    env.reset(seed=0)
    env.step(np.zeros(2))


def test_whole_numbers_stay_whole():
    env = only(FactorMapping(factor("kept", 1.0, 9.0, 3.0), Attribute("unwrapped.scene.steps_kept"))).environment()
    env.reset(seed=0, options={"perturbation": {"kept": 6.7}})
    assert env.inner.unwrapped.scene.steps_kept == 7  # pyright: ignore[reportAttributeAccessIssue]


def test_bad_theta_and_bad_actions_are_refused_and_move_nothing():
    env = task().environment()
    env.reset(seed=0)
    before = env.step(np.ones(2))[0]["agent_pos"]
    for theta, error in (({"lamp": 1.0}, UnknownNameError), ({"light.red": 9.0}, FactorRangeError)):
        with pytest.raises(error):
            env.reset(options={"perturbation": theta})
    for action in (np.zeros(3), np.zeros((2, 1)), np.array([0.0, np.nan])):
        with pytest.raises(ShapeError, match=r"^action: expected"):
            env.step(action)
    np.testing.assert_array_equal(env.step(np.zeros(2))[0]["agent_pos"][:2], before[:2])


def test_actions_are_clipped_unless_the_bounds_are_not_meant():
    env = task().environment()
    env.reset(seed=0)
    assert env.step(np.full(2, 7.0))[0]["agent_pos"][0] == np.float32(0.2)
    env = task(clip_actions=False).environment()
    env.reset(seed=0)
    with pytest.raises(AssertionError):  # the environment's own
        env.step(np.full(2, 7.0))


@pytest.mark.parametrize(
    ("rule", "success"), [("", True), ("success", True), ("reward:-0.19", True), ("reward:1", False)]
)
def test_success_is_what_the_rule_says(rule: str, success: bool):
    outcome = rollout(task(success=rule).environment(object_state=True), Straight(), Case(Perturbation(), 1))
    assert outcome.success is success
    assert outcome.progress == (1.0 if success else 0.0)
    assert outcome.failure_mode == ("" if success else "timeout")


def test_progress_is_the_largest_share_of_the_full_reward():
    env = task(full_reward=1.0, success="reward:9").environment()
    env.reset(seed=0)
    progress = [env.step(np.array([1.0, 0.0]))[4]["progress"] for _ in range(6)]
    assert progress == sorted(progress)
    assert 0 < progress[-1] < 1


def test_an_episode_that_goes_on_after_success_is_judged_at_its_last_moment():
    outcome = rollout(task(end_at_success=False).environment(object_state=True), Straight(), Case(Perturbation(), 1))
    assert outcome.success
    assert outcome.length == 20


def test_an_environment_that_says_nothing_of_success_is_told_at_the_end():
    env = task(toys.reach_without_success, max_steps=2).environment()
    env.reset(seed=0)
    env.step(np.zeros(2))
    with pytest.raises(ConfigError, match=r"its info has distance, not is_success.*success=terminated"):
        env.step(np.zeros(2))
    env.reset(seed=0)
    env.step(np.zeros(2))


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: task(toys.vector_of_two).cameras, ConfigError, "vector of 2"),
        (lambda: task(cameras=("top",)).cameras, UnknownNameError, "camera 'top'"),
        (lambda: task(state_names=("x",)).state_names, ConfigError, "state_names has 1 names"),
        (lambda: config(name=""), ConfigError, "needs a name"),
        (lambda: config(lambda: toys.Reach()), ConfigError, "function of a module"),
        (lambda: config(make=(("speeds", [1, 2]),)), ConfigError, "lists in them as tuples"),
        (lambda: config(image_size=4), ConfigError, "image_size = 4"),
        (lambda: config(fit="stretch"), UnknownNameError, "fit 'stretch'"),
        (lambda: config(success="reward>=4"), ConfigError, "like reward:4"),
        (lambda: GymnasiumConfig(env="Pusher-v5"), ConfigError, "gymnasium/Pusher-v5"),
        (lambda: Attribute("a..b"), ConfigError, "not understood"),
        (lambda: Attribute("a[b]"), ConfigError, "not understood"),
        (lambda: Attribute("a", "replace"), UnknownNameError, "way to write"),  # pyright: ignore[reportArgumentType]
        (lambda: FactorMapping(factor("a", 0.0, 2.0, 0.0), Attribute("a", "scale")), ConfigError, "nominal value is 1"),
        (lambda: task().expert(), ConfigError, "no scripted expert"),
    ],
)
def test_a_mistake_is_named_in_one_line(make: Callable[[], Any], error: type[EtudeError], words: str):
    with pytest.raises(error, match=words) as raised:
        make()
    assert "\n" not in str(raised.value)


def test_it_is_an_environment_to_gymnasium_too():
    check_env(task(factors=()).environment(), skip_render_check=True)


def test_it_evaluates_the_same_in_any_process():
    cases = [Case(task().space.sample(np.random.default_rng(i)), i) for i in range(4)]
    one = Runner(task(), RandomPolicy((-1.0, -1.0), (1.0, 1.0)), SerialExecutor(), slots=2, cases_per_job=2).run(cases)
    with ProcessExecutor(2) as executor:
        two = Runner(task(), RandomPolicy((-1.0, -1.0), (1.0, 1.0)), executor, slots=2, cases_per_job=2).run(cases)
    assert one == two


class Straight:
    """Goes to the target that it sees, and stays."""

    def begin(self, rng: np.random.Generator) -> None:
        del rng

    def act(self, observations: Sequence[Any], memories: Sequence[Any]) -> list[np.ndarray]:
        del memories
        return [np.clip((o.object_state - o.state[:2]) / 0.2, -1, 1)[None].astype(np.float32) for o in observations]


@pytest.mark.filterwarnings("ignore:pkg_resources")  # pygame, which draws the pendulum
@pytest.mark.parametrize(("mode", "side"), [("", 1), ("rgb_array", 500)])
def test_without_cameras_there_is_still_something_to_film(mode: str, side: int):
    options = f",make.render_mode={mode}" if mode else ""
    environment = make_task(f"gymnasium/Pendulum-v1:success=terminated{options}").environment()
    environment.reset(seed=0)
    assert environment.render().shape == (side, side, 3)
    environment.close()
