import mujoco
import numpy as np
import pytest
from numpy.testing import assert_allclose

from etude.sim.assets import AssetError, asset_file
from etude.sim.robots.viperx import (
    FINGERS_MEET_M,
    SIDES,
    VIPERX_HIGH_RAD,
    VIPERX_HOME_RAD,
    VIPERX_JOINTS,
    VIPERX_LOW_RAD,
    Side,
    arm_joints,
    finger_gap_m,
    finger_position_m,
    gripper_at_gap,
    gripper_opening,
    prefixed,
    viperx_spec,
)

ARM = len(VIPERX_JOINTS)


@pytest.fixture(scope="module")
def arms() -> dict[Side, mujoco.MjModel]:
    return {side: viperx_spec(side).compile() for side in SIDES}


@pytest.fixture(scope="module")
def package() -> mujoco.MjModel:
    return mujoco.MjModel.from_xml_path(str(asset_file("gym_aloha", "assets/bimanual_viperx_transfer_cube.xml")))


def at(model: mujoco.MjModel, side: Side, joints_rad: np.ndarray, finger_m: float = 0.03) -> mujoco.MjData:
    data = mujoco.MjData(model)
    for name, value in zip(arm_joints(side), (*joints_rad, finger_m, -finger_m), strict=True):
        data.joint(name).qpos[0] = value
    mujoco.mj_forward(model, data)
    return data


@pytest.mark.parametrize("side", SIDES)
def test_bodies_are_where_the_package_has_them(
    side: Side, arms: dict[Side, mujoco.MjModel], package: mujoco.MjModel
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        joints = rng.uniform(VIPERX_LOW_RAD, VIPERX_HIGH_RAD)
        ours, theirs = at(arms[side], side, joints), at(package, side, joints)
        for link in ("shoulder_link", "gripper_link", "left_finger_link", "right_finger_link"):
            body = prefixed(side, link)
            assert_allclose(ours.body(body).xpos, theirs.body(body).xpos, atol=1e-9)
            assert_allclose(ours.body(body).xquat, theirs.body(body).xquat, atol=1e-9)


@pytest.mark.parametrize("side", SIDES)
def test_ranges_servos_and_masses_are_the_packages(
    side: Side, arms: dict[Side, mujoco.MjModel], package: mujoco.MjModel
) -> None:
    model = arms[side]
    assert_allclose(model.jnt_range[:ARM].T, (VIPERX_LOW_RAD, VIPERX_HIGH_RAD))
    for name in arm_joints(side):
        ours, theirs = model.actuator(name).id, next(i for i in range(package.nu) if _joint_of(package, i) == name)
        assert_allclose(model.actuator_gainprm[ours], package.actuator_gainprm[theirs])
        assert_allclose(model.actuator_forcerange[ours], package.actuator_forcerange[theirs])
        assert_allclose(model.actuator_ctrlrange[ours], package.actuator_ctrlrange[theirs])
    for body in range(1, model.nbody):
        name = model.body(body).name
        assert model.body_mass[body] == pytest.approx(package.body(name).mass[0])
        assert_allclose(model.body_inertia[body], package.body(name).inertia)


def _joint_of(model: mujoco.MjModel, actuator: int) -> str:
    return model.joint(int(model.actuator_trnid[actuator, 0])).name


@pytest.mark.parametrize("side", SIDES)
def test_the_wrist_camera_looks_as_the_packages_does_at_home_and_turns_with_the_hand(
    side: Side, arms: dict[Side, mujoco.MjModel], package: mujoco.MjModel
) -> None:
    camera, home = f"{side}_wrist", np.array(VIPERX_HOME_RAD)
    ours, theirs = at(arms[side], side, home), at(package, side, home)
    assert_allclose(ours.cam(camera).xpos, theirs.cam(camera).xpos, atol=1e-9)
    assert_allclose(ours.cam(camera).xmat, theirs.cam(camera).xmat, atol=1e-6)
    turned = at(arms[side], side, home + np.eye(ARM)[-1])
    X = [
        d.body(prefixed(side, "gripper_link")).xmat.reshape(3, 3).T @ d.cam(camera).xmat.reshape(3, 3)
        for d in (ours, turned)
    ]
    assert_allclose(X[0], X[1], atol=1e-9)


@pytest.mark.parametrize("side", SIDES)
def test_the_grasp_point_lies_between_the_fingertips(side: Side, arms: dict[Side, mujoco.MjModel]) -> None:
    model = arms[side]
    data = at(model, side, np.array(VIPERX_HOME_RAD), FINGERS_MEET_M + 0.01)
    site = data.site(prefixed(side, "gripper"))
    R, reach = site.xmat.reshape(3, 3), {}
    for finger in ("left", "right"):
        geom = model.geom(prefixed(side, f"10_{finger}_gripper_finger")).id
        mesh = int(model.geom_dataid[geom])
        start, count = int(model.mesh_vertadr[mesh]), int(model.mesh_vertnum[mesh])
        vertices = model.mesh_vert[start : start + count] @ data.geom_xmat[geom].reshape(3, 3).T + data.geom_xpos[geom]
        reach[finger] = (vertices - site.xpos) @ R
    assert reach["left"][:, 1].min() == pytest.approx(0.01, abs=2e-4)
    assert reach["right"][:, 1].max() == pytest.approx(-0.01, abs=2e-4)
    assert reach["left"][:, 2].max() == pytest.approx(0.0137, abs=2e-4)


def test_what_is_drawn_is_light(arms: dict[Side, mujoco.MjModel]) -> None:
    for model in arms.values():
        drawn = [model.geom_dataid[g] for g in range(model.ngeom) if model.geom_group[g] == 0]
        assert sum(int(model.mesh_facenum[mesh]) for mesh in drawn) <= 1600


def test_the_gripper_is_0_closed_and_1_open_as_in_act() -> None:
    assert_allclose((finger_position_m(0.0), finger_position_m(1.0)), (0.01844, 0.05800))
    for opening in (0.0, 0.3, 1.0):
        assert gripper_opening(finger_position_m(opening)) == pytest.approx(opening)
    assert finger_gap_m(gripper_at_gap(0.04)) == pytest.approx(0.04)
    assert gripper_at_gap(1.0) == 1.0
    assert gripper_at_gap(-1.0) == 0.0


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(AssetError, match=r"'gym_aloha' is not installed.*pip install 'etude\[aloha\]'"):
        viperx_spec("left")
