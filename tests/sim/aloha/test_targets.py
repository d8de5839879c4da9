"""What an action asks of ALOHA's hands, and the action that asks for it, are each other's inverse."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from etude.core import Observation, PoseControlled, Target, rollout_many
from etude.core.episode import Case
from etude.core.se3 import exp_rotation, pose
from etude.core.space import Perturbation
from etude.sim import AlohaInsertion, AlohaOneArm, AlohaTransferCube
from etude.sim.worlds.aloha.world import AlohaWorld


def world(control: str = "joints") -> AlohaWorld:
    environment = AlohaTransferCube(cameras=(), control=control).environment()
    environment.reset(seed=0)
    assert isinstance(environment.world, AlohaWorld)
    return environment.world


def at_work(control: str = "joints") -> AlohaWorld:
    """With both hands over the table, dipping; where episodes start, the wrist is nearly singular."""
    w = world(control)
    targets = moved(w, (0.0, 0.05, -0.12), (0.0, 0.8, 0.0))
    for _ in range(80):
        w.step(w.action_for(targets).astype(np.float64))
    return w


def moved(world: AlohaWorld, shift_m: tuple[float, float, float], turn_rad: tuple[float, float, float]) -> dict:
    """Targets near where the hands are."""
    targets = {}
    for gripper, X in world.gripper_poses().items():
        targets[gripper] = Target(pose(X[:3, 3] + shift_m, X[:3, :3] @ exp_rotation(np.array(turn_rad))), 0.4)
    return targets


def assert_same(asked: dict, targets: dict, atol: float) -> None:
    assert set(asked) == set(targets)
    for gripper, target in targets.items():
        assert_allclose(asked[gripper].pose, target.pose, atol=atol)
        assert asked[gripper].command == pytest.approx(target.command, abs=1e-6)


@pytest.mark.parametrize("control", ["joints", "ee"])
def test_what_an_action_asks_is_what_it_was_made_for(control: str) -> None:
    w, rng = at_work(control), np.random.default_rng(0)
    for _ in range(5):
        targets = moved(w, tuple(rng.uniform(-0.007, 0.007, 3)), tuple(rng.uniform(-0.04, 0.04, 3)))
        action = w.action_for(targets)
        assert action.dtype == np.float32
        assert_same(dict(w.asked(action)), targets, atol=1e-5)
        w.step(action.astype(np.float64))


def test_an_action_is_found_again_from_what_it_asks() -> None:
    w, rng = at_work(), np.random.default_rng(1)
    still = w.action_for({name: Target(X, 0.1) for name, X in w.gripper_poses().items()})
    for _ in range(5):
        action = still + rng.uniform(-0.01, 0.01, 14).astype(np.float32)
        assert_allclose(w.action_for(w.asked(action)), action, atol=1e-4)


@pytest.mark.parametrize("control", ["joints", "ee"])
def test_asking_changes_nothing(control: str) -> None:
    asked, unasked = world(control), world(control)
    targets = moved(asked, (0.01, 0.0, -0.01), (0.0, 0.02, 0.0))
    for _ in range(3):
        action = asked.action_for(targets)
        asked.asked(action)
        asked.unreachable("left_gripper", targets["left_gripper"].pose)
        for w in (asked, unasked):
            w.step(action.astype(np.float64))
    assert_array_equal(asked.data.qpos, unasked.data.qpos)
    assert_array_equal(asked.data.qvel, unasked.data.qvel)


def test_far_targets_are_reached_step_by_step_without_turning_the_wrist_over() -> None:
    w = world()
    targets = moved(w, (0.0, 0.1, -0.15), (0.0, 0.5, 0.1))  # the wrist passes its straight, singular posture
    for _ in range(150):
        w.step(w.action_for(targets).astype(np.float64))
        joints = w.proprioception().reshape(2, 7)
        assert np.abs(joints[:, [3, 5]]).max() < 2.0  # forearm roll and wrist rotation
    for gripper, X in w.gripper_poses().items():
        assert_allclose(X, targets[gripper].pose, atol=5e-3)


def test_reach_is_told_without_physics() -> None:
    w = world()
    for gripper, X in w.gripper_poses().items():
        assert w.unreachable(gripper, X) is None
        far = pose(X[:3, 3] + (0.0, 0.9, 0.0), X[:3, :3])
        reason = w.unreachable(gripper, far)
        assert reason is not None
        assert reason.startswith(f"the {gripper.split('_')[0]} hand does not reach")


@pytest.mark.parametrize("control", ["joints", "ee"])
def test_a_demonstration_replayed_as_what_it_asked_for_succeeds_again(control: str) -> None:
    task = AlohaOneArm(cameras=(), control=control)
    environment = task.environment(object_state=True)
    assert isinstance(environment, PoseControlled)

    class Anew:
        """Does what the expert does, by way of the poses that it asks for."""

        def __init__(self) -> None:
            self.expert = task.expert()

        def begin(self, rng: np.random.Generator) -> object:
            return self.expert.begin(rng)

        def act(self, observations: list[Observation], memories: list[object]) -> list[np.ndarray]:
            ((action,),) = self.expert.act(observations, memories)
            return [environment.action_for(environment.asked(action))[None]]

    cases = [Case(Perturbation(), seed) for seed in range(2)]
    assert all(outcome.success for _, outcome in rollout_many([environment], Anew(), cases))


def test_plans_name_grippers_objects_and_signals_that_there_are() -> None:
    for task in (AlohaOneArm(cameras=()), AlohaTransferCube(cameras=()), AlohaInsertion(cameras=())):
        _, info = task.environment().reset(seed=0)
        plan = task.segments
        assert plan is not None
        assert set(plan.segments) == set(info["gripper_poses"])
        assert set(plan.objects) <= set(info["object_poses"])
        assert {s.signal for row in plan.segments.values() for s in row if s.signal} <= set(task.subtasks)
