"""Things on the table that do not belong to the task: they may look like its object, and stand in the way."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import pi

import mujoco
import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from etude.core import ConfigError, Factor, Perturbation, stream
from etude.sim.layout import Placement, Thing, draw_places, overlap
from etude.sim.variations import Range, factor, recoloured

_SHAPES = (mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER, mujoco.mjtGeom.mjGEOM_SPHERE)
_PARKED_Z_M = -5.0
_MOST = 4
_CAP_SHARES, _CAP_RGB = (0.6, 0.11, 0.91), (0.07, 0.07, 0.08)  # radius, half height and centre, of half the edge


@dataclass(frozen=True, kw_only=True)
class Distractors:
    """A Variation: static bodies `distractor_1`, … of changing number, shape, colour, size and place.

    They weigh nothing in the physics while they are absent (parked far below) and do not move when they are touched.
    How many stand there is `distractors.count`, rounded; a shape is the third of [0, 1] its factor falls into: box,
    cylinder, ball. The hue is relative to the task's own object: at 0 a distractor has its colour. What tells it apart
    always is the dark cap on its top, which is seen and not touched.

    Attributes:
        count: The most there can be.
        x_m: Where they may stand.
        y_m: The same across.
        rgb: Colour of the task's object.
        edge_m: Of a box; diameter of a cylinder or ball.
        table_m: Height of the surface they stand on.
    """

    count: int
    x_m: Range
    y_m: Range
    rgb: tuple[float, float, float]
    edge_m: float = 0.04
    table_m: float = 0.0

    fields = ("body_pos", "geom_type", "geom_pos", "geom_size", "geom_rbound", "geom_aabb", "geom_rgba")

    def __post_init__(self) -> None:
        if not 0 <= self.count <= _MOST:
            raise ConfigError(f"distractors = {self.count} is out of range: choose 0 to {_MOST}.")

    @property
    def names(self) -> tuple[str, ...]:
        """Of the bodies and what is touched of them."""
        return tuple(f"distractor_{i + 1}" for i in range(self.count))

    @property
    def factors(self) -> tuple[Factor, ...]:
        """How many, then place, shape, hue and scale of each."""
        if not self.count:
            return ()
        count = factor(
            "distractors.count", "1", (0.0, 0.0, float(self.count)), "distractor", "how many there are, rounded"
        )
        return (count, *(f for name in self.names for f in self._factors_of(name)))

    def _factors_of(self, name: str) -> list[Factor]:
        (x_low, x_high), (y_low, y_high) = self.x_m, self.y_m
        x, y = (x_low, (x_low + x_high) / 2, x_high), (y_low, (y_low + y_high) / 2, y_high)
        return [
            factor(f"{name}.x_m", "m", x, "distractor", "where it stands, along the world's x"),
            factor(f"{name}.y_m", "m", y, "distractor", "where it stands, along the world's y"),
            factor(f"{name}.shape", "1", (0.0, 0.0, 1.0), "distractor", "box, cylinder or ball, by thirds"),
            factor(f"{name}.hue", "rad", (-pi, pi, pi), "distractor", "turn from the object's hue; 0 is the same"),
            factor(f"{name}.scale", "1", (0.8, 1.0, 1.2), "distractor", "its size over the nominal one"),
        ]

    def add(self, spec: mujoco.MjSpec, *, contype: int, conaffinity: int) -> None:
        """Add the bodies to a world's specification, out of sight."""
        half = self.edge_m / 2
        for name in self.names:
            body = spec.worldbody.add_body(name=name, pos=(0.0, 0.0, _PARKED_Z_M))
            body.add_geom(
                name=name, type=mujoco.mjtGeom.mjGEOM_BOX, size=(half, half, half), rgba=(*self.rgb, 1.0),
                contype=contype, conaffinity=conaffinity, condim=4, friction=(1.0, 0.02, 0.001),
            )  # fmt: skip
            radius, height, centre = (share * half for share in _CAP_SHARES)
            body.add_geom(
                name=f"{name}_cap", type=mujoco.mjtGeom.mjGEOM_CYLINDER, size=(radius, height, 0.0),
                pos=(0.0, 0.0, centre), rgba=(*_CAP_RGB, 1.0), contype=0, conaffinity=0,
            )  # fmt: skip

    def present(self, theta: Perturbation) -> int:
        """How many stand on the table."""
        return round(theta.get("distractors.count", 0.0))

    def things(self, theta: Perturbation) -> list[Thing]:
        """Those that stand on the table, as squares of their own size."""
        return [
            Thing(name, (half, half), self.x_m, self.y_m)
            for name in self.names[: self.present(theta)]
            for half in [self._half(theta, name)]
        ]

    def conflict(self, theta: Perturbation, things: Sequence[Thing] = ()) -> str | None:
        """Say which of them, and of the task's own things, θ places too close to each other, or None."""
        return overlap([*things, *self.things(theta)], theta)

    def lay_out(
        self, things: Sequence[Thing], theta: Perturbation, seed: int, *, separation_m: float = 0.0
    ) -> tuple[Mapping[str, Placement], Perturbation]:
        """Where the task's own things lie, and θ with a place for every distractor that stands among them.

        Args:
            things: The task's own.
            theta: What it leaves unset, the seed draws.
            seed: Of the episode.
            separation_m: Least distance between the things that the seed places.

        Raises:
            InfeasibleError: No room.
        """
        standing = self.things(theta)
        fixed = {thing: thing.place(theta, (0.0, 0.0, 0.0)) for thing in standing if thing.is_placed(theta)}
        layout = draw_places(things, theta, stream(seed, "layout"), separation_m=separation_m, around=fixed)
        own = {thing: layout[thing.name] for thing in things}
        places = draw_places(standing, theta, stream(seed, "distractors"), around=own)
        drawn = {f"{name}.{axis}_m": getattr(place, axis) for name, place in places.items() for axis in "xy"}
        return layout, Perturbation({**theta.values, **drawn})

    def apply(self, model: mujoco.MjModel, theta: Perturbation) -> None:
        """Stand them where θ says, in its shapes, colours and sizes."""
        for name in self.names[: self.present(theta)]:
            body, geom, half = model.body(name).id, model.geom(name).id, self._half(theta, name)
            x, y = theta.get(f"{name}.x_m", sum(self.x_m) / 2), theta.get(f"{name}.y_m", sum(self.y_m) / 2)
            shape = _SHAPES[min(int(3 * theta.get(f"{name}.shape", 0.0)), 2)]
            ball, box = shape == mujoco.mjtGeom.mjGEOM_SPHERE, shape == mujoco.mjtGeom.mjGEOM_BOX
            model.body_pos[body] = (x, y, self.table_m + half)
            model.geom_type[geom] = shape
            model.geom_size[geom] = (half, 0.0, 0.0) if ball else (half, half, half if box else 0.0)
            model.geom_aabb[geom] = (0.0, 0.0, 0.0, half, half, half)
            model.geom_rbound[geom] = half * (1.0 if ball else np.sqrt(3.0) if box else np.sqrt(2.0))
            cap = model.geom(f"{name}_cap").id
            for field in (model.geom_pos, model.geom_size, model.geom_rbound, model.geom_aabb):
                field[cap] *= 2 * half / self.edge_m
            model.geom_rgba[geom, :3] = recoloured(self.rgb, theta.get(f"{name}.hue", pi), 1.0)

    def state(self, model: mujoco.MjModel) -> Float32[NDArray[np.float32], " D"]:
        """What an expert sees of them: x, y, z and half edge of each [m], (4 count,); those absent are far below."""
        return standing(model, self.names).ravel()

    def _half(self, theta: Perturbation, name: str) -> float:
        return self.edge_m / 2 * theta.get(f"{name}.scale", 1.0)


def standing(model: mujoco.MjModel, names: Sequence[str]) -> Float32[NDArray[np.float32], "count 4"]:
    """Place and half edge of each of a model's distractors, [m]; those absent are far below the table."""
    seen = [(*model.body_pos[model.body(name).id], model.geom_size[model.geom(name).id, 0]) for name in names]
    return np.array(seen, np.float32).reshape(-1, 4)
