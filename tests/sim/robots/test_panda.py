import mujoco
import numpy as np
import pytest

from etude.sim.robots.panda import PANDA_FINGER_JOINTS, PANDA_HOME_RAD, PANDA_JOINTS, panda_spec


@pytest.fixture(scope="module")
def model() -> mujoco.MjModel:
    return panda_spec().compile()


def at(model: mujoco.MjModel, joints_rad: tuple[float, ...], fingers_m: float = 0.04) -> mujoco.MjData:
    data = mujoco.MjData(model)
    for name, value in zip(PANDA_JOINTS, joints_rad, strict=True):
        data.joint(name).qpos[0] = value
    for name in PANDA_FINGER_JOINTS:
        data.joint(name).qpos[0] = fingers_m
    mujoco.mj_forward(model, data)
    return data


def dh(a: float, d: float, alpha: float, theta: float) -> np.ndarray:
    """Craig's modified Denavit-Hartenberg transform, as in Franka's documentation."""
    ca, sa, ct, st = np.cos(alpha), np.sin(alpha), np.cos(theta), np.sin(theta)
    return np.array([[ct, -st, 0, a], [st * ca, ct * ca, -sa, -d * sa], [st * sa, ct * sa, ca, d * ca], [0, 0, 0, 1]])


def test_forward_kinematics_are_those_franka_documents(model: mujoco.MjModel) -> None:
    rng = np.random.default_rng(0)
    half = np.pi / 2
    table = [(0, 0.333, 0), (0, 0, -half), (0, 0.316, half), (0.0825, 0, half), (-0.0825, 0.384, -half), (0, 0, half),
             (0.088, 0, half)]  # fmt: skip
    for _ in range(20):
        joints = tuple(rng.uniform(model.jnt_range[:7, 0], model.jnt_range[:7, 1]))
        data = at(model, joints)
        X_base_link = np.eye(4)
        for index, ((a, d, alpha), q) in enumerate(zip(table, joints, strict=True), start=1):
            X_base_link = X_base_link @ dh(a, d, alpha, q)
            body = data.body(f"panda_link{index}")
            np.testing.assert_allclose(body.xpos, X_base_link[:3, 3], atol=1e-5)
            np.testing.assert_allclose(body.xmat.reshape(3, 3), X_base_link[:3, :3], atol=1e-5)


def test_the_grasp_point_lies_between_the_fingertips_and_points_out_of_the_hand(model: mujoco.MjModel) -> None:
    data = at(model, PANDA_HOME_RAD)
    gripper = data.site("gripper")
    R_world_gripper = gripper.xmat.reshape(3, 3)
    np.testing.assert_allclose(R_world_gripper[:, 2], [0, 0, -1], atol=1e-5)  # at home the hand points down
    left, right = data.body("panda_leftfinger").xpos, data.body("panda_rightfinger").xpos
    np.testing.assert_allclose((left - right) @ R_world_gripper, [0, 0.08, 0], atol=1e-5)
    np.testing.assert_allclose(((left + right) / 2 - gripper.xpos) @ R_world_gripper, [0, 0, -0.08], atol=1e-5)


def test_everything_is_gravity_compensated_and_nothing_is_driven(model: mujoco.MjModel) -> None:
    data = at(model, PANDA_HOME_RAD)
    assert (model.body_gravcomp[1:] == 1).all()
    assert model.nu == 0
    assert np.abs(data.qacc).max() < 1e-6


def test_visual_geoms_are_light_one_per_body_and_touch_nothing(model: mujoco.MjModel) -> None:
    visual = np.flatnonzero(model.geom_group == 0)
    assert len(set(model.geom_bodyid[visual])) == len(visual) == 10
    assert not model.geom_contype[visual].any()
    assert not model.geom_conaffinity[visual].any()
    assert model.mesh_facenum[model.geom_dataid[visual]].sum() <= 3000


def test_light_links_fill_the_space_of_the_full_ones(model: mujoco.MjModel) -> None:
    full = panda_spec(max_faces=10**6).compile()
    for name in ("panda_link0_visual0", "panda_link4_visual0", "panda_link7_visual0", "panda_leftfinger_visual0"):
        sizes = [m.geom_aabb[m.geom(name).id, 3:] for m in (model, full)]
        assert np.sort(sizes[0]) == pytest.approx(np.sort(sizes[1]), rel=0.12)


def test_it_attaches_to_a_world_under_a_prefix() -> None:
    world = mujoco.MjSpec()
    world.worldbody.add_frame(pos=[1.0, 0.0, 0.0]).attach_body(panda_spec().body("panda_link0"), "left_", "")
    attached = world.compile()
    data = mujoco.MjData(attached)
    mujoco.mj_forward(attached, data)
    np.testing.assert_allclose(data.body("left_panda_link1").xpos, [1.0, 0.0, 0.333], atol=1e-9)


def test_two_robots_are_the_same_and_free_to_change() -> None:
    first, second = panda_spec(), panda_spec()
    first.body("panda_link0").pos = np.array([5.0, 0.0, 0.0])
    assert second.body("panda_link0").pos[0] == 0.0
    np.testing.assert_array_equal(first.compile().mesh_vert, second.compile().mesh_vert)
