"""Each variation changes what it names, in its own fields alone, and leaves no trace."""

from math import cos, degrees, pi, sin, tau

import mujoco
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from etude.core import ConfigError, Perturbation, PerturbationSpace, stream
from etude.sim.distractors import Distractors
from etude.sim.variations import (
    Colour,
    DirectionalLight,
    Friction,
    OrbitCamera,
    Perturber,
    Scale,
    TurnedCamera,
    Variation,
    fovy_range,
    layout_factors,
    recoloured,
)

SCENE = """
<mujoco>
  <worldbody>
    <light name="light" type="directional" diffuse=".6 .6 .6" specular=".1 .1 .1"/>
    <camera name="front" pos="1 0 .5"/>
    <camera name="wrist" pos=".1 .2 .3" quat=".9 .1 -.3 .2" fovy="50"/>
    <geom name="table" type="box" pos="0 0 -.02" size=".4 .4 .02" rgba=".6 .5 .4 1"/>
    <body name="cube" pos="0 0 .05">
      <freejoint/><geom name="cube" type="box" size=".02 .03 .04" rgba=".9 .1 .1 1" mass=".08"/>
    </body>
    <body name="rod" pos=".2 0 .05">
      <freejoint/><geom name="rod" type="cylinder" size=".01 .06" pos="0 .01 .02" rgba=".1 .1 .9 1" density="500"/>
    </body>
  </worldbody>
</mujoco>
"""
DISTRACTORS = Distractors(count=2, x_m=(-0.3, 0.3), y_m=(-0.3, 0.3), rgb=(0.9, 0.1, 0.1))
FRONT = OrbitCamera(
    camera="front", target_m=(0.1, 0.0, 0.0), azimuth_rad=0.2, elevation_rad=0.7, distance_m=(0.5, 0.7, 0.9),
    fovy_rad=(0.6, 0.7, 0.8),
)  # fmt: skip
WRIST = TurnedCamera(camera="wrist", fovy_rad=fovy_range(50, 0.1))
LIGHT = DirectionalLight(azimuth_rad=0.6, elevation_rad=(0.5, 1.0, 1.5))
VARIATIONS: dict[str, Variation] = {
    "orbit": FRONT,
    "turned": WRIST,
    "light": LIGHT,
    "colour": Colour(thing="cube", hue=(-0.3, 0.3)),
    "friction": Friction(thing="table", geoms=("table",), range=(0.5, 1.0, 1.5)),
    "scale": Scale(thing="things", bodies=("cube", "rod")),
    "distractors": DISTRACTORS,
}
SPACE = PerturbationSpace("all", tuple(factor for variation in VARIATIONS.values() for factor in variation.factors))


def fresh() -> mujoco.MjModel:
    spec = mujoco.MjSpec.from_string(SCENE)
    DISTRACTORS.add(spec, contype=1, conaffinity=1)
    return spec.compile()


def perturbed(variation: Variation, **values: float) -> mujoco.MjModel:
    """The model with factors set, named without their thing."""
    names = {factor.name.rpartition(".")[2]: factor.name for factor in variation.factors}
    model = fresh()
    Perturber(model, [variation]).apply(Perturbation({names[key]: value for key, value in values.items()}))
    return model


