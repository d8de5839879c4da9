"""gym_hil's and gym_aloha's environments as installed, through the adapter: factors, experts, names, errors."""

import os
import pickle
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import gymnasium
import lerobot_worlds
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from etude.core import (
    Case,
    ConfigError,
    MissingDependencyError,
    Perturbation,
    ShapeError,
    Task,
    UnknownNameError,
    rollout,
    stream,
)
from etude.sim import make_task
from etude.sim.adapter import AdaptedEnv, EnvironmentNotMadeError, GymnasiumConfig, GymnasiumTask, ready_config

PICK, PICK_STATE = "gym_hil/PandaPickCube-v0:image_size=64", "gym_hil/PandaPickCube-v0:make.image_obs=false"
TRANSFER, INSERTION = "gym_aloha/AlohaTransferCube-v0:image_size=64", "gym_aloha/AlohaInsertion-v0:image_size=64"
SEEN_LATER = {"pads.friction", "cube.friction", "peg.friction"}  # they change the dynamics alone


@cache
def environment(spec: str) -> AdaptedEnv:
    made = make_task(spec).environment(object_state=True)
    assert isinstance(made, AdaptedEnv)
    quicken(made.inner)
    return made


def quicken(env: Any) -> None:
    """Without shadows images take a third of the time."""
    inner = env.unwrapped
    model = inner._env.physics.model.ptr if hasattr(inner, "_env") else inner.model
    model.light_castshadow[:] = 0


@pytest.fixture(scope="module", autouse=True)
def close_environments() -> Iterator[None]:
    yield
    for spec in (PICK, PICK_STATE, TRANSFER, INSERTION):
        environment(spec).close()
    environment.cache_clear()


def start(spec: str, theta: dict[str, float], seed: int = 0) -> Any:
    return environment(spec).reset(seed=seed, options={"perturbation": theta})[0]


def parts(observation: Any) -> dict[str, Any]:
    return {**observation["pixels"], "robot": observation["agent_pos"], "objects": observation["environment_state"]}


def changed(one: Any, other: Any) -> set[str]:
    return {name for name, part in parts(one).items() if not np.array_equal(part, parts(other)[name])}


@pytest.mark.parametrize("spec", [PICK, TRANSFER, INSERTION])
def test_every_factor_changes_what_it_says_and_nothing_else(spec: str):
    task = make_task(spec)
    assert len(task.space.factors) >= 12
    assert {factor.kind for factor in task.space.factors} == {"layout", "camera", "lighting", "appearance", "physics"}
    nominal = start(spec, {})
    for factor in task.space.factors:
        end = max(factor.low, factor.high, key=lambda value, nominal=factor.nominal: abs(value - nominal))
        found = changed(nominal, start(spec, {factor.name: end}))
        if factor.kind == "layout":
            assert "objects" in found, factor.name
        elif factor.name in SEEN_LATER:
            assert not found, factor.name
        else:
            assert found
            assert found <= set(task.cameras), factor.name
        if factor.kind == "camera":
            assert found == {factor.name.partition("_camera")[0]}
    assert changed(nominal, start(spec, {})) == set()


@pytest.mark.parametrize("spec", [PICK, TRANSFER, INSERTION])
def test_factors_at_their_nominal_values_are_the_nominal_world(spec: str):
    factors = [factor for factor in make_task(spec).space.factors if not factor.name.endswith(("x_m", "y_m"))]
    assert changed(start(spec, {}), start(spec, {f.name: f.nominal for f in factors})) == set()


@pytest.mark.parametrize("spec", [PICK, TRANSFER, INSERTION])
def test_theta_and_seed_fix_the_world(spec: str):
    theta = dict(make_task(spec).space.sample(stream(0, "theta")).values)
    assert changed(start(spec, theta, seed=1), start(spec, theta, seed=1)) == set()
    assert "objects" in changed(start(spec, {}, seed=1), start(spec, {}, seed=2))


def test_a_block_lies_where_theta_says_and_else_where_the_seed_says():
    assert start(PICK_STATE, {"block.x_m": 0.35, "block.y_m": 0.1})["environment_state"][:2] == pytest.approx(
        [0.35, 0.1]
    )
    drawn = [start(PICK_STATE, {}, seed)["environment_state"][:2].tolist() for seed in (0, 1, 0)]
    assert drawn[0] == drawn[2] != drawn[1]


