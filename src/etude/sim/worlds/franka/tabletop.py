"""What the Panda's worlds share: the arm at the edge of a table, free cubes, two cameras, one light, and how they vary.

The world frame is the robot's base frame: x ahead, y to the left, z up; the table's top is z = 0.
"""

from math import degrees, pi

import mujoco
import numpy as np

from etude.core.se3 import matrix_to_quat, quat_to_matrix
from etude.sim.distractors import Distractors
from etude.sim.robots.panda import PANDA_FINGER_JOINTS, PANDA_JOINTS, panda_spec
from etude.sim.variations import Colour, DirectionalLight, Friction, OrbitCamera, TurnedCamera, Variation, look

FPS = 20
CAMERAS = ("front", "wrist")
STATE_NAMES = (
    *(f"gripper.{axis}_m" for axis in "xyz"),
    *(f"gripper.{column}_{axis}" for column in ("right", "left") for axis in "xyz"),
    "gripper.opening_m",
    *(f"joint_{i}.position_rad" for i in range(1, 8)),
)
"""Proprioception: grasp point; first two columns of the hand's rotation (6D, without jumps); opening; arm joints."""
CUBE_EDGE_M = 0.0406
CUBE_MASS_KG = 0.08
TABLE_RGB = (0.56, 0.51, 0.44)
X_RANGE_M = (0.38, 0.62)
"""Where things may lie, in the reach of the arm and the sight of the front camera."""
Y_RANGE_M = (-0.14, 0.14)
HOME_RAD = (0.0, -0.27011, 0.0, -2.48373, 0.0, 2.21362, 0.785398)
"""Joints at the start: the grasp point 0.25 m above the table, 0.44 m ahead of the base, the hand pointing down."""
FINGER_OPEN_M = 0.04
FINGERTIP_M = 0.0136
"""How far the fingers reach beyond the grasp point."""
SUBSTEP_S = 0.0025
FRONT_TARGET_M = (0.5, 0.0, 0.03)
"""What the front camera looks at."""
FRONT_DISTANCE_M = 0.68
FRONT_ELEVATION_RAD = 0.8
FRONT_FOVY_RAD = 0.66
WRIST_POSITION_M = (0.075, 0.0, -0.095)
"""In the frame of the grasp point: on the side of the hand that faces away from the base."""
WRIST_TARGET_M = (0.0, 0.0, 0.01)
WRIST_FOVY_RAD = 1.15
LIGHT_AZIMUTH_RAD = 0.6
LIGHT_ELEVATION_RAD = 1.0

_COLLISION_GROUP = 3
_ARM_STIFFNESS = (12000.0, 12000.0, 9000.0, 9000.0, 3000.0, 3000.0, 1500.0)  # [Nm/rad]
_ARM_DAMPING_S = 0.02  # damping over stiffness: how long the servo lags behind a moving command
# Motors and gears as seen by the joint [kg m²]. It also keeps damping · substep below it: implicit damping that
# outweighs inertia makes held things slide along the fingers.
_ARM_ARMATURE = (0.8, 0.8, 0.8, 0.8, 0.3, 0.3, 0.2)
_ARM_TORQUE_NM = (87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0)  # Franka's limits
_FINGER_STIFFNESS = 2000.0  # [N/m]
_FINGER_DAMPING = 40.0  # [N s/m]
# Collision groups by bit: 1 hand and fingers, 2 cubes. Hand and table meet cubes, cubes meet everything.
_HAND_BIT, _CUBE_BIT = 1, 2


def tabletop_spec() -> mujoco.MjSpec:
    """Build the specification of a world without objects: robot with servos, table, cameras, light."""
    spec = panda_spec()
    _set_options(spec)
    _simplify_collisions(spec)
    _add_servos(spec)
    _add_table(spec)
    _add_cameras(spec)
    return spec


def add_cube(spec: mujoco.MjSpec, name: str, rgb: tuple[float, float, float]) -> None:
    """Add a free cube: body and geom `name`, joint `{name}_joint`."""
    half = CUBE_EDGE_M / 2
    body = spec.worldbody.add_body(name=name, pos=(0.5, 0.0, half))
    body.add_freejoint(name=f"{name}_joint")
    body.add_geom(
        name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=(half, half, half), mass=CUBE_MASS_KG,
        rgba=(*rgb, 1.0), contype=_CUBE_BIT, conaffinity=_HAND_BIT | _CUBE_BIT, condim=4,
        friction=(1.0, 0.02, 0.001),
    )  # fmt: skip


def add_distractors(spec: mujoco.MjSpec, distractors: Distractors) -> None:
    """Add what may stand around; the hand and the cubes touch it."""
    distractors.add(spec, contype=_CUBE_BIT, conaffinity=_HAND_BIT | _CUBE_BIT)


