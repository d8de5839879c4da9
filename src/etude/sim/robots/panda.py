"""Franka's Panda arm with its own two-finger hand, as a specification to attach to a world.

The model comes from gymnasium-robotics (Apache-2.0), which shifted the zeros of joints 6 and 7 by π/2 and π/4. Here
they are Franka's own again, so joint values mean what they mean on the robot and in Isaac.
"""

from pathlib import Path

import mujoco
import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from etude.sim.assets import asset_file
from etude.sim.meshes import MeshPart, TriangleMesh, light_meshes

PANDA_JOINTS = tuple(f"panda_joint{i}" for i in range(1, 8))
"""The arm's revolute joints, base to wrist, Franka's convention."""
PANDA_FINGER_JOINTS = ("panda_finger_joint1", "panda_finger_joint2")
"""Sliding joints of the left (+y) and right (−y) finger, 0 closed to 0.04 m open, each."""
PANDA_HOME_RAD = (0.0, -np.pi / 4, 0.0, -3 * np.pi / 4, 0.0, np.pi / 2, np.pi / 4)
"""Franka's ready pose: hand in front of the base, pointing down."""

_PACKAGE = "gymnasium_robotics"
_FOLDER = "envs/assets/kitchen_franka/franka_assets"
_VISUAL_GROUP = 0
_COLLISION_GROUP = 3  # MuJoCo does not draw groups 3 to 5 unless asked
_HIDDEN_SITE_GROUP = 4
_WRAPPER = """<mujoco model="panda">
  <include file="assets.xml"/>
  <worldbody><include file="chain.xml"/></worldbody>
</mujoco>"""
_QUARTER_TURN_X = (np.sqrt(0.5), np.sqrt(0.5), 0.0, 0.0)
_FRANKA_LINK_QUATS = {"panda_link6": _QUARTER_TURN_X, "panda_link7": _QUARTER_TURN_X}
_JOINT6_RANGE_RAD = (-0.0175, 3.7525)  # Franka's limits; the package's -1.6573..2.1127 is for its shifted zero
_LINK7_TO_HAND_QUAT = (np.cos(np.pi / 8), 0.0, 0.0, -np.sin(np.pi / 8))
_GRIPPER_IN_LINK7_M = (0.0, 0.0, 0.2454)  # finger base 0.1654 + 0.080; the fingers end 14.5 mm further out


def panda_spec(max_faces: int = 3000) -> mujoco.MjSpec:
    """Build the robot: bodies `panda_link0` (base) to `panda_link7`, `panda_leftfinger`, `panda_rightfinger`.

    It has no actuators, no keyframes and no floor. Joints are PANDA_JOINTS and PANDA_FINGER_JOINTS. All bodies are
    gravity compensated. The site `gripper`, on panda_link7, is the grasp point between the fingertips: z points out of
    the hand, y along the fingers' opening (from right to left finger), x completes. Visual geoms, one per
    body and colour, are in group 0 and touch nothing; collision geoms, as in the package, are in group 3.
    All meshes lie in the specification: it compiles and attaches without a directory of files.

    Args:
        max_faces: Faces of all visual meshes together.
    Returns:
        A new specification, free to change.
    Raises:
        AssetError: gymnasium-robotics is not installed.
    """
    folder = asset_file(_PACKAGE, f"{_FOLDER}/chain.xml").parent
    includes = {name: (folder / name).read_bytes() for name in ("assets.xml", "chain.xml")}
    spec = mujoco.MjSpec.from_string(_WRAPPER, include=includes)
    _rename(spec)
    _restore_franka_zeros(spec)
    parts = _parts(spec, folder / "meshes")
    _replace_visual_geoms(spec, parts, max_faces)
    _embed_collision_meshes(spec, parts)
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0
    _mark_grasp_point(spec)
    return spec


def _rename(spec: mujoco.MjSpec) -> None:
    """Give bodies and joints the names of Franka's URDF; name the geoms."""
    for body in spec.bodies[1:]:
        body.name = body.name.replace("panda0_", "panda_")
        for kind, group in (("collision", _COLLISION_GROUP), ("package_visual", _VISUAL_GROUP)):
            for index, geom in enumerate(geom for geom in body.geoms if geom.group == group):
                geom.name = f"{body.name}_{kind}{index}"
    for joint in spec.joints:
        joint.name = joint.name.replace("robot:panda0_", "panda_")