def fields(model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """Every array of a model."""
    names = [n for n in dir(model) if not n.startswith("_") and isinstance(getattr(model, n), np.ndarray)]
    return {name: getattr(model, name).copy() for name in names}


def changed(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> set[str]:
    return {name for name in a if not np.array_equal(a[name], b[name])}


def axes(model: mujoco.MjModel, camera: str) -> np.ndarray:
    """Right, up and back of a camera of the world, as columns."""
    rotation = np.empty(9)
    mujoco.mju_quat2Mat(rotation, model.camera(camera).quat)
    return rotation.reshape(3, 3)


def test_perturbations_do_not_accumulate() -> None:
    model = fresh()
    perturber, rng = Perturber(model, list(VARIATIONS.values())), stream(0, "sequence")
    perturber.apply(Perturbation())
    nominal = fields(model)
    for _ in range(5):
        for _ in range(3):
            perturber.apply(SPACE.sample(rng))
        theta, other = SPACE.sample(rng), fresh()
        perturber.apply(theta)
        Perturber(other, list(VARIATIONS.values())).apply(theta)
        assert not changed(fields(model), fields(other))
        perturber.apply(Perturbation())
        assert not changed(fields(model), nominal)


@pytest.mark.parametrize("name", VARIATIONS)
def test_it_writes_the_fields_it_names_and_every_factor_does_something(name: str) -> None:
    variation, model = VARIATIONS[name], fresh()
    all_there = Perturbation({"distractors.count": 2.0} if name == "distractors" else {})
    perturber = Perturber(model, [variation])
    perturber.apply(all_there)
    nominal = fields(model)
    for factor in variation.factors:
        perturber.apply(Perturbation({**all_there.values, factor.name: 0.3 * factor.nominal + 0.7 * factor.low}))
        seen = changed(nominal, fields(model))
        perturber.apply(Perturbation({**all_there.values, factor.name: 0.3 * factor.nominal + 0.7 * factor.high}))
        seen |= changed(nominal, fields(model))
        assert seen, factor.name
        assert seen <= set(variation.fields), factor.name


@pytest.mark.parametrize("name", sorted(set(VARIATIONS) - {"distractors"}))
def test_a_factor_set_to_its_nominal_value_changes_nothing(name: str) -> None:
    variation, model = VARIATIONS[name], fresh()
    perturber = Perturber(model, [variation])
    perturber.apply(Perturbation())
    nominal = fields(model)
    for factor in variation.factors:
        perturber.apply(Perturbation({factor.name: factor.nominal}))
        assert not changed(nominal, fields(model)), factor.name


def test_a_camera_in_orbit_keeps_its_target_in_the_middle() -> None:
    rng = stream(0, "orbits")
    for _ in range(20):
        model = fresh()
        theta = PerturbationSpace("front", FRONT.factors).sample(rng)
        Perturber(model, [FRONT]).apply(theta)
        away = model.camera("front").pos - np.array(FRONT.target_m)
        assert np.linalg.norm(away) == pytest.approx(theta.values["front_camera.distance_m"])
        azimuth = FRONT.azimuth_rad + theta.values["front_camera.yaw_rad"]
        elevation = FRONT.elevation_rad + theta.values["front_camera.pitch_rad"]
        expected = [cos(azimuth) * cos(elevation), sin(azimuth) * cos(elevation), sin(elevation)]
        assert_allclose(away / np.linalg.norm(away), expected, atol=1e-12)
        right, up, back = axes(model, "front").T
        assert_allclose(back, expected, atol=1e-12)
        assert right[2] == pytest.approx(0.0)
        assert up[2] > 0.0
        assert model.camera("front").fovy[0] == pytest.approx(degrees(theta.values["front_camera.fovy_rad"]))


def test_a_turned_camera_turns_about_itself_and_shifts_along_its_sight() -> None:
    straight = axes(fresh(), "wrist")
    left, up, back = (perturbed(WRIST, **{key: 0.02}) for key in ("yaw_rad", "pitch_rad", "distance_m"))
    for model in (left, up):
        assert_array_equal(model.camera("wrist").pos, fresh().camera("wrist").pos)
        assert -axes(model, "wrist")[:, 2] @ -straight[:, 2] == pytest.approx(cos(0.02))
    assert -axes(left, "wrist")[:, 2] @ straight[:, 0] == pytest.approx(-sin(0.02))
    assert -axes(up, "wrist")[:, 2] @ straight[:, 1] == pytest.approx(sin(0.02))
    assert_allclose(axes(back, "wrist"), straight, atol=1e-12)
    assert_allclose(back.camera("wrist").pos - fresh().camera("wrist").pos, 0.02 * straight[:, 2], atol=1e-12)


def test_the_light_turns_dims_and_tints() -> None:
    overhead = perturbed(LIGHT, elevation_rad=1.5)
    assert overhead.light("light").dir[2] == pytest.approx(-sin(1.5))
    dim, warm = perturbed(LIGHT, intensity=0.5), perturbed(LIGHT, warmth=1.0)
    assert_allclose(dim.light("light").diffuse, 0.3)
    assert_allclose(dim.light("light").specular, 0.05)
    red, green, blue = warm.light("light").diffuse
    assert red > green > blue


def test_hues_go_round_and_brightness_multiplies() -> None:
    rgb = (0.8, 0.2, 0.1)
    assert recoloured(rgb, tau, 1.0) == pytest.approx(rgb)
    assert recoloured(rgb, tau / 3, 1.0) == pytest.approx((0.1, 0.8, 0.2), abs=0.15)
    assert recoloured(rgb, 0.0, 0.5) == pytest.approx((0.4, 0.1, 0.05))
    assert recoloured(recoloured(rgb, 0.7, 1.0), -0.7, 1.0) == pytest.approx(rgb)
    assert max(recoloured(rgb, pi, 5.0)) == 1.0


@pytest.mark.parametrize("scale", [0.9, 1.12])
def test_scaled_bodies_are_what_mujoco_would_compute(scale: float) -> None:
    model = perturbed(VARIATIONS["scale"], scale=scale)
    before = fields(model)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    for name in (name for name in before if name.startswith(("body_", "dof_"))):
        assert_allclose(before[name], getattr(model, name), rtol=1e-9, atol=1e-12, err_msg=name)
    compiled = compiled_at(scale)
    for name in VARIATIONS["scale"].fields:
        assert_allclose(before[name], getattr(compiled, name), rtol=1e-9, atol=1e-12, err_msg=name)
    assert (compiled.geom_size != fresh().geom_size).any()


def compiled_at(scale: float) -> mujoco.MjModel:
    """The scene with things that were this large from the beginning."""
    spec = mujoco.MjSpec.from_string(SCENE)
    DISTRACTORS.add(spec, contype=1, conaffinity=1)
    for thing in ("cube", "rod"):
        geom = spec.geom(thing)
        geom.size, geom.pos = scale * np.array(geom.size), scale * np.array(geom.pos)
        if thing == "cube":
            geom.mass *= scale**3
    return spec.compile()


def test_a_thing_may_lie_anywhere_and_nominally_in_the_middle() -> None:
    x, y, yaw = layout_factors("cube", (0.2, 0.6), (-0.1, 0.1), (-1.0, 1.0))
    assert [factor.name for factor in (x, y, yaw)] == ["cube.x_m", "cube.y_m", "cube.yaw_rad"]
    assert [factor.nominal for factor in (x, y, yaw)] == pytest.approx([0.4, 0.0, 0.0])
    assert len(layout_factors("ball", (0.2, 0.6), (-0.1, 0.1))) == 2


def test_a_variation_of_something_the_model_lacks_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="Invalid name 'cubes'"):
        Perturber(fresh(), [Colour(thing="cubes")])