CAMERA_VARIATIONS: tuple[Variation, ...] = (
    OrbitCamera(
        camera="front", target_m=FRONT_TARGET_M, azimuth_rad=0.0, elevation_rad=FRONT_ELEVATION_RAD,
        distance_m=(0.65, FRONT_DISTANCE_M, 0.73), fovy_rad=(0.63, FRONT_FOVY_RAD, 0.71),
    ),
    TurnedCamera(camera="wrist", fovy_rad=(1.08, WRIST_FOVY_RAD, 1.22)),
    DirectionalLight(azimuth_rad=LIGHT_AZIMUTH_RAD, elevation_rad=(0.5, LIGHT_ELEVATION_RAD, 1.5)),
)  # fmt: skip
TABLE_COLOUR = Colour(thing="table", hue=(-pi, pi), brightness=(0.65, 1.25))
TABLE_FRICTION = Friction(
    thing="table", geoms=("table",), range=(0.3, 0.8, 1.2), description="sliding friction of anything on the table"
)


def _set_options(spec: mujoco.MjSpec) -> None:
    spec.option.timestep = SUBSTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST  # stiff servos diverge under Euler
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.iterations, spec.option.ls_iterations = 20, 20
    headlight = spec.visual.headlight
    headlight.ambient[:], headlight.diffuse[:], headlight.specular[:] = 0.36, 0.10, 0.0
    spec.visual.map.znear, spec.visual.map.zfar = 0.01, 20.0


def _simplify_collisions(spec: mujoco.MjSpec) -> None:
    """Keep the hand, make each finger two boxes in place of capsules, and let the arm's links pass through things."""
    for geom in list(spec.geoms):
        if geom.group != _COLLISION_GROUP:
            continue
        if "finger" in geom.name:
            spec.delete(geom)
        else:
            geom.contype, geom.conaffinity = (_HAND_BIT, _CUBE_BIT) if "link7" in geom.name else (0, 0)
    for side, sign in (("left", 1.0), ("right", -1.0)):
        finger = spec.body(f"panda_{side}finger")
        # In the frame of the finger: x across the pad, y away from the other finger, z towards the tip.
        for name, y, half_y, z, half_z in (("pad", 0.007, 0.007, 0.0805, 0.0131), ("stem", 0.012, 0.009, 0.04, 0.027)):
            finger.add_geom(
                name=f"panda_{side}finger_{name}", type=mujoco.mjtGeom.mjGEOM_BOX, group=_COLLISION_GROUP,
                pos=(0.0, sign * y, z), size=(0.0165, half_y, half_z), mass=0.0,
                contype=_HAND_BIT, conaffinity=_CUBE_BIT, condim=4, friction=(0.1, 0.02, 0.001),
            )  # fmt: skip


def _add_servos(spec: mujoco.MjSpec) -> None:
    for name, stiffness, armature, torque in zip(
        PANDA_JOINTS, _ARM_STIFFNESS, _ARM_ARMATURE, _ARM_TORQUE_NM, strict=True
    ):
        joint = spec.joint(name)
        joint.damping[0], joint.armature = 1.0, armature
        actuator = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=stiffness, kv=stiffness * _ARM_DAMPING_S)
        actuator.forcerange[:] = (-torque, torque)
        actuator.ctrlrange = joint.range
    for name in PANDA_FINGER_JOINTS:
        joint = spec.joint(name)
        joint.damping[0], joint.armature = 1.0, 0.1
        actuator = spec.add_actuator(name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT)
        actuator.set_to_position(kp=_FINGER_STIFFNESS, kv=_FINGER_DAMPING)
        actuator.ctrlrange[:] = (0.0, FINGER_OPEN_M)


def _add_table(spec: mujoco.MjSpec) -> None:
    world = spec.worldbody
    world.add_geom(
        name="table", type=mujoco.mjtGeom.mjGEOM_BOX, pos=(0.45, 0.0, -0.02), size=(0.6, 0.8, 0.02),
        rgba=(*TABLE_RGB, 1.0), contype=0, conaffinity=_HAND_BIT | _CUBE_BIT, friction=(0.8, 0.005, 0.0001), priority=1,
    )  # fmt: skip
    world.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, pos=(0.0, 0.0, -0.7), size=(5.0, 5.0, 0.1),
        rgba=(0.35, 0.37, 0.40, 1.0), contype=0, conaffinity=_CUBE_BIT,
    )  # fmt: skip


def _add_cameras(spec: mujoco.MjSpec) -> None:
    """The wrist camera looks at the grasp point; front camera and light are placed by their variations."""
    world, hand = spec.worldbody, spec.body("panda_link7")
    world.add_camera(name="front", pos=(1.2, 0.0, 0.6), fovy=degrees(FRONT_FOVY_RAD))
    grip, mount = spec.site("gripper"), np.array(WRIST_POSITION_M)
    R_link_gripper = quat_to_matrix(np.array(grip.quat))
    sight = np.array(WRIST_TARGET_M) - mount
    straight = look(sight / np.linalg.norm(sight), up=np.array([0.0, 0.0, -1.0]))
    position, orientation = np.array(grip.pos) + R_link_gripper @ mount, matrix_to_quat(R_link_gripper @ straight)
    fovy = degrees(WRIST_FOVY_RAD)
    hand.add_camera(name="wrist", pos=position.tolist(), quat=orientation.tolist(), fovy=fovy)
    world.add_light(
        name="light", type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=(0.5, 0.0, 2.0), dir=(0.0, 0.0, -1.0),
        diffuse=(0.58, 0.58, 0.58), ambient=(0.0, 0.0, 0.0), specular=(0.1, 0.1, 0.1), castshadow=True,
    )  # fmt: skip
