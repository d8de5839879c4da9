"""The stacking world's factors, and how a perturbation becomes fields of a compiled model.

Every value is relative to nominal fields remembered when the model was new: first all of them are put back, then θ is
applied, so that perturbations never accumulate.
"""

from collections.abc import Callable
from colorsys import hsv_to_rgb, rgb_to_hsv
from functools import partial
from math import cos, degrees, pi, sin

import mujoco
import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import Factor, Perturbation, PerturbationSpace
from etude.core.se3 import exp_rotation, matrix_to_quat
from etude.core.space import FactorKind
from etude.sim.layout import layout_conflict
from etude.sim.scene import (
    CUBE_NAMES,
    FRONT_DISTANCE_M,
    FRONT_ELEVATION_RAD,
    FRONT_FOVY_RAD,
    FRONT_TARGET_M,
    LIGHT_AZIMUTH_RAD,
    LIGHT_ELEVATION_RAD,
    WRIST_FOVY_RAD,
    WRIST_POSITION_M,
    WRIST_TARGET_M,
)

X_RANGE_M = (0.38, 0.62)
Y_RANGE_M = (-0.14, 0.14)
YAW_RANGE_RAD = (-1.0, 1.0)

_FIELDS = (
    "cam_pos", "cam_quat", "cam_fovy", "light_dir", "light_diffuse", "light_specular", "geom_rgba", "geom_size",
    "geom_rbound", "geom_aabb", "geom_friction", "body_mass", "body_inertia", "body_subtreemass", "body_invweight0",
    "dof_invweight0", "dof_M0", "dof_length",
)  # fmt: skip


def stack_space(cubes: int) -> PerturbationSpace:
    """Everything that can be varied about the world with the lowest `cubes` of CUBE_NAMES."""
    names = CUBE_NAMES[:cubes]
    factors = [factor for name in names for factor in _layout_factors(name)]
    factors += [
        *_camera_factors(),
        *_light_factors(),
        *_appearance_factors(names),
        _factor("cube.scale", "1", (0.9, 1.0, 1.12), "physics", "edge of all cubes over its nominal length"),
        _factor("cube.friction", "1", (0.5, 1.0, 1.5), "physics", "sliding friction of cubes on fingers and cubes"),
        _factor("table.friction", "1", (0.3, 0.8, 1.2), "physics", "sliding friction of anything on the table"),
    ]
    return PerturbationSpace(f"franka-stack-{cubes}", tuple(factors), partial(layout_conflict, cubes=names))


def _factor(name: str, unit: str, range_: tuple[float, float, float], kind: FactorKind, description: str) -> Factor:
    low, nominal, high = range_
    return Factor(name=name, unit=unit, low=low, high=high, nominal=nominal, kind=kind, description=description)


def _layout_factors(cube: str) -> list[Factor]:
    def layout(quantity: str, unit: str, bounds: tuple[float, float], description: str) -> Factor:
        low, high = bounds
        return _factor(f"{cube}.{quantity}", unit, (low, (low + high) / 2, high), "layout", description)

    return [
        layout("x_m", "m", X_RANGE_M, "ahead of the robot's base"),
        layout("y_m", "m", Y_RANGE_M, "to the left of the robot's base"),
        layout("yaw_rad", "rad", YAW_RANGE_RAD, "turn about the vertical"),
    ]


def _camera_factors() -> list[Factor]:
    return [
        _factor("front_camera.yaw_rad", "rad", (-0.3, 0.0, 0.3), "camera", "orbit about the workspace, sideways"),
        _factor("front_camera.pitch_rad", "rad", (-0.12, 0.0, 0.12), "camera", "orbit about the workspace, upwards"),
        _factor("front_camera.distance_m", "m", (0.65, FRONT_DISTANCE_M, 0.73), "camera", "to the workspace's centre"),
        _factor("front_camera.fovy_rad", "rad", (0.63, FRONT_FOVY_RAD, 0.71), "camera", "vertical field of view"),
        _factor("wrist_camera.yaw_rad", "rad", (-0.12, 0.0, 0.12), "camera", "turn of the camera, sideways"),
        _factor("wrist_camera.pitch_rad", "rad", (-0.1, 0.0, 0.1), "camera", "turn of the camera, upwards"),
        _factor("wrist_camera.distance_m", "m", (-0.015, 0.0, 0.02), "camera", "shift back along its line of sight"),
        _factor("wrist_camera.fovy_rad", "rad", (1.08, WRIST_FOVY_RAD, 1.22), "camera", "vertical field of view"),
    ]


