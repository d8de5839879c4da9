"""Perturbations leave no trace, and the space says what the world cannot take."""

import mujoco
import numpy as np
import pytest

from etude.core import Perturbation, stream
from etude.sim.layout import LEAST_GAP_M, Placement, draw_layout, gap_between, layout_conflict, rectangles_overlap
from etude.sim.perturbations import WorldPerturber, stack_space
from etude.sim.scene import CUBE_EDGE_M, CUBE_NAMES, load_scene


def fields(model: mujoco.MjModel) -> dict[str, np.ndarray]:
    """Every array of a model."""
    names = [n for n in dir(model) if not n.startswith("_") and isinstance(getattr(model, n), np.ndarray)]
    return {name: getattr(model, name).copy() for name in names}


def changed(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> set[str]:
    return {name for name in a if not np.array_equal(a[name], b[name])}


def test_perturbations_do_not_accumulate() -> None:
    space, model = stack_space(3), load_scene(3)
    perturber = WorldPerturber(model)
    perturber.apply(Perturbation())
    nominal = fields(model)
    rng = stream(0, "sequence")
    for _ in range(5):
        for _ in range(3):
            perturber.apply(space.sample(rng))
        theta = space.sample(rng)
        perturber.apply(theta)
        fresh = load_scene(3)
        WorldPerturber(fresh).apply(theta)
        assert not changed(fields(model), fields(fresh))
        perturber.apply(Perturbation())
        assert not changed(fields(model), nominal)


def test_every_factor_but_the_layout_changes_the_model() -> None:
    space, model = stack_space(2), load_scene(2)
    perturber = WorldPerturber(model)
    perturber.apply(Perturbation())
    nominal = fields(model)
    for factor in space.factors:
        perturber.apply(Perturbation({factor.name: factor.nominal}))
        assert not changed(nominal, fields(model)), factor.name
        perturber.apply(Perturbation({factor.name: 0.3 * factor.nominal + 0.7 * factor.high}))
        assert bool(changed(nominal, fields(model))) == (factor.kind != "layout"), factor.name


def test_scaled_cubes_are_what_mujoco_would_compute() -> None:
    model = load_scene(2)
    WorldPerturber(model).apply(Perturbation({"cube.scale": 1.1}))
    before = fields(model)
    mujoco.mj_setConst(model, mujoco.MjData(model))
    physical = [name for name in before if name.startswith(("body_", "dof_"))]
    for name in physical:
        np.testing.assert_allclose(before[name], getattr(model, name), rtol=1e-9, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("cubes", [2, 3])
def test_the_space_is_broad_and_the_front_camera_sees_all_of_it(cubes: int) -> None:
    space, model = stack_space(cubes), load_scene(cubes)
    assert len(space.factors) >= 16
    perturber, camera = WorldPerturber(model), model.camera("front").id
    rng = stream(0, "corners")
    for _ in range(200):
        theta = space.from_unit(rng.integers(0, 2, len(space.factors)).astype(float))
        perturber.apply(theta)
        rotation = np.empty(9)
        mujoco.mju_quat2Mat(rotation, model.cam_quat[camera])
        for name in CUBE_NAMES[:cubes]:
            centre = np.array([theta.values[f"{name}.x_m"], theta.values[f"{name}.y_m"], CUBE_EDGE_M / 2])
            right, up, back = (centre - model.cam_pos[camera]) @ rotation.reshape(3, 3)
            half = np.tan(np.radians(model.cam_fovy[camera]) / 2)
            assert max(abs(right), abs(up)) / -back / half < 1.0


def square(place: Placement, half: tuple[float, float], n: int = 41) -> np.ndarray:
    """Points of a rectangle, (n², 2)."""
    grid = np.stack(np.meshgrid(*(np.linspace(-h, h, n) for h in half)), -1).reshape(-1, 2)
    c, s = np.cos(place.yaw), np.sin(place.yaw)
    return grid @ np.array([[c, s], [-s, c]]) + [place.x, place.y]


def inside(points: np.ndarray, place: Placement, half: tuple[float, float]) -> bool:
    c, s = np.cos(place.yaw), np.sin(place.yaw)
    own = (points - [place.x, place.y]) @ np.array([[c, -s], [s, c]])
    return bool((np.abs(own) <= half).all(axis=1).any())


def test_overlap_agrees_with_sampled_points() -> None:
    rng = stream(0, "pairs")
    halves = (0.02, 0.02), (0.018, 0.03)
    for _ in range(300):
        a, b = (Placement(*(rng.uniform(-1, 1, 3) * [0.04, 0.04, 3.0]).tolist()) for _ in range(2))
        sampled = inside(square(a, halves[0]), b, halves[1]) or inside(square(b, halves[1]), a, halves[0])
        exact = rectangles_overlap(a, halves[0], b, halves[1])
        assert exact >= sampled
        if exact and not sampled:  # only by less than the samples' spacing
            assert not rectangles_overlap(a, (0.0185, 0.0185), b, (0.0165, 0.0285))
        edge = 0.04
        assert (gap_between(a, b, edge) <= 0) == rectangles_overlap(a, (edge / 2,) * 2, b, (edge / 2,) * 2)
        assert gap_between(a, b, edge) == pytest.approx(gap_between(b, a, edge), abs=1e-12)


def placed(name: str, x: float, y: float, **yaw: float) -> dict[str, float]:
    return {f"{name}.x_m": x, f"{name}.y_m": y, **{f"{name}.yaw_rad": value for value in yaw.values()}}


def test_cubes_may_all_but_touch_and_not_overlap() -> None:
    blue = placed("cube_blue", 0.5, 0.0, yaw=0.0)
    for gap, feasible in ((LEAST_GAP_M + 1e-6, True), (LEAST_GAP_M - 1e-6, False), (-0.02, False)):
        theta = Perturbation({**blue, **placed("cube_red", 0.5, CUBE_EDGE_M + gap, yaw=0.0)})
        assert (layout_conflict(theta, cubes=CUBE_NAMES) is None) == feasible
    bigger = Perturbation({**blue, **placed("cube_red", 0.5, CUBE_EDGE_M + 0.002, yaw=0.0), "cube.scale": 1.1})
    assert layout_conflict(bigger, cubes=CUBE_NAMES) == (
        "cube_blue and cube_red overlap (cubes of 44.7 mm need a gap of 1 mm)"
    )
    turned = Perturbation({**blue, **placed("cube_red", 0.5, CUBE_EDGE_M + 0.002)})  # its yaw is the seed's
    assert layout_conflict(turned, cubes=CUBE_NAMES) is not None


def test_the_seed_places_what_theta_leaves_free_without_overlap() -> None:
    names = CUBE_NAMES
    for seed in range(30):
        theta = Perturbation({**placed("cube_blue", 0.5, 0.0), "cube_red.y_m": 0.01})
        layout = draw_layout(theta, names, stream(seed, "layout"))
        assert (layout["cube_blue"].x, layout["cube_blue"].y, layout["cube_red"].y) == (0.5, 0.0, 0.01)
        pairs = [(layout[a], layout[b]) for i, a in enumerate(names) for b in names[i + 1 :]]
        assert all(gap_between(a, b, CUBE_EDGE_M) >= LEAST_GAP_M for a, b in pairs)
