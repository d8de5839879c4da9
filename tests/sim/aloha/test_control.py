import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from etude.core import UnknownNameError
from etude.core.se3 import matrix_to_quat
from etude.sim import AlohaOneArm, AlohaTransferCube
from etude.sim.robots.viperx import SIDES, VIPERX_HOME_RAD, Side
from etude.sim.worlds.aloha.control import action_bounds, action_names, state_names
from etude.sim.worlds.aloha.world import AlohaWorld


def world(control: str = "joints") -> AlohaWorld:
    environment = AlohaTransferCube(cameras=(), control=control).environment()
    environment.reset(seed=0)
    assert isinstance(environment.world, AlohaWorld)
    return environment.world


def pose_command(world: AlohaWorld, side: Side, shift_m: tuple[float, float, float], opening: float) -> list[float]:
    X = world.arms.gripper_pose(side)
    return [*(X[:3, 3] + shift_m).tolist(), *matrix_to_quat(X[:3, :3]).tolist(), opening]


def test_numbers_are_acts_seven_per_arm_left_first() -> None:
    assert len(state_names()) == len(action_names("joints")) == 14
    assert state_names()[0] == "left_waist.position_rad"
    assert state_names()[6:8] == ("left_gripper.opening", "right_waist.position_rad")
    assert len(action_names("ee")) == 16
    assert len(action_names("joints", ("right",))) == 7
    for control in ("joints", "ee"):
        assert [len(bound) for bound in action_bounds(control)] == [len(action_names(control))] * 2


def test_episodes_start_as_gym_alohas_do() -> None:
    state = world().proprioception().reshape(2, 7)
    assert_allclose(state[:, :6], [VIPERX_HOME_RAD] * 2, atol=0.01)
    assert_allclose(state[:, 6], 0.1, atol=0.01)


def test_joints_and_openings_follow_their_commands() -> None:
    w = world()
    goal = np.array([0.2, -0.8, 1.0, 0.1, 0.2, -0.3, 0.8, -0.1, -0.9, 1.2, -0.2, -0.1, 0.4, 0.0])
    for _ in range(75):
        w.step(goal)
    reached = w.proprioception()
    assert_allclose(np.delete(reached, [6, 13]), np.delete(goal, [6, 13]), atol=0.03)  # gravity makes servos sag
    assert reached[6] == pytest.approx(0.8, abs=0.02)
    assert reached[13] < 0.1  # the fingers' own range ends a little before 0


def test_poses_are_reached_where_they_were_sent() -> None:
    w = world("ee")
    left, right = pose_command(w, "left", (0.08, 0.05, -0.1), 0.5), pose_command(w, "right", (-0.05, -0.1, 0.05), 0.9)
    for _ in range(150):
        w.step(np.array([*left, *right]))
    for side, command in zip(SIDES, (left, right), strict=True):
        assert_allclose(w.arms.gripper_pose(side)[:3, 3], command[:3], atol=1e-3)
        assert_allclose(matrix_to_quat(w.arms.gripper_pose(side)[:3, :3]), command[3:7], atol=5e-3)


def test_the_hand_goes_to_a_far_pose_fairly_straight_and_at_a_bounded_speed() -> None:
    w = world("ee")
    start, shift = w.arms.gripper_pose("left")[:3, 3], (0.15, 0.0, -0.1)
    command = np.array([*pose_command(w, "left", shift, 0.1), *pose_command(w, "right", (0.0, 0.0, 0.0), 0.1)])
    way = [start]
    for _ in range(100):
        w.step(command)
        way.append(w.arms.gripper_pose("left")[:3, 3])
    done, along = np.array(way) - start, np.array(shift) / np.linalg.norm(shift)
    assert np.linalg.norm(done - np.outer(done @ along, along), axis=1).max() < 0.04
    assert np.linalg.norm(np.diff(way, axis=0), axis=1).max() < 0.4 / 50


def test_a_pose_without_a_turn_keeps_the_hands_own() -> None:
    w = world("ee")
    before = w.arms.gripper_pose("right")
    still = [*before[:3, 3], 0.0, 0.0, 0.0, 0.0, 0.1]
    for _ in range(10):
        w.step(np.array([*pose_command(w, "left", (0.0, 0.0, 0.0), 0.1), *still]))
    assert_allclose(w.arms.gripper_pose("right"), before, atol=0.01)


def test_no_action_makes_the_physics_diverge() -> None:
    rng = np.random.default_rng(0)
    w = world()
    low, high = (np.array(bound) for bound in action_bounds("joints"))
    for _ in range(200):
        w.step(np.where(rng.random(14) < 0.5, low, high))
    assert_array_equal(w.data.warning.number, 0)


def test_an_unknown_control_is_refused_with_the_choices() -> None:
    for task in (AlohaTransferCube, AlohaOneArm):
        with pytest.raises(UnknownNameError, match=r"unknown control 'torque'.*Valid: ee, joints"):
            task(control="torque")
