"""The world of an SO-101 that sorts: arm and table, a cube, the pads B1 and B2, what may occupy B1, and how all vary.

The world frame is the robot's base frame: x ahead, y to the left, z up; the table's top is z = 0. B1 is the blue pad on
the arm's left, B2 the white one on its right.
"""

from dataclasses import dataclass, replace
from functools import cache
from math import degrees, pi

import mujoco
import numpy as np

from etude.core import Factor, Perturbation
from etude.core.se3 import matrix_to_quat
from etude.sim.distractors import Distractors
from etude.sim.layout import Thing
from etude.sim.robots.so101 import JAW_GEOMS, so101_spec
from etude.sim.variations import (
    Colour,
    DirectionalLight,
    Friction,
    OrbitCamera,
    Scale,
    TurnedCamera,
    Variation,
    factor,
    layout_factors,
    look,
    recoloured,
)

FPS = 30
"""LeRobot's default for this arm."""
SUBSTEPS = 8
"""Of physics in a control step: 4.2 ms each."""
CAMERAS = ("front", "wrist")
CUBE_EDGE_M = 0.036
PAD_EDGE_M = 0.07
PADS = {"b1": (0.20, 0.14), "b2": (0.20, -0.14)}
"""Nominal places of the pads' centres, [m]."""
HOME_DEG = (0.0, -45.0, 31.0, 93.0, 90.0, 30.0)
"""Joints at the start, in LeRobot's units."""

_CUBE_RGB, _OCCUPANT_RGB = (0.85, 0.10, 0.10), (0.10, 0.60, 0.15)
_PAD_RGB = {"b1": (0.15, 0.35, 0.85), "b2": (0.92, 0.92, 0.90)}
_CUBE_X_M, _CUBE_Y_M, _CUBE_YAW_RAD = (0.16, 0.24), (-0.06, 0.06), (-pi / 4, pi / 4)
_CUBE_X_RANGE_M, _CUBE_Y_RANGE_M = (0.14, 0.26), (-0.08, 0.08)
_PAD_SHIFT_M = 0.02
_OCCUPANT_EDGE_M = 0.036
_CLEAR_M = 0.008  # around the cube and the pads, where nothing else stands
_PARKED_Z_M = -5.0
_FRONT_FOVY_RAD, _WRIST_FOVY_RAD = 0.72, 1.25
_WRIST_POSITION_M, _WRIST_TARGET_M = (0.008, 0.066, -0.02), (0.008, 0.0, -0.098)  # in the frame of the gripper's body
_HAND_BIT, _CUBE_BIT = 1, 2  # hand and table meet cubes, cubes meet everything


@dataclass(frozen=True, kw_only=True)
class Pad:
    """A Variation: where a pad lies on the table."""

    name: str

    fields = ("geom_pos",)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """Its place; nominally the seed leaves it in the middle."""
        x, y = PADS[self.name]
        x_m, y_m = ((round(at - _PAD_SHIFT_M, 3), round(at + _PAD_SHIFT_M, 3)) for at in (x, y))
        described = {
            "b1": "of the blue pad B1, where the cube goes",
            "b2": "of the white pad B2, for when B1 is occupied",
        }
        return tuple(replace(f, description=described[self.name]) for f in layout_factors(self.name, x_m, y_m))

    def apply(self, model: mujoco.MjModel, theta: Perturbation) -> None:
        """Move the pad."""
        model.geom_pos[model.geom(self.name).id, :2] = pad_place(self.name, theta)