def _light_factors() -> list[Factor]:
    return [
        _factor("light.azimuth_rad", "rad", (-pi, LIGHT_AZIMUTH_RAD, pi), "lighting", "where the light comes from"),
        _factor("light.elevation_rad", "rad", (0.5, LIGHT_ELEVATION_RAD, 1.5), "lighting", "its height, π/2 above"),
        _factor("light.intensity", "1", (0.4, 1.0, 1.3), "lighting", "brightness of the light over nominal"),
        _factor("light.warmth", "1", (-1.0, 0.0, 1.0), "lighting", "colour of the light, bluish to orange"),
    ]


def _appearance_factors(cubes: tuple[str, ...]) -> list[Factor]:
    return [
        _factor("cube_red.hue", "rad", (-0.25, 0.0, 0.35), "appearance", "turn of its hue, pink to orange"),
        *(_factor(f"{c}.brightness", "1", (0.7, 1.0, 1.15), "appearance", "of its colour") for c in cubes),
        _factor("table.hue", "rad", (-pi, 0.0, pi), "appearance", "turn of the table's hue"),
        _factor("table.brightness", "1", (0.65, 1.0, 1.25), "appearance", "of the table's colour"),
    ]


class WorldPerturber:
    """Sets the fields of one model from perturbations, always starting from the nominal world.

    Layout factors are not fields of the model: the environment's reset places the cubes.
    """

    def __init__(self, model: mujoco.MjModel) -> None:
        """Remember the nominal fields.

        Args:
            model: The model to change, as `load_scene` made it.
        """
        self._model = model
        self._cubes = [name for name in CUBE_NAMES if _has_body(model, name)]
        self._nominal: dict[str, NDArray[np.float64]] = {field: getattr(model, field).copy() for field in _FIELDS}

    def apply(self, theta: Perturbation) -> None:
        """Make the model the world of θ; what θ leaves unset is nominal."""
        for field, value in self._nominal.items():
            getattr(self._model, field)[:] = value
        for apply in (self._place_front, self._place_wrist, self._light, self._colour, self._rub):
            apply(theta.get)
        self._scale_cubes(theta.get("cube.scale", 1.0))

    def _place_front(self, get: "_Get") -> None:
        azimuth = get("front_camera.yaw_rad", 0.0)
        elevation = FRONT_ELEVATION_RAD + get("front_camera.pitch_rad", 0.0)
        away = np.array([cos(azimuth) * cos(elevation), sin(azimuth) * cos(elevation), sin(elevation)])
        target = np.array(FRONT_TARGET_M)
        camera = self._model.camera("front").id
        self._model.cam_pos[camera] = target + get("front_camera.distance_m", FRONT_DISTANCE_M) * away
        self._model.cam_quat[camera] = matrix_to_quat(_looking_along(-away, up=np.array([0.0, 0.0, 1.0])))
        self._model.cam_fovy[camera] = degrees(get("front_camera.fovy_rad", FRONT_FOVY_RAD))

    def _place_wrist(self, get: "_Get") -> None:
        model, camera, site = self._model, self._model.camera("wrist").id, self._model.site("gripper").id
        mount = np.array(WRIST_POSITION_M)
        sight = np.array(WRIST_TARGET_M) - mount
        sight /= np.linalg.norm(sight)
        straight = _looking_along(sight, up=np.array([0.0, 0.0, -1.0]))
        turned = (
            straight
            @ exp_rotation(np.array([0.0, get("wrist_camera.yaw_rad", 0.0), 0.0]))
            @ exp_rotation(np.array([get("wrist_camera.pitch_rad", 0.0), 0.0, 0.0]))
        )
        R_link_gripper = _rotation(model.site_quat[site])
        model.cam_pos[camera] = model.site_pos[site] + R_link_gripper @ (
            mount - get("wrist_camera.distance_m", 0.0) * sight
        )
        model.cam_quat[camera] = matrix_to_quat(R_link_gripper @ turned)
        model.cam_fovy[camera] = degrees(get("wrist_camera.fovy_rad", WRIST_FOVY_RAD))

    def _light(self, get: "_Get") -> None:
        light = self._model.light("light").id
        azimuth, elevation = (
            get("light.azimuth_rad", LIGHT_AZIMUTH_RAD),
            get("light.elevation_rad", LIGHT_ELEVATION_RAD),
        )
        away = np.array([cos(azimuth) * cos(elevation), sin(azimuth) * cos(elevation), sin(elevation)])
        warmth = get("light.warmth", 0.0)
        tint = np.array([1 + 0.25 * warmth, 1 + 0.02 * warmth, 1 - 0.3 * warmth])
        self._model.light_dir[light] = -away
        self._model.light_diffuse[light] *= get("light.intensity", 1.0) * tint
        self._model.light_specular[light] *= get("light.intensity", 1.0)

    def _colour(self, get: "_Get") -> None:
        for name in (*self._cubes, "table"):
            hue, brightness = get(f"{name}.hue", 0.0), get(f"{name}.brightness", 1.0)
            if (hue, brightness) != (0.0, 1.0):
                rgba = self._model.geom_rgba[self._model.geom(name).id]
                rgba[:3] = _recoloured(rgba[:3].tolist(), hue, brightness)

    def _rub(self, get: "_Get") -> None:
        for name in self._cubes:
            self._slide(name)[0] = get("cube.friction", self._slide(name)[0])
        self._slide("table")[0] = get("table.friction", self._slide("table")[0])

    def _slide(self, geom: str) -> Float64[NDArray[np.float64], "3"]:
        return self._model.geom_friction[self._model.geom(geom).id]

    def _scale_cubes(self, scale: float) -> None:
        """Of constant density: mass grows with the cube of the edge, inertia with its fifth power."""
        model = self._model
        for name in self._cubes:
            geom, body = model.geom(name).id, model.body(name).id
            for field in (model.geom_size, model.geom_rbound, model.geom_aabb):
                field[geom] *= scale
            for field in (model.body_mass, model.body_subtreemass):
                field[body] *= scale**3
            model.body_inertia[body] *= scale**5
            model.body_invweight0[body] /= (scale**3, scale**5)
            dofs = slice(int(model.body_dofadr[body]), int(model.body_dofadr[body]) + 6)
            powers = np.repeat([scale**3, scale**5], 3)
            model.dof_invweight0[dofs] /= powers
            model.dof_M0[dofs] *= powers
            model.dof_length[dofs] *= np.repeat([1.0, scale], 3)
        model.body_subtreemass[0] = model.body_mass.sum()


type _Get = Callable[[str, float], float]


def _has_body(model: mujoco.MjModel, name: str) -> bool:
    return mujoco.mj_name2id(model, mujoco.mjtObj.mjOBJ_BODY, name) >= 0


def _looking_along(
    sight: Float64[NDArray[np.float64], "3"], up: Float64[NDArray[np.float64], "3"]
) -> Float64[NDArray[np.float64], "3 3"]:
    """Orientation of a camera: MuJoCo's look along −z, with x to the right and y up."""
    right = np.cross(sight, up)
    right /= np.linalg.norm(right)
    return np.array([right, np.cross(right, sight), -sight], dtype=np.float64).T


def _rotation(quat: Float64[NDArray[np.float64], "4"]) -> Float64[NDArray[np.float64], "3 3"]:
    matrix = np.empty(9)
    mujoco.mju_quat2Mat(matrix, quat)
    return matrix.reshape(3, 3)


def _recoloured(rgb: list[float], hue_rad: float, brightness: float) -> tuple[float, float, float]:
    hue, saturation, value = rgb_to_hsv(*rgb)
    return hsv_to_rgb((hue + hue_rad / (2 * pi)) % 1.0, saturation, min(1.0, value * brightness))