def test_nothing_accumulates_over_200_resets_with_random_factors():
    first, rng, task = start(PICK_STATE, {}, 7), stream(0, "accumulate"), make_task(PICK_STATE)
    model: Any = environment(PICK_STATE).inner.unwrapped.model  # pyright: ignore[reportAttributeAccessIssue]
    nominal = [np.array(getattr(model, name)) for name in ("geom_rgba", "geom_friction", "light_diffuse", "cam_pos")]
    for seed in range(200):
        start(PICK_STATE, dict(task.space.sample(rng).values), seed)
    assert start(PICK_STATE, {}, 7)["environment_state"].tolist() == first["environment_state"].tolist()
    for name, array in zip(("geom_rgba", "geom_friction", "light_diffuse", "cam_pos"), nominal, strict=True):
        np.testing.assert_array_equal(getattr(model, name), array)


@pytest.mark.parametrize("env_id", ["gym_hil/PandaPickCube-v0", "gym_hil/PandaPickCubeBase-v0"])
def test_the_expert_of_the_pick_up_masters_the_whole_space(env_id: str):
    task = make_task(f"{env_id}:make.image_obs=false")
    env = task.environment(object_state=True)
    rng = stream(0, "expert")
    cases = [Case(theta, seed) for seed in range(8) for theta in (Perturbation(), task.space.sample(rng))]
    outcomes = [rollout(env, task.expert(), case) for case in cases]
    env.close()
    assert sum(outcome.success for outcome in outcomes) >= 15
    assert {outcome.failure_mode for outcome in outcomes} <= {"", "failed", "timeout"}


@pytest.mark.parametrize("env_id", [TRANSFER, INSERTION])
def test_the_experts_of_our_own_worlds_master_gym_alohas(env_id: str, monkeypatch: pytest.MonkeyPatch):
    env, task = environment(env_id), make_task(env_id)
    physics: Any = env.inner.unwrapped._env.physics  # pyright: ignore[reportAttributeAccessIssue]
    # Three images of 480 × 640 at every step, which the expert does not look at, would take a minute an episode.
    monkeypatch.setattr(physics, "render", lambda **size: np.zeros((size["height"], size["width"], 3), np.uint8))
    rng = stream(0, "aloha expert")
    cases = [Case(theta, seed) for seed in range(3) for theta in (Perturbation(), task.space.sample(rng))]
    outcomes = [rollout(env, task.expert(), case) for case in cases]
    assert sum(outcome.success for outcome in outcomes) >= 5
    assert {outcome.length for outcome in outcomes if outcome.success} <= set(range(100, 400))


def test_the_grip_of_the_pads_shows_in_the_lift():
    env, expert = environment(PICK_STATE), make_task(PICK_STATE).expert()
    lifted: list[Any] = []
    for grip in (0.4, 1.6):
        rollout(env, expert, Case(Perturbation({"pads.friction": grip}), 0))
        lifted.append(env.inner.unwrapped.data.qpos.copy())  # pyright: ignore[reportAttributeAccessIssue]
    assert not np.array_equal(*lifted)


def test_aloha_actions_are_joint_angles_beyond_the_bounds_of_its_action_space():
    start(TRANSFER, {})
    env = environment(TRANSFER)
    pose = np.array([0, -0.96, 1.16, 0, -0.3, 0, 0.1] * 2)
    state = env.step(pose)[0]["agent_pos"]
    assert abs(state[2] - 1.16) < 0.02  # clipped to 1, the elbow would drop


def test_a_refused_action_leaves_the_environment_usable():
    start(PICK_STATE, {})
    env = environment(PICK_STATE)
    for action in (np.zeros(7), np.full(4, np.nan)):
        with pytest.raises(ShapeError):
            env.step(action)
    env.step(np.zeros(4))


def test_lerobots_own_aloha_environment_is_the_same_world():
    ready = ready_config("gym_aloha/AlohaTransferCube-v0")
    config = replace(ready, env=lerobot_worlds.aloha_of_lerobot, make=(), name="lerobot-aloha", image_size=64)
    task = GymnasiumTask(config)
    assert (task.cameras, task.fps, task.max_steps) == (("top",), 50, 400)
    assert pickle.loads(pickle.dumps(task)) == task
    env = task.environment(object_state=True)
    quicken(env.inner)
    for theta in ({}, {"cube.x_m": 0.05, "top_camera.yaw_rad": 0.1}):
        observation = env.reset(seed=3, options={"perturbation": theta})[0]
        assert changed(observation, start(TRANSFER, theta, seed=3)) == set()
    action = np.array([0, -0.9, 1.1, 0, -0.3, 0, 0.5] * 2)
    assert changed(env.step(action)[0], environment(TRANSFER).step(action)[0]) == set()
    env.close()


