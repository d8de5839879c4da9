"""Poses of an SO-101's hand: exact there and back, and what gives way where five joints are too few."""

import numpy as np
import pytest

from etude.core import Target, stream
from etude.core.se3 import exp_rotation, pose
from etude.sim import make_task
from etude.sim.environment import PoseControlledEnv
from etude.sim.robots.so101 import SO101_RANGE_RAD, to_lerobot
from etude.sim.worlds.so101.poses import pose_at, positions_at, why_unreachable

LOW, HIGH = np.array(SO101_RANGE_RAD).T
REACH = to_lerobot(np.array([0.0, -0.4, 0.5, 1.4, 1.5, 0.3])).tolist()
"""A hand over the table, pointing down."""


@pytest.fixture(scope="module")
def environment() -> PoseControlledEnv:
    made = make_task("so101-sort:cameras=none,distractors=0").environment()
    assert isinstance(made, PoseControlledEnv)
    return made


def turn_z(angle_rad: float) -> np.ndarray:
    return pose(np.zeros(3), exp_rotation(np.array([0.0, 0.0, angle_rad])))


def test_a_pose_is_that_of_the_model(environment: PoseControlledEnv) -> None:
    for seed in range(5):
        raw, info = environment.reset(seed=seed)
        for action in stream(seed, "actions").uniform(*environment.task.action_bounds, (5, 6)).astype(np.float32):
            found, expected = pose_at(raw["agent_pos"].tolist()), info["gripper_poses"]["gripper"]
            np.testing.assert_allclose(found[:3, 3], expected[:3, 3], atol=6e-4)
            np.testing.assert_allclose(found[:3, :3], expected[:3, :3], atol=2e-3)
            raw, *_, info = environment.step(action)


def test_joints_there_and_back_for_all_that_the_arm_can_do() -> None:
    for i in range(300):
        joints = to_lerobot(stream(i, "joints").uniform(LOW, HIGH)).tolist()
        X_world_gripper = pose_at(joints)
        found = positions_at(X_world_gripper, REACH)
        assert found is not None
        np.testing.assert_allclose(pose_at([*found[0], 0.0]), X_world_gripper, atol=1e-6)
        assert found[1] == 0.0
        same = positions_at(X_world_gripper, joints)
        assert same is not None
        np.testing.assert_allclose(same[0], joints[:5], atol=1e-4)


def test_the_action_for_what_an_action_asks_is_that_action_near_the_arm(environment: PoseControlledEnv) -> None:
    raw, _ = environment.reset(seed=0)
    low, high = environment.task.action_bounds
    for change in stream(0, "changes").uniform(-8, 8, (50, 6)):
        action = np.clip(raw["agent_pos"] + change, low, high).astype(np.float32)
        np.testing.assert_allclose(environment.action_for(environment.asked(action)), action, atol=1e-3)
        raw, *_ = environment.step(action)


def test_a_turn_about_the_base_turns_the_pan_joint_alone() -> None:
    here = pose_at(REACH)
    base = pose(np.array([0.0388, 0.0, 0.0]), np.eye(3))
    away = base @ turn_z(0.7) @ np.linalg.inv(base) @ here
    found = positions_at(away, REACH)
    assert found is not None
    np.testing.assert_allclose(np.subtract(found[0], REACH[:5]), (-np.degrees(0.7), 0.0, 0.0, 0.0, 0.0), atol=1e-6)


@pytest.mark.parametrize("tilt_rad", [0.1, 0.3])
def test_an_axis_out_of_the_arms_plane_is_laid_into_it_and_the_jaws_stay_where_they_point(tilt_rad: float) -> None:
    asked = pose_at(REACH)
    asked[:3, :3] = exp_rotation(np.array([tilt_rad, 0.0, 0.0])) @ asked[:3, :3]  # sideways: the arm lies along x
    found = positions_at(asked, REACH)
    assert found is not None
    taken = pose_at([*found[0], 0.0])
    np.testing.assert_allclose(taken[:3, 3], asked[:3, 3], atol=1e-4)
    yaws = [np.arctan2(X[1, 1], X[0, 1]) for X in (taken, asked)]
    assert abs(yaws[0] - yaws[1]) < 1e-3
    assert taken[2, 2] < -0.9


def test_where_the_hand_cannot_point_down_it_leans_by_as_little_as_will_do() -> None:
    straight = pose_at(REACH)
    leans: list[float] = []
    for x in (0.20, 0.30, 0.34, 0.38):
        target = pose(np.array([x, 0.0, 0.05]), straight[:3, :3])
        found = positions_at(target, REACH)
        assert found is not None
        np.testing.assert_allclose(pose_at([*found[0], 0.0])[:3, 3], target[:3, 3], atol=1e-4)
        leans.append(found[1])
    assert leans == sorted(leans)
    assert leans[0] == 0.0 < leans[-1]
    assert why_unreachable(pose(np.array([0.7, 0.0, 0.05]), straight[:3, :3])) is not None
    assert "below the table" in (why_unreachable(pose(np.array([0.2, 0.0, -0.05]), straight[:3, :3])) or "")


def test_an_arm_that_cannot_get_there_stays(environment: PoseControlledEnv) -> None:
    raw, info = environment.reset(seed=0)
    far = info["gripper_poses"]["gripper"].copy()
    far[0, 3] += 2.0
    action = environment.action_for({"gripper": Target(far, 50.0)})
    np.testing.assert_allclose(action, [*raw["agent_pos"][:5], 50.0], atol=1e-3)


@pytest.mark.parametrize("occupied", [0.0, 1.0])
def test_the_goal_is_the_pad_where_the_cube_belongs(environment: PoseControlledEnv, occupied: float) -> None:
    theta = {"b1.occupied": occupied, "b1.x_m": 0.21, "b2.y_m": -0.15}
    _, info = environment.reset(seed=0, options={"perturbation": theta})
    goal = info["object_poses"]["goal"]
    np.testing.assert_allclose(goal[:3, 3], (0.2, -0.15, 0.0) if occupied else (0.21, 0.14, 0.0), atol=1e-6)
    from_base = goal[:2, 3] - (0.0388, 0.0)
    np.testing.assert_allclose(goal[:2, 0], from_base / np.linalg.norm(from_base), atol=1e-6)