@dataclass(frozen=True, kw_only=True)
class Occupant:
    """A Variation: a block on B1 that does not move, there where the (settled) θ says that B1 is occupied."""

    fields = ("body_pos", "geom_size", "geom_rbound", "geom_aabb", "geom_rgba")

    @property
    def factors(self) -> tuple[Factor, ...]:
        """Whether it is there, its colour and size."""
        described = "from 0.5 on a block stands on B1; left open, the seed says so in every second episode"
        return (
            factor("b1.occupied", "1", (0.0, 0.5, 1.0), "layout", described),
            factor("occupant.hue", "rad", (-pi, 0.0, pi), "appearance", "turn of its hue; at -2.2 it is the cube's"),
            factor("occupant.scale", "1", (0.7, 1.0, 1.2), "physics", "its size over the nominal one"),
        )

    def apply(self, model: mujoco.MjModel, theta: Perturbation) -> None:
        """Stand it on the pad, in its colour and size."""
        geom, half = model.geom("occupant").id, _OCCUPANT_EDGE_M / 2 * theta.get("occupant.scale", 1.0)
        model.geom_size[geom] = half
        model.geom_aabb[geom, 3:] = half
        model.geom_rbound[geom] = half * np.sqrt(3.0)
        model.geom_rgba[geom, :3] = recoloured(_OCCUPANT_RGB, theta.get("occupant.hue", 0.0), 1.0)
        if is_occupied(theta):
            model.body_pos[model.body("occupant").id] = (*pad_place("b1", theta), half)


def is_occupied(theta: Perturbation) -> bool:
    """Whether a block stands on B1, where θ says so."""
    return theta.get("b1.occupied", 0.0) >= 0.5


def pad_place(name: str, theta: Perturbation) -> tuple[float, float]:
    """Centre of a pad, [m]."""
    x, y = PADS[name]
    return theta.get(f"{name}.x_m", x), theta.get(f"{name}.y_m", y)


def distractors(count: int) -> Distractors:
    """What may stand around."""
    return Distractors(count=count, x_m=(0.12, 0.30), y_m=(-0.22, 0.22), rgb=_CUBE_RGB, edge_m=0.034)


def variations(distractor_count: int) -> tuple[Variation, ...]:
    """Everything that varies but the cube's place."""
    return (
        Pad(name="b1"),
        Pad(name="b2"),
        Occupant(),
        OrbitCamera(
            camera="front", target_m=(0.17, 0.0, 0.05), azimuth_rad=0.0, elevation_rad=0.8,
            distance_m=(0.50, 0.54, 0.60), fovy_rad=(0.68, _FRONT_FOVY_RAD, 0.78),
        ),
        TurnedCamera(camera="wrist", fovy_rad=(1.17, _WRIST_FOVY_RAD, 1.33), distance_m=(-0.02, 0.008)),
        DirectionalLight(azimuth_rad=0.6, elevation_rad=(0.5, 1.0, 1.5)),
        Colour(thing="cube", hue=(-0.25, 0.35)),
        Colour(thing="table", hue=(-pi, pi), brightness=(0.65, 1.25)),
        Colour(thing="pads", geoms=tuple(PADS), brightness=(0.6, 1.08)),
        Scale(thing="cube", bodies=("cube",), range=(0.85, 1.15), description="its edge over the nominal length"),
        Friction(thing="cube", geoms=("cube",), range=(0.5, 1.0, 1.5), description="of the cube on the jaws"),
        Friction(thing="table", geoms=("table",), range=(0.3, 0.8, 1.2), description="of the cube on the table"),
        distractors(distractor_count),
    )  # fmt: skip


def cube_factors() -> list[Factor]:
    """Where the cube may lie, beyond where the seed puts it."""
    return layout_factors("cube", _CUBE_X_RANGE_M, _CUBE_Y_RANGE_M, _CUBE_YAW_RAD)


def things(theta: Perturbation) -> list[Thing]:
    """What lies on the table, each with some room around it."""
    half = CUBE_EDGE_M / 2 * theta.get("cube.scale", 1.0) + _CLEAR_M
    pad = PAD_EDGE_M / 2 + _CLEAR_M
    pads = [Thing(name, (pad, pad), (x, x), (y, y)) for name, (x, y) in PADS.items()]
    return [Thing("cube", (half, half), _CUBE_X_M, _CUBE_Y_M, _CUBE_YAW_RAD), *pads]


