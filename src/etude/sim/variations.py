"""Factors, and how each changes a compiled model: a variation is both, so that neither is read without the other.

Every value is relative to nominal fields remembered when the model was new: a Perturber first puts all of them back and
then applies θ, so that perturbations never accumulate (after dm_control's composer.variation).
"""

from collections.abc import Sequence
from colorsys import hsv_to_rgb, rgb_to_hsv
from dataclasses import dataclass
from math import cos, degrees, pi, radians, sin
from typing import Protocol

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ConfigError, Factor, Perturbation
from etude.core.space import FactorKind

type Range = tuple[float, float]
type _Vector3 = Float64[NDArray[np.float64], "3"]


class Variation(Protocol):
    """Some factors and what they do to a model."""

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The factors, in the order of the space."""
        ...

    @property
    def fields(self) -> tuple[str, ...]:
        """Arrays of MjModel that `apply` writes."""
        ...

    def apply(self, model: mujoco.MjModel, theta: Perturbation) -> None:
        """Change the model, whose fields are nominal; factors that θ leaves unset stay so."""
        ...


class Perturber:
    """Makes one model the world of any θ, always starting from its nominal fields."""

    def __init__(self, model: mujoco.MjModel, variations: Sequence[Variation]) -> None:
        """Remember the nominal fields.

        Args:
            model: The model to change, as it was compiled.
            variations: Applied in this order.

        Raises:
            ConfigError: A variation names something that the model does not have.
        """
        self._model, self._variations = model, tuple(variations)
        names = dict.fromkeys(field for variation in variations for field in variation.fields)
        self._nominal = [(getattr(model, name), getattr(model, name).copy()) for name in names]
        try:
            self.apply(Perturbation({f.name: f.high for variation in variations for f in variation.factors}))
        except KeyError as error:
            raise ConfigError(f"a variation does not fit the model: {error.args[0]}") from error
        self.apply(Perturbation())

    def apply(self, theta: Perturbation) -> None:
        """Make the model the world of θ; what θ leaves unset is nominal."""
        for field, nominal in self._nominal:
            field[:] = nominal
        for variation in self._variations:
            variation.apply(self._model, theta)


def factor(name: str, unit: str, range_: tuple[float, float, float], kind: FactorKind, description: str = "") -> Factor:
    """A factor from (low, nominal, high)."""
    low, nominal, high = range_
    return Factor(name=name, unit=unit, low=low, high=high, nominal=nominal, kind=kind, description=description)


def layout_factors(thing: str, x_m: Range, y_m: Range, yaw_rad: Range | None = None) -> list[Factor]:
    """Where a thing lies: not a field of the model, but placed by the world's reset. Nominal is the middle."""

    def layout(quantity: str, unit: str, bounds: Range, description: str) -> Factor:
        low, high = bounds
        return factor(f"{thing}.{quantity}", unit, (low, (low + high) / 2, high), "layout", description)

    return [
        layout("x_m", "m", x_m, "where it lies, along the world's x"),
        layout("y_m", "m", y_m, "where it lies, along the world's y"),
        *([] if yaw_rad is None else [layout("yaw_rad", "rad", yaw_rad, "turn about the vertical")]),
    ]


def look(sight: _Vector3, up: _Vector3) -> Float64[NDArray[np.float64], "3 3"]:
    """Orientation of a camera that looks along `sight`: MuJoCo's look along −z, with x to the right and y up."""
    right = np.cross(sight, up)
    right /= np.linalg.norm(right)
    return np.array([right, np.cross(right, sight), -sight], dtype=np.float64).T


