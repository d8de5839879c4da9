"""The ViperX 300 arms of ALOHA, left and right, as specifications to attach to a world.

The model comes from gym-aloha (MIT): bodies, joints and geoms keep its names ("vx300s_left/waist"), and joints, servos
and contacts are its own, so that what was learned in its worlds means the same in ours. Only what is drawn is lighter.
"""

from pathlib import Path
from typing import Literal

import mujoco
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from etude.core.se3 import matrix_to_quat, quat_to_matrix
from etude.sim.assets import asset_file
from etude.sim.meshes import MeshPart, TriangleMesh, light_meshes
from etude.sim.variations import look

type Side = Literal["left", "right"]
SIDES: tuple[Side, Side] = ("left", "right")
"""The left arm stands at −x and looks along +x, the right arm opposite it."""
VIPERX_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
"""Revolute joints from the base to the wrist; in a world each with the prefix of its arm."""
VIPERX_FINGERS = ("left_finger", "right_finger")
"""Sliding joints of the fingers, towards +y and −y of the hand."""
VIPERX_HOME_RAD = (0.0, -0.96, 1.16, 0.0, -0.3, 0.0)
"""Where ALOHA's episodes start: hand level, 0.15 m ahead of the base and 0.3 m above it."""
VIPERX_LOW_RAD = (-3.14158, -1.85005, -1.76278, -3.14158, -1.8675, -3.14158)
VIPERX_HIGH_RAD = (3.14158, 1.25664, 1.6057, 3.14158, 2.23402, 3.14158)
"""Ranges of the joints and their servos, as in the package (the specification has them from there)."""
HOME_GRIPPER = 0.1
"""Opening at the start: nearly closed."""
FINGER_CLOSED_M, FINGER_OPEN_M = 0.01844, 0.05800
"""Finger joints at a gripper of 0 and of 1, as in ACT; both lie a little beyond the joints' own range."""
FINGERS_MEET_M = 0.0224
"""Finger joints at which the fingertips touch each other."""
FINGERTIP_M = 0.0137
"""How far the fingers reach beyond the grasp point."""

_PACKAGE = "gym_aloha"
_WRAPPER = '<mujoco><include file="meshes.xml"/><worldbody><include file="arm.xml"/></worldbody></mujoco>'
_GRASP_IN_LINK_M = (0.14, 0.0, 0.0)
_HAND_IN_LINK_QUAT = (np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0)  # the link's x axis points out of the hand: make it z
_COLLISION_GROUP = 3  # MuJoCo does not draw groups 3 to 5 unless asked
_HIDDEN_SITE_GROUP = 4
_STIFFNESS = (800.0, 1600.0, 800.0, 10.0, 50.0, 20.0)  # [Nm/rad]
_TORQUE_NM = (150.0, 300.0, 100.0, 100.0, np.inf, np.inf)
_FINGER_STIFFNESS = 200.0  # [N/m]
# [Nm s/rad], a hundredth of the friction at the experts' speeds. Without any, actions that jump from one end of the
# range to the other make the package's model diverge within five steps, and MuJoCo starts the world again in the middle
# of an episode. (Armature would help, too, but changes how far friction yields, and with it every motion.)
_DAMPING = 0.5
_WELD_M = 5e-4  # the hand is full of tiny bolts


def prefixed(side: Side, name: str) -> str:
    """The name of a body, joint or geom of one arm, e.g. "vx300s_left/waist"."""
    return f"vx300s_{side}/{name}"


def arm_joints(side: Side) -> tuple[str, ...]:
    """Joints and servos of one arm with their full names: VIPERX_JOINTS, then VIPERX_FINGERS."""
    return tuple(prefixed(side, name) for name in (*VIPERX_JOINTS, *VIPERX_FINGERS))


def finger_position_m(gripper: float) -> float:
    """Position of the left finger's joint (the right one has its negative) at an opening of 0 (closed) to 1 (open)."""
    return FINGER_CLOSED_M + gripper * (FINGER_OPEN_M - FINGER_CLOSED_M)


def gripper_opening(finger_m: float) -> float:
    """The opening, 0 closed to 1 open, at a position of the left finger's joint."""
    return (finger_m - FINGER_CLOSED_M) / (FINGER_OPEN_M - FINGER_CLOSED_M)


def finger_gap_m(gripper: float) -> float:
    """Gap between the fingertips at an opening of 0 to 1; a little negative where the fingers would overlap."""
    return 2 * (finger_position_m(gripper) - FINGERS_MEET_M)


def gripper_at_gap(gap_m: float) -> float:
    """The opening, within 0 to 1, that has a gap between the fingertips."""
    return min(max(gripper_opening(gap_m / 2 + FINGERS_MEET_M), 0.0), 1.0)


