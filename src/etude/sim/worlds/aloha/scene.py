"""The scene of the ALOHA worlds: a table, one or two arms, cameras, a light; each world adds its objects.

The world frame is gym-aloha's: x from the left arm to the right one, y away from the camera `angle`, z up; the table's
top is z = 0. Where the package has a camera its pose is kept; its light is one, so that it can be turned.
"""

from collections.abc import Sequence
from math import hypot, pi

import mujoco

from etude.sim.distractors import Distractors
from etude.sim.robots.viperx import SIDES, Side, prefixed, viperx_spec
from etude.sim.variations import (
    Colour,
    DirectionalLight,
    Friction,
    OrbitCamera,
    TurnedCamera,
    Variation,
    fovy_range,
)

FPS = 50
SUBSTEP_S = 0.0025
TABLE_RGB = (0.22, 0.20, 0.17)
"""Nearly gym-aloha's grey, which has no hue that could turn."""

_TABLE_CENTRE_M, _TABLE_HALF_M = (0.0, 0.6, -0.015), (0.6096, 0.381, 0.015)
_TARGET_M = (0.0, 0.6, 0.0)
_ANGLE_M = (0.0, 0.0, 0.6)
_TOP_M = (0.0, 0.6, 0.8)
_WORLD_FOVY_DEG, _WRIST_FOVY_DEG = 78.0, 20.0
_LIGHT_AZIMUTH_RAD, _LIGHT_ELEVATION_RAD = -pi / 2, 1.0
# Collision groups by bit. The links of one arm pass through each other; everything else meets.
_ARM_BITS = {"left": 1, "right": 2}
_OBJECT_BIT, _STATIC_BIT = 4, 8
# As gym-aloha's objects: contacts as stiff as the time step allows.
_SOLREF, _SOLIMP = (0.01, 1.0), (2.0, 1.0, 0.01, 0.5, 2.0)
_OBJECT_PRIORITY, _TABLE_PRIORITY = 1, 2  # of two touching geoms the higher decides the friction


def camera_names(sides: Sequence[Side] = SIDES) -> tuple[str, ...]:
    """The cameras of a scene with these arms."""
    return ("top", "angle", *(f"{side}_wrist" for side in sides))


def aloha_spec(sides: Sequence[Side] = SIDES) -> mujoco.MjSpec:
    """Build the scene without objects; servos come in the order of `sides`.

    Args:
        sides: Which arms there are.
    Raises:
        AssetError: gym-aloha is not installed.
    """
    spec = mujoco.MjSpec()
    _set_options(spec)
    _add_table(spec)
    for side in sides:
        arm = viperx_spec(side)
        for geom in arm.geoms:
            if geom.contype:
                geom.contype = _ARM_BITS[side]
                geom.conaffinity = _OBJECT_BIT | _STATIC_BIT | (_ARM_BITS["left"] if side == "right" else 0)
        spec.attach(arm, frame=spec.worldbody.add_frame(), prefix="")
    _add_cameras(spec)
    return spec


def add_object(
    spec: mujoco.MjSpec, name: str, *, mass_kg: float = 0.05, inertia_kg_m2: float = 0.002
) -> mujoco.MjsBody:
    """Add a free body `name` with the joint `{name}_joint`; give it geoms with `add_box`.

    Mass and (isotropic) inertia are gym-aloha's, which makes its objects hard to spin.
    """
    body = spec.worldbody.add_body(
        name=name, mass=mass_kg, inertia=(inertia_kg_m2,) * 3, ipos=(0.0, 0.0, 0.0), explicitinertial=True
    )
    body.add_joint(name=f"{name}_joint", type=mujoco.mjtJoint.mjJNT_FREE, frictionloss=0.01)
    return body


def add_box(
    body: mujoco.MjsBody,
    name: str,
    half_m: tuple[float, float, float],
    rgb: tuple[float, float, float],
    position_m: tuple[float, float, float] = (0.0, 0.0, 0.0),
) -> mujoco.MjsGeom:
    """Add a box to an object, with gym-aloha's contacts: on fingers its friction decides, on the table the table's."""
    return body.add_geom(
        name=name, type=mujoco.mjtGeom.mjGEOM_BOX, pos=position_m, size=half_m, rgba=(*rgb, 1.0), mass=0.0,
        contype=_OBJECT_BIT, conaffinity=_OBJECT_BIT | _STATIC_BIT | sum(_ARM_BITS.values()), condim=4,
        solref=_SOLREF, solimp=_SOLIMP, friction=(1.0, 0.005, 0.0001), priority=_OBJECT_PRIORITY,
    )  # fmt: skip


