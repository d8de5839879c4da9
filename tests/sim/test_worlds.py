"""What every world promises, whoever wrote it: one suite over all that are registered.

A world is registered under its name in etude.sim.registry, and is tested here without another line.
"""

import json
import pickle
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from numpy.testing import assert_array_equal, assert_equal
from sim.apart import digest, episode_digest, play, random_actions, small

from etude.core import (
    Case,
    Factor,
    FactorRangeError,
    InfeasibleError,
    Perturbation,
    ShapeError,
    UnknownNameError,
    rollout,
    stream,
    to_observation,
)
from etude.core.space import FACTOR_KINDS
from etude.core.statistics import Rate
from etude.sim import SimEnv, SimTask, StaleImageError, make_task, task_names
from etude.sim.assets import AssetError
from etude.sim.gl import probe

pytestmark = pytest.mark.skipif(probe() is None, reason="no OpenGL library on this machine")

WORLDS = tuple(name for name in task_names() if isinstance(make_task(name), SimTask))
VARIANTS = tuple(
    name
    for name in ("franka-stack:cubes=2", "aloha-transfer-cube:control=ee", "aloha-insertion:control=ee")
    if name.partition(":")[0] in WORLDS
)
EXPERTS = {"aloha-insertion": 0.9}
"""Wanted rate in the nominal world, where it is not 0.95."""
UNITS = {"_m": "m", "_rad": "rad", "_s": "s", "_kg": "kg"}
SEEDS = tuple(range(3, 11))
"""A factor need not show in every episode: what it changes may be absent, or hidden by the robot."""
MAY_CHANGE = {
    "layout": ("body_pos", "body_quat", "geom_pos", "geom_quat", "site_pos", "site_quat"),
    "camera": ("cam_",),
    "lighting": ("light_",),
    "appearance": ("geom_rgba", "mat_", "site_rgba"),
    "physics": ("body_", "dof_", "geom_", "jnt_", "actuator_"),
    "distractor": ("body_pos", "body_quat", "geom_"),
}
"""Kind -> how names of the model's arrays begin that its factors write."""


def missing(name: str) -> bool:
    try:
        make_task(name).environment().close()
    except AssetError:
        return True
    return False


class Bench:
    """One world, made once for all laws."""

    def __init__(self, task: SimTask, environment: SimEnv) -> None:
        self.task, self.environment = task, environment
        self._unperturbed: dict[tuple[int, bool], dict[str, Any]] = {}

    def start(self, *thetas: Mapping[str, float], seed: int = 3) -> dict[str, Any]:
        """Reset; observation and info in one."""
        values = {key: value for theta in thetas for key, value in theta.items()}
        observation, info = self.environment.reset(seed=seed, options={"perturbation": values})
        return {**observation, **info}

    @cached_property
    def actions(self) -> np.ndarray:
        """What the expert does first in the nominal world, (12, A)."""
        expert, raw, actions = self.task.expert(), self.start(), list[np.ndarray]()
        memory = expert.begin(stream(3, "policy"))
        while len(actions) < 12:
            (chunk,) = expert.act([to_observation(raw, "")], [memory])
            for action in chunk:
                actions.append(action)
                raw = self.environment.step(action)[0]
        return np.array(actions)

    def run(self, *thetas: Mapping[str, float]) -> dict[str, Any]:
        """Observation after the expert's first actions."""
        actions = self.actions  # found by an episode of their own
        self.start(*thetas)
        return dict([self.environment.step(action)[0] for action in actions][-1])

    def unperturbed(self, seed: int, *, crowded: bool = False) -> dict[str, Any]:
        """What `start` gives without a factor, or with every distractor there."""
        if (seed, crowded) not in self._unperturbed:
            self._unperturbed[seed, crowded] = self.start(self.crowd if crowded else {}, seed=seed)
        return self._unperturbed[seed, crowded]

    @property
    def crowd(self) -> dict[str, float]:
        """θ with every distractor there."""
        return {"distractors.count": self.task.space["distractors.count"].high}

    def of_kind(self, *kinds: str) -> list[Factor]:
        return [factor for factor in self.task.space.factors if factor.kind in kinds]


@pytest.fixture(scope="module", params=WORLDS)
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    if missing(request.param):
        pytest.skip(f"the assets of {request.param} are not installed")
    task = small(request.param)
    environment = task.environment(object_state=True)
    yield Bench(task, environment)
    environment.close()