@dataclass(frozen=True, kw_only=True)
class OrbitCamera:
    """A camera of the world that looks at a point and moves around it.

    Attributes:
        camera: Its name; the factors are `{camera}_camera.…`.
        target_m: What it looks at.
        azimuth_rad: Nominal direction from the target, about the vertical from x.
        elevation_rad: Nominal direction from the target, above the horizontal.
        distance_m: Nominal and range: (low, nominal, high).
        fovy_rad: Vertical field of view: (low, nominal, high).
        yaw_rad: Range about the nominal azimuth.
        pitch_rad: Range about the nominal elevation.
    """

    camera: str
    target_m: tuple[float, float, float]
    azimuth_rad: float
    elevation_rad: float
    distance_m: tuple[float, float, float]
    fovy_rad: tuple[float, float, float]
    yaw_rad: Range = (-0.3, 0.3)
    pitch_rad: Range = (-0.12, 0.12)

    fields = ("cam_pos", "cam_quat", "cam_fovy")

    @property
    def factors(self) -> tuple[Factor, ...]:
        """Sideways, upwards, distance, field of view."""
        thing, (yaw, pitch) = f"{self.camera}_camera", (self.yaw_rad, self.pitch_rad)
        return (
            factor(f"{thing}.yaw_rad", "rad", (yaw[0], 0.0, yaw[1]), "camera", "orbit about the workspace, sideways"),
            factor(f"{thing}.pitch_rad", "rad", (pitch[0], 0.0, pitch[1]), "camera", "orbit about it, upwards"),
            factor(f"{thing}.distance_m", "m", self.distance_m, "camera", "to the workspace's centre"),
            factor(f"{thing}.fovy_rad", "rad", self.fovy_rad, "camera", "vertical field of view"),
        )

    def apply(self, model: mujoco.MjModel, theta: Perturbation) -> None:
        """Place the camera."""
        thing, camera = f"{self.camera}_camera", model.camera(self.camera).id
        azimuth = self.azimuth_rad + theta.get(f"{thing}.yaw_rad", 0.0)
        elevation = self.elevation_rad + theta.get(f"{thing}.pitch_rad", 0.0)
        distance = theta.get(f"{thing}.distance_m", self.distance_m[1])
        model.cam_pos[camera] = self.target_m + distance * _direction(azimuth, elevation)
        # From looking straight down it is tipped up about its x axis, then turned about the vertical.
        tip, turn = pi / 4 - elevation / 2, pi / 4 + azimuth / 2  # halves, as quaternions have them
        cx, sx, cz, sz = cos(tip), sin(tip), cos(turn), sin(turn)
        model.cam_quat[camera] = (cz * cx, cz * sx, sz * sx, sz * cx)
        model.cam_fovy[camera] = degrees(theta.get(f"{thing}.fovy_rad", self.fovy_rad[1]))


@dataclass(frozen=True, kw_only=True)
class TurnedCamera:
    """A camera that turns about itself and moves along its line of sight, from where the model has it.

    Attributes:
        camera: Its name; the factors are `{camera}_camera.…`.
        fovy_rad: Vertical field of view: (low, nominal, high); nominal as in the model.
        yaw_rad: Range of its turn sideways.
        pitch_rad: Range of its turn upwards.
        distance_m: Range of its shift back.
    """

    camera: str
    fovy_rad: tuple[float, float, float]
    yaw_rad: Range = (-0.12, 0.12)
    pitch_rad: Range = (-0.1, 0.1)
    distance_m: Range = (-0.015, 0.02)

    fields = ("cam_pos", "cam_quat", "cam_fovy")

    @property
    def factors(self) -> tuple[Factor, ...]:
        """Sideways, upwards, back, field of view."""
        thing, (yaw, pitch, back) = f"{self.camera}_camera", (self.yaw_rad, self.pitch_rad, self.distance_m)
        return (
            factor(f"{thing}.yaw_rad", "rad", (yaw[0], 0.0, yaw[1]), "camera", "turn of the camera, sideways"),
            factor(f"{thing}.pitch_rad", "rad", (pitch[0], 0.0, pitch[1]), "camera", "turn of the camera, upwards"),
            factor(f"{thing}.distance_m", "m", (back[0], 0.0, back[1]), "camera", "shift back along its line of sight"),
            factor(f"{thing}.fovy_rad", "rad", self.fovy_rad, "camera", "vertical field of view"),
        )

    def apply(self, model: mujoco.MjModel, theta: Perturbation) -> None:
        """Turn and shift the camera."""
        thing, camera = f"{self.camera}_camera", model.camera(self.camera).id
        w, x, y, z = model.cam_quat[camera].tolist()
        back = np.array([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)])
        yaw, pitch = theta.get(f"{thing}.yaw_rad", 0.0) / 2, theta.get(f"{thing}.pitch_rad", 0.0) / 2
        cy, sy, cx, sx = cos(yaw), sin(yaw), cos(pitch), sin(pitch)  # first about its y axis, then about its x axis
        model.cam_pos[camera] += theta.get(f"{thing}.distance_m", 0.0) * back
        mujoco.mju_mulQuat(
            model.cam_quat[camera], np.array([w, x, y, z]), np.array([cy * cx, cy * sx, sy * cx, -sy * sx])
        )
        model.cam_fovy[camera] = degrees(theta.get(f"{thing}.fovy_rad", self.fovy_rad[1]))


