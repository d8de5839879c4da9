"""gym-aloha's red cube on the table, and what the worlds about it share."""

from collections.abc import Sequence
from copy import copy
from math import exp

import mujoco
import numpy as np

from etude.core import Perturbation
from etude.sim.distractors import Distractors
from etude.sim.layout import Cube, Thing
from etude.sim.robots.viperx import SIDES, Side
from etude.sim.variations import Colour, Friction, Scale, Variation
from etude.sim.worlds.aloha.grasping import has_room
from etude.sim.worlds.aloha.scene import add_box, add_distractors, add_object, aloha_spec, scene_variations
from etude.sim.worlds.aloha.world import AlohaWorld

CUBE_EDGE_M = 0.04
CUBE_RGB = (1.0, 0.0, 0.0)
CUBE_TURNS = 4
"""A cube looks the same after every quarter of a turn."""
NOMINAL_X_M, NOMINAL_Y_M = (0.0, 0.2), (0.4, 0.6)
"""Where gym-aloha puts the cube, straight."""

_FAR_M = 0.1  # length scale of distances in the progress


def cube_spec(distractors: int, sides: Sequence[Side] = SIDES) -> mujoco.MjSpec:
    """The scene with the cube."""
    spec = aloha_spec(sides)
    half = CUBE_EDGE_M / 2
    add_box(add_object(spec, "cube"), "cube", (half, half, half), CUBE_RGB)
    add_distractors(spec, cube_distractors(distractors))
    return spec


def cube_distractors(count: int) -> Distractors:
    """What may stand around the cube."""
    return Distractors(count=count, x_m=(-0.15, 0.3), y_m=(0.25, 0.75), rgb=CUBE_RGB)


def cube_variations(distractors: int, sides: Sequence[Side] = SIDES) -> tuple[Variation, ...]:
    """Everything that varies but the cube's place."""
    return (
        *scene_variations(sides),
        Colour(thing="cube", hue=(-0.6, 0.6), brightness=(0.5, 1.0)),
        Scale(thing="cube", bodies=("cube",), range=(0.85, 1.15), description="its edge over the nominal 4 cm"),
        Friction(thing="cube", geoms=("cube",), range=(0.5, 1.0, 1.5), description="of the cube on the fingers"),
        cube_distractors(distractors),
    )


def cube_edge_m(theta: Perturbation) -> float:
    """The cube's edge."""
    return CUBE_EDGE_M * theta.get("cube.scale", 1.0)


def cube_thing(theta: Perturbation) -> Thing:
    """The cube as a thing on the table, where gym-aloha draws it."""
    half = cube_edge_m(theta) / 2
    return Thing("cube", (half, half), NOMINAL_X_M, NOMINAL_Y_M)


def cube_conflict(
    theta: Perturbation, distractors: int, base_m: tuple[float, float], keep_free: Sequence[Thing] = ()
) -> str | None:
    """Why θ's places exclude each other, or leave an arm no way to grasp the cube; None if they do not.

    Args:
        theta: Has a value for every factor that it places something by.
        distractors: The most there can be.
        base_m: Where the arm stands.
        keep_free: What else takes room on the table.
    """
    cube, others = cube_thing(theta), cube_distractors(distractors)
    conflict = others.conflict(theta, [cube, *keep_free])
    if conflict is not None or not cube.is_placed(theta):
        return conflict
    place, standing = cube.place(theta, (0.0, 0.0, 0.0)), [t for t in others.things(theta) if t.is_placed(theta)]
    obstacles = [(p.x, p.y, 0.0, t.half_m[0]) for t in standing for p in [t.place(theta, (0.0, 0.0, 0.0))]]
    if not has_room(Cube(place.x, place.y, 0.0, place.yaw, cube_edge_m(theta)), obstacles, base_m):
        return "the distractors leave no room for fingers around the cube"
    return None


def nearness(distance_m: float) -> float:
    """1 at no distance, falling to 0."""
    return exp(-distance_m / _FAR_M)


class CubeWorld(AlohaWorld):
    """A World of arms and the cube; a subclass judges what becomes of it."""

    def __init__(self, model: mujoco.MjModel, *, distractors: int, control: str, sides: Sequence[Side] = SIDES) -> None:
        """Look things up.

        Args:
            model: Compiled from `cube_spec(distractors, sides)`, with whatever is added; it is copied.
            distractors: The most that can stand around.
            control: One of control.CONTROLS.
            sides: The arms.
        """
        super().__init__(
            copy(model),
            objects=("cube",),
            variations=cube_variations(distractors, sides),
            distractors=cube_distractors(distractors),
            control=control,
            sides=sides,
        )
        self._edge = CUBE_EDGE_M
        self._cube = self.geoms_of("cube")

    def reset(self, theta: Perturbation, seed: int) -> None:
        """Become the world of (θ, seed)."""
        self._edge = cube_edge_m(theta)
        super().reset(theta, seed)

    def things(self, theta: Perturbation) -> Sequence[Thing]:
        """The cube."""
        return [cube_thing(theta)]

    def height_m(self, name: str, theta: Perturbation) -> float:
        """Half the cube's edge."""
        return cube_edge_m(theta) / 2

    def sizes(self) -> Sequence[float]:
        """The cube's edge."""
        return [self._edge]

    def is_touched_by(self, side: Side) -> bool:
        """Whether a finger of an arm touches the cube."""
        return self.touch(self._cube, self.fingers_of(side))

    def is_lifted(self) -> bool:
        """Whether the cube does not touch the table."""
        return not self.touch(self._cube, self.table)

    def cube_height_m(self) -> float:
        """How far the cube's underside is over the table, when it is level."""
        return max(float(self.position_m("cube")[2]) - self._edge / 2, 0.0)

    def distance_to_cube_m(self, side: Side) -> float:
        """From an arm's grasp point to the cube's centre."""
        return float(np.linalg.norm(self.arms.gripper_pose(side)[:3, 3] - self.position_m("cube")))