def apart(*arguments: object) -> dict[str, Any]:
    """Run apart.py."""
    command = [sys.executable, str(Path(__file__).with_name("apart.py")), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1800, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])  # MuJoCo writes its warnings there, too


@pytest.fixture(scope="module")
def elsewhere() -> dict[str, Any]:
    """World -> what another process found."""
    return apart("episodes", 30, *(name for name in WORLDS if not missing(name)))


def arrays(model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """Every array of a model, copied."""
    names = [n for n in dir(model) if not n.startswith("_") and isinstance(getattr(model, n), np.ndarray)]
    return {name: getattr(model, name).copy() for name in names}


def changed(model: mujoco.MjModel, before: dict[str, np.ndarray]) -> list[str]:
    return [name for name, array in before.items() if not np.array_equal(getattr(model, name), array)]


def values_away(factor: Factor) -> list[float]:
    """Most of the way to each end of its range, where there is a way."""
    ends = [end for end in (factor.low, factor.high) if abs(end - factor.nominal) > 0.1 * (factor.high - factor.low)]
    return [0.3 * factor.nominal + 0.7 * end for end in ends]


def same_pixels(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, bool]:
    return {camera: np.array_equal(a["pixels"][camera], b["pixels"][camera]) for camera in a["pixels"]}


def same_states(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return all(np.array_equal(a[key], b[key]) for key in ("agent_pos", "environment_state"))


def same_poses(a: Mapping[str, Any], b: Mapping[str, Any]) -> bool:
    return all(np.array_equal(pose, b["object_poses"][name]) for name, pose in a["object_poses"].items())


# What it is


@pytest.mark.filterwarnings("ignore:.*we recommend using a symmetric and normalized space")  # actions have units
def test_gymnasium_accepts_it(bench: Bench) -> None:
    check_env(bench.task.environment(object_state=True), skip_render_check=True)
    assert bench.environment.render().shape == (32, 32, 3)


def test_a_name_makes_its_task_again(bench: Bench) -> None:
    plain = make_task(bench.task.name.partition(":")[0])
    assert isinstance(plain, SimTask)
    camera = plain.cameras[0]
    for task in (plain, bench.task, replace(plain, cameras=(camera,), max_steps=9), replace(plain, cameras=())):
        assert make_task(task.name) == task
        assert pickle.loads(pickle.dumps(task)) == task
        assert hash(pickle.loads(pickle.dumps(task))) == hash(task)
    assert ":" not in plain.name


def test_it_observes_what_it_says(bench: Bench) -> None:
    task, seen = bench.task, bench.start()
    assert set(seen["pixels"]) == set(task.cameras)
    assert len(seen["agent_pos"]) == len(task.state_names) == len(set(task.state_names))
    assert len(bench.environment.action_space.low) == len(task.action_names) == len(set(task.action_names))
    low, high = task.sheet.action_bounds
    assert (low < high).all()
    assert tuple(seen["subtasks"]) == task.subtasks
    assert seen["object_poses"]
    assert seen["gripper_poses"]
    for pose in (*seen["object_poses"].values(), *seen["gripper_poses"].values()):
        assert pose.shape == (4, 4)
    plain = replace(task, cameras=()).environment().reset(seed=0)[0]
    assert set(plain) == {"agent_pos"}


def test_an_unknown_camera_is_named(bench: Bench) -> None:
    with pytest.raises(UnknownNameError, match="camera 'nowhere'"):
        make_task(f"{bench.task.name},cameras=nowhere")


# The space


def test_its_factors_are_many_and_named_alike(bench: Bench) -> None:
    factors = bench.task.space.factors
    assert len(factors) >= 12
    assert {factor.kind for factor in factors} == set(FACTOR_KINDS)
    assert len(set(bench.task.space.names)) == len(factors)
    for factor in factors:
        assert re.fullmatch(r"[a-z]\w*\.[a-z]\w*", factor.name), factor.name
        assert factor.description, factor.name
        unit = next((unit for suffix, unit in UNITS.items() if factor.name.endswith(suffix)), None)
        plain = factor.unit == "1" or (factor.unit == "rad" and factor.name.endswith(".hue"))
        assert factor.unit == unit or (unit is None and plain), factor.name


def test_its_factors_cover_what_there_is_to_vary(bench: Bench) -> None:
    def quantities(kind: str) -> set[str]:
        return {factor.name.partition(".")[2] for factor in bench.of_kind(kind)}

    assert quantities("camera") >= {"yaw_rad", "pitch_rad", "fovy_rad"}
    assert quantities("lighting") >= {"intensity"}
    assert quantities("physics") >= {"scale", "friction"}
    assert quantities("distractor") >= {"count", "x_m", "y_m", "shape", "hue"}
    assert bench.task.space["distractors.count"].nominal == 0.0


def test_only_the_kinds_that_are_to_vary_do(bench: Bench) -> None:
    task = make_task(f"{bench.task.name},vary=layout+physics")
    assert isinstance(task, SimTask)
    assert make_task(task.name) == task
    factors = [factor for factor in bench.task.space.factors if factor.kind in ("layout", "physics")]
    assert list(task.space.factors) == factors
    assert task.space.hash != bench.task.space.hash
    theta = Perturbation({factors[0].name: factors[0].low})
    fixed, all_vary = (
        each.environment().reset(seed=3, options={"perturbation": theta})[0] for each in (task, bench.task)
    )
    assert_equal(fixed, all_vary)
    assert not make_task(f"{bench.task.name},vary=none").space.factors
    with pytest.raises(UnknownNameError, match="kind of factor to vary 'light'. Did you mean 'lighting'"):
        make_task(f"{bench.task.name},vary=light")


def test_theta_is_a_vector_and_back(bench: Bench) -> None:
    space = bench.task.space
    for i in range(5):
        theta = space.sample(stream(i, "theta"))
        assert space.perturbation(space.vector(theta)) == theta
        assert pickle.loads(pickle.dumps(theta)) == theta
        np.testing.assert_allclose(space.vector(space.from_unit(space.to_unit(theta))), space.vector(theta))
    assert pickle.loads(pickle.dumps(space)).hash == space.hash


def test_nominal_values_are_the_nominal_world(bench: Bench) -> None:
    plain, after = bench.start(), bench.run()
    model = arrays(bench.environment.world.model)
    written = {f.name: f.nominal for f in bench.task.space.factors if f.kind != "layout"}  # there it is the seed's draw
    assert digest([bench.start(written)]) == digest([plain])
    assert digest([bench.run(written)]) == digest([after])
    assert changed(bench.environment.world.model, model) == []


# Every factor changes what it says, and nothing else


def test_cameras_light_and_colours_change_pictures_alone(bench: Bench) -> None:
    later, wrong = bench.run(), list[str]()
    for factor in bench.of_kind("camera", "lighting", "appearance"):
        own, _, quantity = factor.name.partition("_camera.")
        for value in values_away(factor):
            for seed in SEEDS:
                nominal, seen = bench.unperturbed(seed), bench.start({factor.name: value}, seed=seed)
                same = same_pixels(nominal, seen)
                if quantity and {camera for camera, equal in same.items() if not equal} - {own}:
                    wrong.append(f"{factor.name}={value:g} changes what other cameras see")
                if not same_states(nominal, seen):
                    wrong.append(f"{factor.name}={value:g} changes states")
                if not all(same.values()):
                    break
            else:
                wrong.append(f"{factor.name}={value:g} changes no picture")
            if not same_states(later, bench.run({factor.name: value})):
                wrong.append(f"{factor.name}={value:g} changes what happens")
    assert not wrong, wrong


def test_layout_moves_what_it_names(bench: Bench) -> None:
    wrong: list[str] = []
    for factor in bench.of_kind("layout"):
        thing, _, quantity = factor.name.partition(".")
        for value in values_away(factor):
            for seed in SEEDS:
                seen = bench.start({factor.name: value}, seed=seed)
                if thing in seen["object_poses"] and quantity in ("x_m", "y_m"):
                    found = seen["object_poses"][thing]["xy".index(quantity[0]), 3]
                    if abs(found - value) > 0.004:
                        wrong.append(f"{factor.name}={value:g} puts it at {found:g}")
                if not same_states(bench.unperturbed(seed), seen):
                    break
            else:
                wrong.append(f"{factor.name}={value:g} moves nothing")
    assert not wrong, wrong


def test_physics_changes_the_model(bench: Bench) -> None:
    bench.start()
    before, wrong = arrays(bench.environment.world.model), list[str]()
    for factor in bench.of_kind("physics"):
        for value in values_away(factor):
            bench.start({factor.name: value})
            if not changed(bench.environment.world.model, before):
                wrong.append(f"{factor.name}={value:g} changes nothing")
    assert not wrong, wrong


def test_distractors_are_seen_and_move_none_of_the_tasks_things(bench: Bench) -> None:
    alone, wrong = bench.unperturbed(SEEDS[0]), list[str]()
    assert not all(same_pixels(alone, bench.unperturbed(SEEDS[0], crowded=True)).values())
    for factor in bench.of_kind("distractor"):
        for value in values_away(factor) if factor.name != "distractors.count" else ():
            for seed in SEEDS:
                seen = bench.start(bench.crowd, {factor.name: value}, seed=seed)
                if not same_poses(bench.unperturbed(seed), seen):
                    wrong.append(f"{factor.name}={value:g} moves the task's things")
                assert_array_equal(bench.unperturbed(seed)["agent_pos"], seen["agent_pos"])
                if not all(same_pixels(bench.unperturbed(seed, crowded=True), seen).values()):
                    break
            else:
                wrong.append(f"{factor.name}={value:g} is not seen")
    assert not wrong, wrong


def test_a_world_that_can_have_distractors_is_otherwise_the_one_that_cannot(bench: Bench) -> None:
    alone = small(bench.task.sheet.name, distractors=0)
    assert not [factor for factor in alone.space.factors if factor.kind == "distractor"]
    assert alone.space.hash != bench.task.space.hash
    bare = Bench(alone, alone.environment(object_state=True))
    assert same_poses(bench.start(), bare.start())
    seen, expected = bench.run(), bare.run()
    assert_array_equal(seen["agent_pos"], expected["agent_pos"])
    assert all(same_pixels(seen, expected).values())


def test_a_factor_writes_only_fields_of_its_kind(bench: Bench) -> None:
    wrong: list[str] = []
    model = bench.environment.world.model
    for around in ({}, bench.crowd):
        bench.start(around)
        before = arrays(model)
        for factor in bench.task.space.factors:
            for value in values_away(factor):
                bench.start(around, {factor.name: value})
                fields = changed(model, before)
                others = [name for name in fields if not name.startswith(MAY_CHANGE[factor.kind])]
                # Where things find room among each other, one that grows or moves makes others move.
                others = [name for name in others if not (around and name == "body_pos")]
                if others or (factor.kind == "physics" and "geom_rgba" in fields):
                    wrong.append(f"{factor.name}={value:g} writes {fields}")
    assert not wrong, wrong


# (θ, seed) fixes the world


def test_theta_and_seed_fix_states_and_pixels(bench: Bench) -> None:
    other = bench.task.space.sample(stream(5, "other"))
    play(bench.environment, other, seed=5)
    used = episode_digest(bench.task, bench.environment)
    assert used == episode_digest(bench.task, bench.task.environment(object_state=True))
    theta = bench.task.space.sample(stream(6, "theta"))
    assert digest(play(bench.environment, theta, 1)) != digest(play(bench.environment, theta, 2))


def test_another_process_sees_the_same(bench: Bench, elsewhere: dict[str, Any]) -> None:
    name = bench.task.sheet.name
    assert elsewhere[name]["digest"] == episode_digest(bench.task, bench.environment)


@pytest.mark.parametrize("resets", [20, pytest.param(200, marks=pytest.mark.slow)])
def test_nothing_accumulates(bench: Bench, resets: int) -> None:
    rng, used = stream(0, "resets"), replace(bench.task, cameras=()).environment(object_state=True)
    for i in range(resets):
        used.reset(seed=i, options={"perturbation": bench.task.space.sample(rng)})
        used.step(used.action_space.high)
    raw, _ = used.reset(seed=3)
    fresh = bench.task.environment(object_state=True)
    expected, _ = fresh.reset(seed=3)
    assert changed(used.world.model, arrays(fresh.world.model)) == []
    assert same_states(raw, expected)
    seen = bench.environment.reset(seed=3)[0]  # has seen every other law by now
    assert digest([seen]) == digest([expected])


def test_resets_leave_no_memory_behind(bench: Bench, elsewhere: dict[str, Any]) -> None:
    check_growth(elsewhere[bench.task.sheet.name], most_mib=4.0)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_hundred_resets_leave_no_memory_behind() -> None:
    found = apart("episodes", 500, *(name for name in WORLDS if not missing(name)))
    print({name: f"{one['mib']:.1f} MiB, {one['objects']} objects" for name, one in found.items()})
    for one in found.values():
        check_growth(one, most_mib=8.0)


def check_growth(found: dict[str, Any], most_mib: float) -> None:
    assert found["mib"] < most_mib
    assert found["objects"] < 200
    assert found["renderers"] == 0
    assert found["same"], "one model and one data serve all resets"
    assert found["alive"] == 0, "an environment that nobody holds takes its model and data with it"


def test_no_action_breaks_the_physics(bench: Bench) -> None:
    environment = replace(bench.task, cameras=()).environment()
    low, high = environment.action_space.low, environment.action_space.high
    for name, actions in (
        ("low", [low] * 40),
        ("high", [high] * 40),
        ("in turns", [low, high] * 20),
        ("random", random_actions(bench.task, 0, 40)),
    ):
        for seed, theta in enumerate((Perturbation(), bench.task.space.sample(stream(0, "theta")))):
            environment.reset(seed=seed, options={"perturbation": theta})
            for action in actions:
                environment.step(action)
            check_warnings(environment, f"actions {name}, seed {seed}")


def check_warnings(environment: SimEnv, when: str) -> None:
    warned = [mujoco.mjtWarning(i).name for i, w in enumerate(environment.world.data.warning) if w.number]
    assert not warned, f"{when}: MuJoCo warns of {warned}"


# Images


def test_lazy_images_are_the_same_pixels_and_go_stale(bench: Bench) -> None:
    lazy = bench.task.environment(lazy_images=True)
    drawn, pending = bench.start()["pixels"], lazy.reset(seed=3)[0]["pixels"]
    assert list(pending) == list(bench.task.cameras)
    first, last = bench.task.cameras[0], bench.task.cameras[-1]
    assert_array_equal(drawn[first], pending[first])
    lazy.step(bench.actions[0])
    assert_array_equal(drawn[first], pending[first])  # drawn in time: kept
    with pytest.raises(StaleImageError, match=last):
        pending[last]


# Mistakes


def test_a_refused_action_leaves_the_world_where_it_was(bench: Bench) -> None:
    tried, untouched = (replace(bench.task, cameras=()).environment(object_state=True) for _ in range(2))
    for environment in (tried, untouched):
        environment.reset(seed=1)
    size = len(bench.task.action_names)
    for bad in (np.zeros(size - 1), np.full(size, np.nan), np.zeros((1, size)), np.r_[np.zeros(size - 1), np.inf]):
        with pytest.raises(ShapeError, match="action"):
            tried.step(bad)
    for action in bench.actions:
        (raw, *_), (expected, *_) = tried.step(action), untouched.step(action)
        assert same_states(raw, expected)


def test_a_refused_theta_says_why_and_leaves_the_world_where_it_was(bench: Bench) -> None:
    task = replace(bench.task, cameras=())
    tried, untouched = (task.environment(object_state=True) for _ in range(2))
    for environment in (tried, untouched):
        environment.reset(seed=1)
    onto = {f"distractor_{i}.{axis}_m": task.space[f"distractor_1.{axis}_m"].nominal for i in (1, 2) for axis in "xy"}
    light = task.space["light.intensity"]
    for theta, error, words in (
        ({"light.colour": 1.0}, UnknownNameError, "light"),
        ({light.name: light.high + 1.0}, FactorRangeError, r"light\.intensity"),
        ({light.name: float("nan")}, FactorRangeError, r"light\.intensity"),
        (bench.crowd | onto, InfeasibleError, "overlap"),
    ):
        with pytest.raises(error, match=words):
            tried.reset(seed=0, options={"perturbation": theta})
    with pytest.raises(UnknownNameError, match="Did you mean 'perturbation'"):
        tried.reset(seed=0, options={"pertubation": {}})
    for action in bench.actions:
        (raw, *_), (expected, *_) = tried.step(action), untouched.step(action)
        assert same_states(raw, expected)


def test_a_missing_asset_package_is_named_with_what_brings_it() -> None:
    for name, found in apart("missing", *WORLDS).items():
        assert found["kind"] == "AssetError", f"{name}: {found}"
        assert re.search(r"package '\w+' is not installed.*pip install .", found["message"]), found["message"]
        assert "\n" not in found["message"]
        extra = re.match("aloha|so101", name)
        assert extra is None or f"'etude[{extra[0]}]'" in found["message"]
        assert found["factors"] >= 12, "what it is can be told without its assets"


# Episodes


def test_time_is_up_after_max_steps_and_a_failure_has_a_name(bench: Bench) -> None:
    task = replace(bench.task, cameras=(), max_steps=25)
    environment = task.environment()
    environment.reset(seed=0)
    steps = [environment.step(action) for action in random_actions(task, 0, 25)]
    assert [step[2:4] for step in steps] == [(False, False)] * 24 + [(False, True)]
    for _, reward, _, _, info in steps:
        assert reward == 0.0
        assert not info["is_success"]
        assert info["failure_mode"] in task.failure_modes
        assert info["stage"] in ("", *task.subtasks)
        assert 0.0 <= info["progress"] < 1.0


def test_progress_never_falls_over_a_demonstration_and_sub_tasks_come_in_order(bench: Bench) -> None:
    task = replace(bench.task, cameras=())
    environment, expert = task.environment(object_state=True), task.expert()
    raw, info = environment.reset(seed=0)
    memory, infos, rewards, done = expert.begin(stream(0, "policy")), [info], [0.0], False
    while not done:
        (chunk,) = expert.act([to_observation(raw, task.text)], [memory])
        for action in chunk:
            raw, reward, terminated, truncated, info = environment.step(action)
            infos.append(info)
            rewards.append(reward)
            done = terminated or truncated
            if done:
                break
    assert terminated, infos[-1]
    assert rewards == [0.0] * (len(rewards) - 1) + [1.0]
    assert all(a["progress"] <= b["progress"] for a, b in pairwise(infos))
    assert [one["progress"] == 1.0 for one in infos] == [one["is_success"] for one in infos]
    stages = [("", *task.subtasks).index(one["stage"]) for one in infos]
    assert stages == sorted(stages)
    assert (stages[0], stages[-1]) == (0, len(task.subtasks))
    assert all(infos[-1]["subtasks"].values())
    for one in infos:
        reached = list(one["subtasks"].values())
        assert reached == sorted(reached, reverse=True)
        assert one["failure_mode"] in ("" if one["is_success"] else task.failure_modes)
    check_warnings(environment, "the expert's actions")


def test_an_episode_that_success_does_not_end_is_judged_at_its_last_moment(bench: Bench) -> None:
    task = replace(bench.task, cameras=(), end_at_success=False)
    outcome = rollout(task.environment(object_state=True), task.expert(), Case(Perturbation(), 0))
    assert (outcome.success, outcome.length, outcome.total_reward) == (True, task.max_steps, 1.0)


@pytest.mark.parametrize("name", [*WORLDS, *VARIANTS])
def test_the_expert_succeeds(name: str) -> None:
    if missing(name):
        pytest.skip(f"the assets of {name} are not installed")
    task = small(name, cameras="none")
    environment = task.environment(object_state=True)
    for seed in (0, 1):
        outcome = rollout(environment, task.expert(), Case(Perturbation(), seed))
        assert (outcome.success, outcome.progress, outcome.failure_mode) == (True, 1.0, ""), outcome
        assert outcome.length <= 0.9 * task.max_steps


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("where", ["nominal", "whole space"])
@pytest.mark.parametrize("name", [*WORLDS, *VARIANTS])
def test_the_expert_masters_it_at_the_last_step(name: str, where: str) -> None:
    if missing(name):
        pytest.skip(f"the assets of {name} are not installed")
    task = small(name, cameras="none", end_at_success="false")
    environment, rng = task.environment(object_state=True), stream(0, "whole space")
    thetas = [Perturbation() if where == "nominal" else task.space.sample(rng) for _ in range(100)]
    outcomes = [rollout(environment, task.expert(), Case(theta, i)) for i, theta in enumerate(thetas)]
    rate = Rate.of([outcome.success for outcome in outcomes])
    print(f"{name}, {where}: {rate}")
    assert {outcome.length for outcome in outcomes} == {task.max_steps}
    wanted = 0.9 if where == "whole space" else EXPERTS.get(name.partition(":")[0], 0.95)
    assert rate.value >= wanted, [(o.case.seed, o.failure_mode) for o in outcomes if not o.success]