def _restore_franka_zeros(spec: mujoco.MjSpec) -> None:
    for name, quat in _FRANKA_LINK_QUATS.items():
        body = spec.body(name)
        body.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
        body.quat = np.array(quat)
    spec.joint("panda_joint6").range = np.array(_JOINT6_RANGE_RAD)


def _parts(spec: mujoco.MjSpec, folder: Path) -> dict[str, MeshPart]:
    """The file of every mesh geom by the geom's name, placed in its body's frame."""
    parts: dict[str, MeshPart] = {}
    for geom in spec.geoms:
        if geom.type != mujoco.mjtGeom.mjGEOM_MESH:
            continue
        mesh = spec.mesh(geom.meshname)
        kind, file = Path(mesh.file).parts[-2:]
        if geom.group == _VISUAL_GROUP:  # for the fingers the package draws the coarse collision mesh
            kind = "visual"
        sx, sy, sz = mesh.scale.tolist()
        parts[geom.name] = MeshPart(
            path=folder / kind / file,
            scale=(sx, sy, sz),
            rotation=_rotation(geom.quat),
            position_m=np.array(geom.pos),
        )
    return parts


def _replace_visual_geoms(spec: mujoco.MjSpec, parts: dict[str, MeshPart], max_faces: int) -> None:
    """Replace visual geoms by one per body and colour, of a light mesh in the body's frame."""
    groups: dict[str, list[MeshPart]] = {}
    looks: dict[str, tuple[mujoco.MjsBody, list[float]]] = {}
    for body in spec.bodies[1:]:
        visual = [geom for geom in body.geoms if geom.group == _VISUAL_GROUP]
        colours = sorted({tuple(geom.rgba.tolist()) for geom in visual})
        for geom in visual:
            name = f"{body.name}_visual{colours.index(tuple(geom.rgba.tolist()))}"
            groups.setdefault(name, []).append(parts[geom.name])
            looks[name] = (body, geom.rgba.tolist())
            spec.delete(geom)
    for name, light in light_meshes(groups, max_faces=max_faces).items():
        body, rgba = looks[name]
        mesh = _add_mesh(spec, name, light)
        mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # its volume need not be well defined
        geom = body.add_geom(name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, group=_VISUAL_GROUP, mass=0.0)
        geom.contype, geom.conaffinity, geom.rgba = 0, 0, np.array(rgba, dtype=np.float32)


def _embed_collision_meshes(spec: mujoco.MjSpec, parts: dict[str, MeshPart]) -> None:
    """Put vertices in the place of files, in the bodies' frames, and drop the meshes that nothing uses."""
    for geom in spec.geoms:
        if geom.group == _COLLISION_GROUP and geom.name in parts:
            name = f"{geom.name}_mesh"
            _add_mesh(spec, name, parts[geom.name].load())
            geom.meshname, geom.pos, geom.quat = name, np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
    for mesh in list(spec.meshes):
        if mesh.file:
            spec.delete(mesh)


def _add_mesh(spec: mujoco.MjSpec, name: str, mesh: TriangleMesh) -> mujoco.MjsMesh:
    return spec.add_mesh(name=name, uservert=mesh.vertices.ravel().tolist(), userface=mesh.faces.ravel().tolist())


def _mark_grasp_point(spec: mujoco.MjSpec) -> None:
    for site in list(spec.sites):  # the package's end_effector, which points at the middle of the fingers
        spec.delete(site)
    spec.body("panda_link7").add_site(
        name="gripper", pos=_GRIPPER_IN_LINK7_M, quat=_LINK7_TO_HAND_QUAT, group=_HIDDEN_SITE_GROUP
    )


def _rotation(quat: Float[NDArray[np.float64], "4"]) -> Float[NDArray[np.float64], "3 3"]:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quat / np.linalg.norm(quat))
    return matrix.reshape(3, 3)