def test_names_make_their_tasks_again():
    for spec in (PICK, PICK_STATE, TRANSFER, "gymnasium/Pusher-v5:max_steps=9,success=reward:-0.1"):
        task = make_task(spec)
        assert task.name == spec
        assert make_task(task.name) == task
        assert task.space.hash == make_task(spec.partition(":")[0]).space.hash
    assert make_task("gym_hil/PandaPickCube-v0:image_size=0").name == "gym_hil/PandaPickCube-v0"


@pytest.mark.parametrize(
    ("spec", "error", "words"),
    [
        ("gym_hil/PandaPickCbe-v0", UnknownNameError, "Did you mean 'gym_hil/PandaPickCube-v0'"),
        ("gym_hil/PandaPickCube-v7", UnknownNameError, "Did you mean 'gym_hil/PandaPickCube-v0'"),
        ("gymnasium/Pushr-v5", UnknownNameError, "Did you mean 'gymnasium/Pusher-v5'"),
        ("gym_nowhere/Lift-v0", MissingDependencyError, "needs the package 'gym_nowhere', which is not installed"),
        ("gym_hil/PandaPickCube-v0:cameras=top", UnknownNameError, "camera 'top'. Valid: front, wrist"),
        ("gym_hil/PandaPickCube-v0:image_sise=64", UnknownNameError, "Did you mean 'image_size'"),
        ("gym_hil/PandaPickCube-v0:image_size=big", ConfigError, "'big' is not a whole number"),
        ("gym_hil/PandaPickCube-v0:make.colour=red", EnvironmentNotMadeError, "unexpected keyword argument 'colour'"),
        ("gymnasium/CartPole-v1", ConfigError, "takes Discrete"),
    ],
)
def test_a_mistake_is_named_in_one_line(spec: str, error: type[Exception], words: str):
    with pytest.raises(error, match=words) as raised:
        _ = make_task(spec).cameras
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(("namespace", "extra"), [("gym_aloha", "aloha"), ("gym_hil", "hil")])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    namespace: str, extra: str, monkeypatch: pytest.MonkeyPatch
):
    registry = {key: spec for key, spec in gymnasium.registry.items() if not key.startswith(namespace)}
    monkeypatch.setattr(gymnasium, "registry", registry)
    monkeypatch.setitem(__import__("sys").modules, namespace, None)
    with pytest.raises(MissingDependencyError, match=rf"pip install 'etude\[{extra}\]'"):
        _ = GymnasiumTask(GymnasiumConfig(env=f"{namespace}/Any-v0")).cameras


def test_making_an_environment_leaves_the_process_as_it_was():
    before = os.environ.get("MUJOCO_GL")
    environment(PICK_STATE)
    assert os.environ.get("MUJOCO_GL") == before


def test_an_environment_without_factors_has_an_empty_space():
    task: Task = make_task("gymnasium/Pusher-v5:max_steps=3,success=reward:0")
    assert task.space.factors == ()
    outcome = rollout(task.environment(), Still(7), Case(Perturbation(), 0))
    assert (outcome.length, outcome.success, outcome.failure_mode) == (3, False, "timeout")


def test_our_worlds_are_environments_of_gymnasium():
    env = gymnasium.make("etude/franka-stack-v0", cubes=2, image_size=16, render_mode="rgb_array")
    observation, _ = env.reset(seed=0)
    assert observation["pixels"]["front"].shape == (16, 16, 3)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()
    with pytest.raises(UnknownNameError, match="Did you mean 'cubes'"):
        gymnasium.make("etude/franka-stack-v0", cube=2)
    with pytest.raises(ConfigError, match="render_mode 'human'"):
        gymnasium.make("etude/franka-stack-v0", render_mode="human")


class Still:
    """Does nothing."""

    def __init__(self, size: int) -> None:
        self.size = size

    def begin(self, rng: np.random.Generator) -> None:
        del rng

    def act(self, observations: Any, memories: Any) -> list[np.ndarray]:
        del memories
        return [np.zeros((1, self.size), np.float32) for _ in observations]