@dataclass(frozen=True, kw_only=True)
class DirectionalLight:
    """A directional light of the world.

    Attributes:
        light: Its name, and that of the factors.
        azimuth_rad: Nominally, where it comes from, about the vertical from x.
        elevation_rad: Height above the horizontal, π/2 above: (low, nominal, high).
        intensity: Range of its brightness over the nominal 1.
    """

    azimuth_rad: float
    elevation_rad: tuple[float, float, float]
    intensity: Range = (0.4, 1.3)
    light: str = "light"

    fields = ("light_dir", "light_diffuse", "light_specular")

    @property
    def factors(self) -> tuple[Factor, ...]:
        """Direction, brightness, colour."""
        low, high = self.intensity
        name, around = self.light, (-pi, self.azimuth_rad, pi)
        return (
            factor(f"{name}.azimuth_rad", "rad", around, "lighting", "where the light comes from"),
            factor(f"{name}.elevation_rad", "rad", self.elevation_rad, "lighting", "its height, π/2 above"),
            factor(f"{name}.intensity", "1", (low, 1.0, high), "lighting", "brightness of the light over nominal"),
            factor(f"{name}.warmth", "1", (-1.0, 0.0, 1.0), "lighting", "colour of the light, bluish to orange"),
        )

    def apply(self, model: mujoco.MjModel, theta: Perturbation) -> None:
        """Turn, dim and tint the light."""
        name, light = self.light, model.light(self.light).id
        warmth, intensity = theta.get(f"{name}.warmth", 0.0), theta.get(f"{name}.intensity", 1.0)
        tint = np.array([1 + 0.25 * warmth, 1 + 0.02 * warmth, 1 - 0.3 * warmth])
        model.light_dir[light] = -_direction(
            theta.get(f"{name}.azimuth_rad", self.azimuth_rad),
            theta.get(f"{name}.elevation_rad", self.elevation_rad[1]),
        )
        model.light_diffuse[light] *= intensity * tint
        model.light_specular[light] *= intensity


@dataclass(frozen=True, kw_only=True)
class Colour:
    """The colour of a thing, turned and dimmed from what the model has.

    Attributes:
        thing: Name in the factors.
        geoms: What is recoloured; by default the geom of the thing's name.
        hue: Range of the turn of its hue [rad]; None for a thing whose hue stays.
        brightness: Range over the nominal 1; None for a thing whose brightness stays.
    """

    thing: str
    geoms: tuple[str, ...] = ()
    hue: Range | None = None
    brightness: Range | None = (0.7, 1.15)

    fields = ("geom_rgba",)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """Hue and brightness, as far as they vary."""
        found: list[Factor] = []
        if self.hue is not None:
            hue = (self.hue[0], 0.0, self.hue[1])
            found.append(factor(f"{self.thing}.hue", "rad", hue, "appearance", "turn of its hue"))
        if self.brightness is not None:
            brightness = (self.brightness[0], 1.0, self.brightness[1])
            found.append(factor(f"{self.thing}.brightness", "1", brightness, "appearance", "of its colour"))
        return tuple(found)

    def apply(self, model: mujoco.MjModel, theta: Perturbation) -> None:
        """Recolour the geoms."""
        hue = 0.0 if self.hue is None else theta.get(f"{self.thing}.hue", 0.0)
        brightness = 1.0 if self.brightness is None else theta.get(f"{self.thing}.brightness", 1.0)
        if (hue, brightness) == (0.0, 1.0):
            return
        known: dict[tuple[float, ...], tuple[float, float, float]] = {}  # a robot has many geoms of few colours
        for geom in self.geoms or (self.thing,):
            rgb = model.geom_rgba[model.geom(geom).id, :3]
            old = tuple(rgb.tolist())
            if old not in known:
                known[old] = recoloured(old, hue, brightness)
            rgb[:] = known[old]


