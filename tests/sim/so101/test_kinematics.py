from math import hypot, pi, remainder

import mujoco
import numpy as np
import pytest

from etude.core import stream
from etude.sim.robots.so101 import SO101_RANGE_RAD, so101_spec, to_lerobot
from etude.sim.worlds.so101.kinematics import hand_at, opening_at, percent_for, positions_for

LOW, HIGH = np.array(SO101_RANGE_RAD).T


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return so101_spec().compile()


def at(model: mujoco.MjModel, joints: np.ndarray) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.qpos[:] = joints
    mujoco.mj_kinematics(model, data)
    return data


def test_the_hand_is_where_the_model_has_it(model: mujoco.MjModel) -> None:
    for i in range(50):
        joints = stream(i, "joints").uniform(LOW, HIGH)
        data, hand = at(model, joints), hand_at(to_lerobot(joints).tolist())
        site, opens = data.site("gripper"), data.site("gripper").xmat.reshape(3, 3)[:, 1]
        np.testing.assert_allclose(hand[:3], site.xpos, atol=5e-4)
        if hypot(opens[0], opens[1]) > 0.05:
            assert abs(remainder(np.arctan2(opens[1], opens[0]) - hand.yaw, 2 * pi)) < 1e-3


def test_the_opening_is_that_between_the_tips(model: mujoco.MjModel) -> None:
    inner_face_of_the_moving_jaw = np.array([-0.0123, -0.076, 0.0189])
    for q in np.linspace(-0.1, 0.8, 7):
        data = at(model, np.r_[np.zeros(5), q])
        jaw, site = data.body("moving_jaw"), data.site("gripper")
        face = jaw.xpos + jaw.xmat.reshape(3, 3) @ inner_face_of_the_moving_jaw
        opening = (face - site.xpos) @ site.xmat.reshape(3, 3)[:, 1]
        percent = to_lerobot(data.qpos)[5]
        assert abs(opening_at(percent) - opening) < 1e-6
        assert abs(percent_for(opening) - percent) < 1e-3


def test_there_and_back() -> None:
    reached = 0
    for i in range(200):
        x, y, z, yaw = stream(i, "places").uniform([0.12, -0.18, 0.01, -pi], [0.28, 0.18, 0.1, pi])
        positions = positions_for(x, y, z, yaw)
        if positions is None:
            continue
        reached += 1
        hand = hand_at((*positions, 50.0))
        np.testing.assert_allclose(hand[:3], (x, y, z), atol=1e-6)
        assert abs(remainder(hand.yaw - yaw, 2 * pi)) < 1e-3
        low, high = np.degrees(LOW[:5]), np.degrees(HIGH[:5])
        assert ((low <= positions) & (positions <= high)).all()
    assert reached > 150


def test_the_hand_points_straight_down_where_cubes_lie() -> None:
    for x in (0.14, 0.2, 0.26):
        for y in (-0.08, 0.0, 0.08):
            positions = positions_for(x, y, 0.018, pi / 2)
            assert positions is not None
            assert abs(sum(positions[1:4]) - 90.0) < 1e-6


def test_what_is_out_of_reach_is_refused() -> None:
    assert positions_for(0.6, 0.0, 0.1, 0.0) is None