def viperx_spec(side: Side, max_faces: int = 1500) -> mujoco.MjSpec:
    """Build one arm, where ALOHA has it, with its servos and its wrist camera.

    Joints and servos are `arm_joints(side)`. The site "vx300s_SIDE/gripper" is the grasp point between the fingertips:
    z points out of the hand, y along the fingers' opening (from right to left finger), x completes. The camera
    "SIDE_wrist" is fixed to the hand. Links touch with the hulls of what is drawn, fingers with their exact hulls
    (group 3, "…/10_left_gripper_finger"); who meets whom is the world's to say: all geoms of an arm touch everything.

    Args:
        side: Which arm.
        max_faces: Faces of all visual meshes together.
    Returns:
        A new specification, free to change; it compiles and attaches without a directory of files.
    Raises:
        AssetError: gym-aloha is not installed.
    """
    folder = asset_file(_PACKAGE, f"assets/vx300s_{side}.xml").parent
    files = {"meshes.xml": "vx300s_dependencies.xml", "arm.xml": f"vx300s_{side}.xml"}
    spec = mujoco.MjSpec.from_string(
        _WRAPPER, include={name: (folder / file).read_bytes() for name, file in files.items()}
    )
    _lighten(spec, side, folder, max_faces)
    _fix_camera(spec, side)
    _mark_grasp_point(spec, side)
    _add_servos(spec, side)
    return spec


def _lighten(spec: mujoco.MjSpec, side: Side, folder: Path, max_faces: int) -> None:
    """Replace each body's meshes by one light mesh; fingers keep the exact one, unseen, to touch with."""
    parts: dict[str, list[MeshPart]] = {}
    bodies: dict[str, mujoco.MjsBody] = {}
    for body in spec.bodies[1:]:
        link = body.name.removeprefix(f"vx300s_{side}").removeprefix("/") or "base"
        for geom in body.geoms:
            part = _part(spec, geom, folder)
            parts.setdefault(link, []).append(part)
            bodies[link] = body
            if "finger" in link:
                _hide(spec, geom, part)
            else:
                spec.delete(geom)
    for mesh in [mesh for mesh in spec.meshes if mesh.file]:
        spec.delete(mesh)
    # Meshes are named by link, not by arm: both arms share one entry of the cache.
    for link, light in light_meshes(parts, max_faces=max_faces, weld_m=_WELD_M).items():
        body = bodies[link]
        name = prefixed(side, link)
        _add_mesh(spec, name, light)
        geom = body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, mass=0.0)
        if link == "base" or "finger" in link:
            geom.contype = geom.conaffinity = 0


def _part(spec: mujoco.MjSpec, geom: mujoco.MjsGeom, folder: Path) -> MeshPart:
    mesh = spec.mesh(geom.meshname)
    sx, sy, sz = mesh.scale.tolist()
    return MeshPart(
        path=folder / mesh.file, scale=(sx, sy, sz), rotation=_rotation(geom), position_m=np.array(geom.pos)
    )


def _rotation(geom: mujoco.MjsGeom) -> Float[NDArray[np.float64], "3 3"]:
    """Of a geom in its body, given as a quaternion or as Euler angles about the moving x, y, z axes."""
    if geom.alt.type != mujoco.mjtOrientation.mjORIENTATION_EULER:
        return quat_to_matrix(geom.quat / np.linalg.norm(geom.quat))
    quat = np.empty(4)
    mujoco.mju_euler2Quat(quat, geom.alt.euler, "xyz")
    return quat_to_matrix(quat)


def _hide(spec: mujoco.MjSpec, geom: mujoco.MjsGeom, part: MeshPart) -> None:
    """Keep a geom to touch with only, of vertices in its body's frame."""
    _add_mesh(spec, f"{geom.name}_hull", part.load())
    geom.meshname, geom.group = f"{geom.name}_hull", _COLLISION_GROUP
    geom.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
    geom.pos, geom.quat = np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])


def _add_mesh(spec: mujoco.MjSpec, name: str, light: TriangleMesh) -> None:
    mesh = spec.add_mesh(name=name, uservert=light.vertices.ravel().tolist(), userface=light.faces.ravel().tolist())
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # its volume need not be well defined


def _fix_camera(spec: mujoco.MjSpec, side: Side) -> None:
    """Fasten the wrist camera to the hand: the package's stays upright while the wrist turns under it."""
    camera, focus = spec.camera(f"{side}_wrist"), spec.body(prefixed(side, "camera_focus"))
    sight = np.array(focus.pos, np.float64) - np.array(camera.pos, np.float64)
    camera.quat = matrix_to_quat(look(sight / np.linalg.norm(sight), up=np.array([0.0, 0.0, 1.0])))
    camera.mode, camera.targetbody = mujoco.mjtCamLight.mjCAMLIGHT_FIXED, ""


def _mark_grasp_point(spec: mujoco.MjSpec, side: Side) -> None:
    for site in list(spec.sites):
        spec.delete(site)
    spec.body(prefixed(side, "gripper_link")).add_site(
        name=prefixed(side, "gripper"), pos=_GRASP_IN_LINK_M, quat=_HAND_IN_LINK_QUAT, group=_HIDDEN_SITE_GROUP
    )


def _add_servos(spec: mujoco.MjSpec, side: Side) -> None:
    stiffnesses = (*_STIFFNESS, _FINGER_STIFFNESS, _FINGER_STIFFNESS)
    for name, stiffness, torque in zip(arm_joints(side), stiffnesses, (*_TORQUE_NM, np.inf, np.inf), strict=True):
        actuator = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=stiffness)
        actuator.ctrlrange = spec.joint(name).range
        if np.isfinite(torque):
            actuator.forcerange[:] = (-torque, torque)
    for name in arm_joints(side)[: len(VIPERX_JOINTS)]:
        spec.joint(name).damping[0] = _DAMPING