def add_distractors(spec: mujoco.MjSpec, distractors: Distractors) -> None:
    """Add the distractors, which arms and objects run into."""
    distractors.add(spec, contype=_STATIC_BIT, conaffinity=_OBJECT_BIT | sum(_ARM_BITS.values()))


def scene_variations(sides: Sequence[Side] = SIDES) -> tuple[Variation, ...]:
    """What varies about the scene itself: cameras, light, colours of table and arms, friction of the table."""
    distance = hypot(_TARGET_M[1] - _ANGLE_M[1], _ANGLE_M[2])
    arm_geoms = tuple(prefixed(side, link) for side in sides for link in _DRAWN_LINKS)
    return (
        TurnedCamera(
            camera="top", fovy_rad=fovy_range(_WORLD_FOVY_DEG, 0.1), yaw_rad=(-0.08, 0.08), pitch_rad=(-0.08, 0.08),
            distance_m=(-0.08, 0.1),
        ),
        OrbitCamera(
            camera="angle", target_m=_TARGET_M, azimuth_rad=-pi / 2, elevation_rad=pi / 4,
            distance_m=(distance - 0.08, distance, distance + 0.1), fovy_rad=fovy_range(_WORLD_FOVY_DEG, 0.1),
        ),
        *(
            TurnedCamera(
                camera=f"{side}_wrist", fovy_rad=fovy_range(_WRIST_FOVY_DEG, 0.2), yaw_rad=(-0.06, 0.06),
                pitch_rad=(-0.06, 0.06),
            )
            for side in sides
        ),
        DirectionalLight(azimuth_rad=_LIGHT_AZIMUTH_RAD, elevation_rad=(0.4, _LIGHT_ELEVATION_RAD, 1.5)),
        Colour(thing="table", hue=(-pi, pi), brightness=(0.5, 2.0)),
        Colour(thing="arms", geoms=arm_geoms, brightness=(0.5, 1.5)),
        Friction(
            thing="table", geoms=("table",), range=(0.4, 1.0, 1.5),
            description="sliding friction of anything on the table",
        ),
    )  # fmt: skip


_DRAWN_LINKS = (
    "base", "shoulder_link", "upper_arm_link", "upper_forearm_link", "lower_forearm_link", "wrist_link", "gripper_link",
    "gripper_prop_link", "left_finger_link", "right_finger_link",
)  # fmt: skip


def _set_options(spec: mujoco.MjSpec) -> None:
    spec.compiler.degree = False
    spec.option.timestep = SUBSTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    headlight = spec.visual.headlight
    headlight.ambient[:], headlight.diffuse[:], headlight.specular[:] = 0.4, 0.35, 0.0
    spec.visual.map.znear, spec.visual.map.zfar = 0.01, 20.0


def _add_table(spec: mujoco.MjSpec) -> None:
    spec.worldbody.add_geom(
        name="table", type=mujoco.mjtGeom.mjGEOM_BOX, pos=_TABLE_CENTRE_M, size=_TABLE_HALF_M, rgba=(*TABLE_RGB, 1.0),
        contype=_STATIC_BIT, conaffinity=_OBJECT_BIT | sum(_ARM_BITS.values()), condim=4,
        solref=_SOLREF, solimp=_SOLIMP, friction=(1.0, 0.005, 0.0001), priority=_TABLE_PRIORITY,
    )  # fmt: skip


def _add_cameras(spec: mujoco.MjSpec) -> None:
    """Cameras of the world; `angle` and the light are placed by their variations."""
    world = spec.worldbody
    world.add_camera(name="top", pos=_TOP_M, fovy=_WORLD_FOVY_DEG)
    world.add_camera(name="angle", pos=_ANGLE_M, fovy=_WORLD_FOVY_DEG)
    world.add_light(
        name="light", type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=(0.0, 0.0, 2.0), dir=(0.0, 0.0, -1.0),
        diffuse=(0.6, 0.6, 0.6), ambient=(0.0, 0.0, 0.0), specular=(0.2, 0.2, 0.2), castshadow=True,
    )  # fmt: skip
