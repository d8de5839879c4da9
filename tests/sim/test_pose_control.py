"""Laws of every world whose grippers can be asked for poses, and of every plan of segments, whoever wrote them."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest
from sim.apart import random_actions, small

from etude.core import PoseControlled, Segmented, SegmentPlan, ShapeError, Target, UnknownNameError, stream
from etude.core.rollout import to_observation
from etude.sim import SimEnv, SimTask, make_task, task_names
from etude.sim.assets import AssetError

WORLDS = tuple(name for name in task_names() if isinstance(make_task(name), SimTask))
VARIANTS = ("franka-stack:cubes=2", "aloha-transfer-cube:control=ee", "aloha-insertion:control=ee")
NEAR_M, NEAR_RAD = 0.002, 0.02
"""Between what an action asked for and what the action for that asks for."""


class Bench(NamedTuple):
    task: SimTask
    environment: SimEnv
    plan: SegmentPlan


@pytest.fixture(scope="module", params=[*WORLDS, *(v for v in VARIANTS if v.partition(":")[0] in WORLDS)])
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    task = small(request.param, cameras="none")
    if task.segments is None:
        pytest.skip(f"{request.param} has no plan of segments")
    try:
        environment = task.environment(object_state=True)
    except AssetError:
        pytest.skip(f"the assets of {request.param} are not installed")
    yield Bench(task, environment, task.segments)
    environment.close()


def demonstration(bench: Bench, seed: int = 0) -> Iterator[tuple[np.ndarray, dict[str, Any]]]:
    """The expert's actions, each with the info of the moment before it."""
    raw, info = bench.environment.reset(seed=seed)
    expert, done = bench.task.expert(), False
    memory = expert.begin(stream(seed, "policy"))
    while not done:
        (chunk,) = expert.act([to_observation(raw, bench.task.text)], [memory])
        for action in chunk:
            yield action, info
            raw, _, terminated, truncated, info = bench.environment.step(action)
            if done := terminated or truncated:
                break


def check_alike(one: Target, other: Target) -> None:
    np.testing.assert_allclose(one.pose[:3, 3], other.pose[:3, 3], atol=NEAR_M)
    np.testing.assert_allclose(one.pose[:3, :3], other.pose[:3, :3], atol=NEAR_RAD)
    assert abs(one.command - other.command) < 1e-4


def test_a_plan_names_what_the_world_has(bench: Bench) -> None:
    assert isinstance(bench.task, Segmented)
    _, info = bench.environment.reset(seed=0)
    assert set(bench.plan.objects) <= set(info["object_poses"])
    assert set(bench.plan.segments) == set(info["gripper_poses"])
    for row in bench.plan.segments.values():
        order = [bench.task.subtasks.index(segment.signal) for segment in row[:-1]]
        assert order == sorted(set(order))


def test_every_signal_rises_in_a_demonstration_before_it_ends(bench: Bench) -> None:
    infos = [info for _, info in demonstration(bench)]
    for row in bench.plan.segments.values():
        for segment in row[:-1]:
            rises = next(t for t, info in enumerate(infos) if info["subtasks"][segment.signal])
            assert 0 < rises < len(infos) - max(segment.offsets[1], 0)


def test_it_can_be_asked_for_what_the_expert_asks(bench: Bench) -> None:
    environment = bench.environment
    assert isinstance(environment, PoseControlled)
    for step, (action, info) in enumerate(demonstration(bench, seed=1)):
        if step % 5:
            continue
        asked = environment.asked(action)
        assert set(asked) == set(info["gripper_poses"])
        again = environment.asked(environment.action_for(asked))
        for gripper, target in asked.items():
            np.testing.assert_allclose(target.pose[:3, :3] @ target.pose[:3, :3].T, np.eye(3), atol=1e-6)
            np.testing.assert_array_equal(target.pose[3], (0.0, 0.0, 0.0, 1.0))
            check_alike(target, again[gripper])
            assert environment.unreachable(gripper, target.pose) is None


def test_any_target_has_an_action_within_the_bounds(bench: Bench) -> None:
    environment = bench.environment
    assert isinstance(environment, PoseControlled)
    _, info = environment.reset(seed=2)
    for i in range(20):
        targets = {}
        for gripper, X_world_gripper in info["gripper_poses"].items():
            pose = X_world_gripper.copy()
            pose[:3, 3] += stream(i, gripper).uniform(-0.5, 0.5, 3)
            targets[gripper] = Target(pose, 3.0)
        action = environment.action_for(targets)
        assert action.dtype == np.float32
        assert environment.action_space.contains(action)


def test_asking_changes_nothing(bench: Bench) -> None:
    environment = bench.environment
    assert isinstance(environment, PoseControlled)
    actions, after = random_actions(bench.task, 0, 4), []
    for curious in (False, True):
        raw, info = environment.reset(seed=3)
        for action in actions:
            if curious:
                environment.action_for(environment.asked(action))
                for gripper, pose in info["gripper_poses"].items():
                    environment.unreachable(gripper, pose)
            raw, _, _, _, info = environment.step(action)
        after.append(raw["environment_state"])
    np.testing.assert_array_equal(*after)


def test_where_no_gripper_comes_is_told(bench: Bench) -> None:
    environment = bench.environment
    assert isinstance(environment, PoseControlled)
    _, info = environment.reset(seed=4)
    for gripper, pose in info["gripper_poses"].items():
        assert environment.unreachable(gripper, pose) is None
        far = pose.copy()
        far[0, 3] += 3.0
        why = environment.unreachable(gripper, far)
        assert why
        assert not why.endswith(".")


def test_mistakes_are_named(bench: Bench) -> None:
    environment = bench.environment
    assert isinstance(environment, PoseControlled)
    with pytest.raises(ShapeError, match="action"):
        environment.asked(np.zeros(3))
    with pytest.raises(UnknownNameError, match="gripper 'hook'|'hook'"):
        environment.action_for({"hook": Target(np.eye(4), 0.0)})
    with pytest.raises(UnknownNameError, match="'hook'"):
        environment.unreachable("hook", np.eye(4))
