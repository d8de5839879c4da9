"""A site goes where it is sent, by the joints it is given, within their ranges."""

import mujoco
import numpy as np
import pytest

from etude.core import stream
from etude.core.se3 import exp_rotation, pose
from etude.sim.ik import SiteIK
from etude.sim.robots.panda import PANDA_HOME_RAD, PANDA_JOINTS, panda_spec


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return panda_spec().compile()


def at(model: mujoco.MjModel, joints_rad: np.ndarray) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.qpos[: len(joints_rad)] = joints_rad
    mujoco.mj_kinematics(model, data)
    mujoco.mj_comPos(model, data)
    return data


def gripper(data: mujoco.MjData) -> np.ndarray:
    site = data.site("gripper")
    return pose(site.xpos, site.xmat.reshape(3, 3))


def test_a_reachable_pose_is_reached(model: mujoco.MjModel) -> None:
    rng, ik, home = stream(0, "poses"), SiteIK(model, "gripper", PANDA_JOINTS), np.array(PANDA_HOME_RAD)
    for _ in range(20):
        goal = gripper(at(model, home + rng.uniform(-0.3, 0.3, 7)))
        data = at(model, home)
        q = ik.solve(data, goal, iterations=50)
        np.testing.assert_allclose(gripper(at(model, q)), goal, atol=1e-3)
        np.testing.assert_array_equal(data.qpos[:7], q)


def test_a_small_step_is_the_one_asked_for(model: mujoco.MjModel) -> None:
    ik, home = SiteIK(model, "gripper", PANDA_JOINTS, damping=1e-4), np.array(PANDA_HOME_RAD)
    start = gripper(at(model, home))
    shift, turn = np.array([1e-3, -2e-3, 1e-3]), np.array([2e-3, 1e-3, -1e-3])
    end = gripper(at(model, ik.step(at(model, home), shift, turn)))
    np.testing.assert_allclose(end[:3, 3] - start[:3, 3], shift, atol=2e-5)
    np.testing.assert_allclose(end[:3, :3], exp_rotation(turn) @ start[:3, :3], atol=2e-5)


def test_out_of_reach_it_stays_within_the_joints_ranges(model: mujoco.MjModel) -> None:
    ik = SiteIK(model, "gripper", PANDA_JOINTS)
    q = ik.solve(at(model, np.array(PANDA_HOME_RAD)), pose(np.array([3.0, 0.0, 0.5]), np.eye(3)))
    low, high = model.jnt_range[:7].T
    assert (low <= q).all()
    assert (q <= high).all()


def test_joints_it_was_not_given_stay(model: mujoco.MjModel) -> None:
    data = at(model, np.array(PANDA_HOME_RAD))
    q = SiteIK(model, "gripper", PANDA_JOINTS[1:6:2]).step(data, np.array([0.0, 0.0, -0.01]), np.zeros(3))
    assert q.shape == (3,)
    assert (q != data.qpos[1:6:2]).any()


def test_the_posture_is_pulled_home_without_moving_the_hand(model: mujoco.MjModel) -> None:
    home = np.array(PANDA_HOME_RAD)
    ik = SiteIK(model, "gripper", PANDA_JOINTS, damping=1e-4, home=home, posture_gain=0.1)
    away = home + np.array([0.3, 0.1, -0.3, 0.1, 0.2, 0.1, 0.0])
    start, q = gripper(at(model, away)), away
    for _ in range(30):
        q = ik.step(at(model, q), start[:3, 3] - gripper(at(model, q))[:3, 3], np.zeros(3))
    assert np.linalg.norm(q - home) < np.linalg.norm(away - home) - 0.05
    np.testing.assert_allclose(gripper(at(model, q))[:3, 3], start[:3, 3], atol=1e-3)


def test_orientation_gives_way_where_it_weighs_less(model: mujoco.MjModel) -> None:
    home = np.array(PANDA_HOME_RAD)
    goal = gripper(at(model, home))
    goal[:3, 3] += [0.35, 0.0, 0.0]  # near the edge of what the arm reaches with the hand straight down
    errors = []
    for weight in (1.0, 0.05):
        q = SiteIK(model, "gripper", PANDA_JOINTS, rotation_weight=weight).solve(at(model, home), goal, iterations=60)
        errors.append(np.linalg.norm(gripper(at(model, q))[:3, 3] - goal[:3, 3]))
    assert errors[1] < errors[0]