@cache
def compiled(distractor_count: int) -> mujoco.MjModel:
    """The compiled world; copy it before changing it."""
    spec = so101_spec()
    _set_options(spec)
    for name in JAW_GEOMS:
        geom = spec.geom(name)
        geom.contype, geom.conaffinity = _HAND_BIT, _CUBE_BIT
    _add_table(spec)
    _add_blocks(spec)
    distractors(distractor_count).add(spec, contype=_CUBE_BIT, conaffinity=_HAND_BIT | _CUBE_BIT)
    _add_cameras(spec)
    return spec.compile()


def _set_options(spec: mujoco.MjSpec) -> None:
    spec.option.timestep = 1 / (FPS * SUBSTEPS)
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST  # stiff servos diverge under Euler
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0  # else what is held creeps out of the jaws
    spec.option.iterations, spec.option.ls_iterations = 20, 20
    headlight = spec.visual.headlight
    headlight.ambient[:], headlight.diffuse[:], headlight.specular[:] = 0.36, 0.10, 0.0
    spec.visual.map.znear, spec.visual.map.zfar = 0.01, 20.0


def _add_table(spec: mujoco.MjSpec) -> None:
    world, box = spec.worldbody, mujoco.mjtGeom.mjGEOM_BOX
    world.add_geom(
        name="table", type=box, pos=(0.25, 0.0, -0.02), size=(0.4, 0.5, 0.02), rgba=(0.56, 0.51, 0.44, 1.0),
        contype=0, conaffinity=_HAND_BIT | _CUBE_BIT, friction=(0.8, 0.005, 0.0001), priority=1,
    )  # fmt: skip
    world.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, pos=(0.0, 0.0, -0.7), size=(0.0, 0.0, 0.1),
        rgba=(0.35, 0.37, 0.40, 1.0), contype=0, conaffinity=_CUBE_BIT,
    )  # fmt: skip
    for name, (x, y) in PADS.items():
        half = PAD_EDGE_M / 2
        world.add_geom(
            name=name, type=box, pos=(x, y, 0.0), size=(half, half, 0.0006), rgba=(*_PAD_RGB[name], 1.0),
            contype=0, conaffinity=0,
        )  # fmt: skip


def _add_blocks(spec: mujoco.MjSpec) -> None:
    """The cube, free, and the occupant, out of sight until a reset stands it on B1."""
    for name, edge, rgb, z in (
        ("cube", CUBE_EDGE_M, _CUBE_RGB, CUBE_EDGE_M / 2),
        ("occupant", _OCCUPANT_EDGE_M, _OCCUPANT_RGB, _PARKED_Z_M),
    ):
        body = spec.worldbody.add_body(name=name, pos=(0.2, 0.0, z))
        body.add_geom(
            name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=(edge / 2,) * 3, mass=0.04, rgba=(*rgb, 1.0),
            contype=_CUBE_BIT, conaffinity=_HAND_BIT | _CUBE_BIT, condim=4, friction=(1.0, 0.02, 0.001),
        )  # fmt: skip
    spec.body("cube").add_freejoint(name="cube")


def _add_cameras(spec: mujoco.MjSpec) -> None:
    """The wrist camera looks at the fingertips; front camera and light are placed by their variations."""
    world, mount = spec.worldbody, np.array(_WRIST_POSITION_M)
    world.add_camera(name="front", pos=(0.8, 0.0, 0.5), fovy=degrees(_FRONT_FOVY_RAD))
    sight = np.array(_WRIST_TARGET_M) - mount
    straight = matrix_to_quat(look(sight / np.linalg.norm(sight), up=np.array([0.0, 0.0, 1.0])))
    spec.body("gripper").add_camera(
        name="wrist", pos=mount.tolist(), quat=straight.tolist(), fovy=degrees(_WRIST_FOVY_RAD)
    )
    world.add_light(
        name="light", type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL, pos=(0.2, 0.0, 2.0), dir=(0.0, 0.0, -1.0),
        diffuse=(0.58, 0.58, 0.58), ambient=(0.0, 0.0, 0.0), specular=(0.1, 0.1, 0.1), castshadow=True,
    )  # fmt: skip
