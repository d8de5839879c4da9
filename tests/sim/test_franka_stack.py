"""The stacking task as an environment: the expert masters it, (θ, seed) fixes it, errors leave it usable."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

from etude.core import (
    Case,
    ConfigError,
    FactorRangeError,
    InfeasibleError,
    Perturbation,
    ShapeError,
    UnknownNameError,
    rollout,
    stream,
    to_observation,
)
from etude.sim import ExpertConfig, FrankaStackConfig, FrankaStackEnv, StaleImageError

LOOKS = ("camera", "lighting", "appearance")


def play(environment: FrankaStackEnv, theta: Perturbation, seed: int, steps: int = 12) -> list[Mapping[str, Any]]:
    """Observations of an episode of fixed, seeded actions."""
    rng = stream(seed, "actions")
    observations = [environment.reset(seed=seed, options={"perturbation": theta})[0]]
    actions = rng.uniform(-1.0, 1.0, (steps, 7)).astype(np.float32)
    return observations + [environment.step(action)[0] for action in actions]


def digest(seed: int) -> str:
    """A few states and pixels of a random world as text, to compare between processes."""
    task = FrankaStackConfig(cubes=2, image_size=32)
    theta = task.space.sample(stream(seed, "theta"))
    last = play(task.environment(), theta, seed)[-1]
    return " ".join([last["agent_pos"].tobytes().hex(), *(str(hash_of(image)) for image in last["pixels"].values())])


def hash_of(image: np.ndarray) -> int:
    return int(image.astype(np.int64).ravel() @ (1 + np.arange(image.size) % 9973))


@pytest.mark.parametrize("cubes", [2, 3])
def test_the_expert_stacks(cubes: int) -> None:
    task = FrankaStackConfig(cubes=cubes)
    environment = task.environment(lazy_images=True, object_state=True)
    for seed in range(3):
        outcome = rollout(environment, task.expert(), Case(Perturbation(), seed))
        assert outcome.success
        assert (outcome.progress, outcome.total_reward, outcome.failure_mode) == (1.0, 1.0, "")
        assert outcome.stage == task.subtasks[-1]
        assert all(outcome.subtasks.values())
        assert outcome.length <= task.max_steps / 2


@pytest.mark.slow
@pytest.mark.parametrize("cubes", [2, 3])
def test_the_expert_masters_the_whole_space(cubes: int) -> None:
    task = FrankaStackConfig(cubes=cubes, cameras=())
    environment = task.environment(object_state=True)
    rng = stream(0, "whole space")
    outcomes = [rollout(environment, task.expert(), Case(task.space.sample(rng), i)) for i in range(100)]
    assert sum(o.success for o in outcomes) >= 95


def test_noise_on_the_experts_actions_is_recovered_from() -> None:
    task = FrankaStackConfig(cubes=2, cameras=())
    environment = task.environment(object_state=True)
    outcomes = [
        rollout(environment, ExpertConfig(cubes=2, noise=0.05).create(), Case(Perturbation(), s)) for s in (0, 1, 2)
    ]
    assert all(outcome.success for outcome in outcomes)


def test_gymnasium_accepts_the_environment() -> None:
    check_env(FrankaStackConfig(cubes=2, image_size=16).environment(object_state=True), skip_render_check=True)


def test_theta_and_seed_fix_states_and_pixels() -> None:
    task = FrankaStackConfig(cubes=2, image_size=32)
    theta, other = (task.space.sample(stream(i, "theta")) for i in (0, 1))
    used = task.environment()
    play(used, other, seed=5)
    for first, second in zip(play(used, theta, 3), play(task.environment(), theta, 3), strict=True):
        np.testing.assert_array_equal(first["agent_pos"], second["agent_pos"])
        for camera in task.cameras:
            np.testing.assert_array_equal(first["pixels"][camera], second["pixels"][camera])


def test_another_process_sees_the_same() -> None:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_franka_stack as tests; print(tests.digest(7))"
    folder = str(Path(__file__).parent)
    other = subprocess.run(
        [sys.executable, "-c", code, folder], capture_output=True, text=True, check=True, timeout=120
    )
    assert other.stdout.strip() == digest(7)


def test_seeds_draw_different_nominal_layouts_inside_the_published_ranges() -> None:
    environment = FrankaStackConfig(cubes=3, cameras=()).environment(object_state=True)
    layouts = [environment.reset(seed=seed)[0]["environment_state"] for seed in range(20)]
    centres = np.array([state[:-1].reshape(3, 7)[:, :2] for state in layouts])
    assert np.unique(centres[:, 0, 0]).size == 20
    assert (centres >= [0.399, -0.101]).all()
    assert (centres <= [0.601, 0.101]).all()
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (np.linalg.norm(centres[:, a] - centres[:, b], axis=1) > 0.099).all()


def test_what_theta_leaves_unset_the_seed_draws_as_in_the_nominal_world() -> None:
    environment = FrankaStackConfig(cubes=2, cameras=()).environment(object_state=True)
    nominal = environment.reset(seed=4)[0]["environment_state"]
    lit = environment.reset(seed=4, options={"perturbation": {"light.intensity": 0.5}})[0]["environment_state"]
    np.testing.assert_array_equal(nominal, lit)


def test_theta_is_not_observed_but_through_the_cameras() -> None:
    task = FrankaStackConfig(cubes=2, image_size=32)
    environment = task.environment(object_state=True)
    sampled = task.space.sample(stream(0, "looks")).values
    looks = Perturbation({f.name: sampled[f.name] for f in task.space.factors if f.kind in LOOKS})
    for plain, changed in zip(play(environment, Perturbation(), 2), play(environment, looks, 2), strict=True):
        assert set(changed) == {"pixels", "agent_pos", "environment_state"}
        np.testing.assert_array_equal(plain["agent_pos"], changed["agent_pos"])
        np.testing.assert_array_equal(plain["environment_state"], changed["environment_state"])
        assert any((plain["pixels"][c] != changed["pixels"][c]).any() for c in task.cameras)


def test_lazy_images_are_the_same_pixels_and_go_stale() -> None:
    task = FrankaStackConfig(cubes=2, image_size=32)
    eager, lazy = task.environment(), task.environment(lazy_images=True)
    (drawn, _), (pending, _) = eager.reset(seed=0), lazy.reset(seed=0)
    assert list(pending["pixels"]) == list(task.cameras)
    np.testing.assert_array_equal(drawn["pixels"]["front"], pending["pixels"]["front"])
    lazy.step(np.zeros(7, np.float32))
    np.testing.assert_array_equal(drawn["pixels"]["front"], pending["pixels"]["front"])  # drawn in time: kept
    with pytest.raises(StaleImageError, match="wrist"):
        pending["pixels"]["wrist"]


def test_a_refused_action_leaves_the_world_where_it_was() -> None:
    task = FrankaStackConfig(cubes=2, cameras=())
    tried, untouched = task.environment(), task.environment()
    for environment in (tried, untouched):
        environment.reset(seed=1)
    for bad in (np.zeros(6), np.full(7, np.nan), np.zeros((1, 7))):
        with pytest.raises(ShapeError, match="action"):
            tried.step(bad)
    action = np.full(7, 0.3, np.float32)
    np.testing.assert_array_equal(tried.step(action)[0]["agent_pos"], untouched.step(action)[0]["agent_pos"])


def test_a_refused_perturbation_says_why() -> None:
    environment = FrankaStackConfig(cubes=2, cameras=()).environment()
    touching = {
        f"{cube}.{key}": value for cube in ("cube_blue", "cube_red") for key, value in (("x_m", 0.5), ("y_m", 0.0))
    }
    for theta, error, words in (
        ({"light.colour": 1.0}, UnknownNameError, "light"),
        ({"light.intensity": 9.0}, FactorRangeError, r"light\.intensity"),
        ({"light.intensity": float("nan")}, FactorRangeError, r"light\.intensity"),
        (touching, InfeasibleError, "cube_blue and cube_red overlap"),
    ):
        with pytest.raises(error, match=words):
            environment.reset(seed=0, options={"perturbation": theta})


def test_the_episode_ends_when_time_is_up() -> None:
    environment = FrankaStackConfig(cubes=2, cameras=(), max_steps=3).environment()
    environment.reset(seed=0)
    ends = [environment.step(np.zeros(7, np.float32))[2:4] for _ in range(3)]
    assert ends == [(False, False), (False, False), (False, True)]


def test_progress_never_falls_and_sub_tasks_come_in_order() -> None:
    task = FrankaStackConfig(cubes=3, cameras=())
    environment, expert = task.environment(object_state=True), task.expert()
    raw, info = environment.reset(seed=0)
    progress, stages, done = [info["progress"]], [info["stage"]], False
    while not done:
        (chunk,) = expert.act([to_observation(raw, "")], [None])
        raw, _, terminated, truncated, info = environment.step(chunk[0])
        progress.append(info["progress"])
        stages.append(info["stage"])
        done = terminated or truncated
    assert (np.diff(progress) >= 0).all()
    assert tuple(dict.fromkeys(stages)) == ("", *task.subtasks)


@pytest.mark.parametrize(
    "settings",
    [{"cubes": 4}, {"image_size": 0}, {"max_steps": -1}, {"cameras": ("side",)}],
    ids=lambda s: next(iter(s)),
)
def test_settings_that_cannot_work_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises((ConfigError, UnknownNameError)):
        FrankaStackConfig(**settings)