@dataclass(frozen=True, kw_only=True)
class Friction:
    """Sliding friction.

    Attributes:
        thing: Name in the factor.
        geoms: What slides.
        range: (low, nominal, high); nominal as in the model.
        description: What it is between.
    """

    thing: str
    geoms: tuple[str, ...]
    range: tuple[float, float, float]
    description: str = "sliding friction"

    fields = ("geom_friction",)

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The one."""
        return (factor(f"{self.thing}.friction", "1", self.range, "physics", self.description),)

    def apply(self, model: mujoco.MjModel, theta: Perturbation) -> None:
        """Set it."""
        value = theta.values.get(f"{self.thing}.friction")
        if value is not None:
            for geom in self.geoms:
                model.geom_friction[model.geom(geom).id, 0] = value


@dataclass(frozen=True, kw_only=True)
class Scale:
    """The size of free bodies of primitive geoms, at constant density.

    Attributes:
        thing: Name in the factor.
        bodies: Which; each with one free joint and no children.
        range: Over the nominal 1.
        description: What grows.
    """

    thing: str
    bodies: tuple[str, ...]
    range: Range = (0.9, 1.12)
    description: str = "its size over the nominal one"

    fields = (
        "geom_size", "geom_rbound", "geom_aabb", "geom_pos", "body_ipos", "body_mass", "body_inertia",
        "body_subtreemass", "body_invweight0", "dof_invweight0", "dof_M0", "dof_length",
    )  # fmt: skip

    @property
    def factors(self) -> tuple[Factor, ...]:
        """The one."""
        low, high = self.range
        return (factor(f"{self.thing}.scale", "1", (low, 1.0, high), "physics", self.description),)

    def apply(self, model: mujoco.MjModel, theta: Perturbation) -> None:
        """Scale: mass grows with the cube of the length, inertia with its fifth power."""
        scale = theta.get(f"{self.thing}.scale", 1.0)
        if scale == 1.0:
            return
        for name in self.bodies:
            _scale_body(model, int(model.body(name).id), scale)
        model.body_subtreemass[0] = model.body_mass.sum()


def recoloured(rgb: Sequence[float], hue_rad: float, brightness: float) -> tuple[float, float, float]:
    """A colour with its hue turned and its value multiplied."""
    hue, saturation, value = rgb_to_hsv(*rgb)
    return hsv_to_rgb((hue + hue_rad / (2 * pi)) % 1.0, saturation, min(1.0, value * brightness))


def fovy_range(nominal_degrees: float, share: float) -> tuple[float, float, float]:
    """A field of view in degrees, as (low, nominal, high) [rad], `share` smaller to `share` larger."""
    nominal = radians(nominal_degrees)
    return (1 - share) * nominal, nominal, (1 + share) * nominal


def _scale_body(model: mujoco.MjModel, body: int, scale: float) -> None:
    first = int(model.body_geomadr[body])
    geoms = slice(first, first + int(model.body_geomnum[body]))
    for field in (model.geom_size, model.geom_rbound, model.geom_aabb, model.geom_pos):
        field[geoms] *= scale
    model.body_ipos[body] *= scale
    for field in (model.body_mass, model.body_subtreemass):
        field[body] *= scale**3
    model.body_inertia[body] *= scale**5
    model.body_invweight0[body] /= (scale**3, scale**5)
    first = int(model.body_dofadr[body])
    for dofs, power in ((slice(first, first + 3), scale**3), (slice(first + 3, first + 6), scale**5)):
        model.dof_invweight0[dofs] /= power
        model.dof_M0[dofs] *= power
    model.dof_length[first + 3 : first + 6] *= scale


def _direction(azimuth: float, elevation: float) -> _Vector3:
    return np.array([cos(azimuth) * cos(elevation), sin(azimuth) * cos(elevation), sin(elevation)])
