"""Things that stand around: only as many as asked, where and as they are asked, in nobody's way while absent."""

from math import pi

import mujoco
import numpy as np
import pytest

from etude.core import ConfigError, InfeasibleError, Perturbation
from etude.sim.distractors import Distractors
from etude.sim.layout import LEAST_GAP_M, Placement, Thing, gap_between
from etude.sim.variations import Perturber

RGB = (0.9, 0.1, 0.1)
SOME = Distractors(count=3, x_m=(-0.2, 0.2), y_m=(-0.2, 0.2), rgb=RGB)
CUBE = Thing("cube", (0.02, 0.02), (-0.1, 0.1), (-0.1, 0.1), (-1.0, 1.0))


def stood(theta: dict[str, float]) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.worldbody.add_geom(name="table", type=mujoco.mjtGeom.mjGEOM_PLANE, size=(1.0, 1.0, 0.1))
    SOME.add(spec, contype=1, conaffinity=1)
    model = spec.compile()
    Perturber(model, [SOME]).apply(Perturbation(theta))
    return model


def test_as_many_stand_there_as_asked() -> None:
    for asked, present in ((0.0, 0), (0.4, 0), (0.6, 1), (2.0, 2), (3.0, 3)):
        heights = stood({"distractors.count": asked}).body_pos[1:, 2]
        assert (heights > 0).tolist() == [i < present for i in range(3)]


def test_absent_ones_stand_nowhere_near_and_nominally_all_are_absent() -> None:
    model = stood({})
    assert (model.body_pos[1:, 2] < -1.0).all()
    assert (SOME.state(model).reshape(3, 4)[:, 2] < -1.0).all()
    assert SOME.factors[0].nominal == 0.0


@pytest.mark.parametrize(
    ("shape", "kind"),
    [(0.1, mujoco.mjtGeom.mjGEOM_BOX), (0.5, mujoco.mjtGeom.mjGEOM_CYLINDER), (1.0, mujoco.mjtGeom.mjGEOM_SPHERE)],
)
@pytest.mark.parametrize("scale", [0.8, 1.2])
def test_shape_and_size_are_those_of_a_compiled_geom(shape: float, kind: mujoco.mjtGeom, scale: float) -> None:
    model = stood({"distractors.count": 1.0, "distractor_1.shape": shape, "distractor_1.scale": scale})
    half, spec = 0.02 * scale, mujoco.MjSpec()
    spec.worldbody.add_geom(type=kind, size=(half, half, half))
    compiled, mine = spec.compile(), model.geom("distractor_1")
    assert mine.type[0] == kind
    assert mine.rbound[0] == pytest.approx(compiled.geom_rbound[0])
    np.testing.assert_allclose(model.geom_aabb[mine.id], compiled.geom_aabb[0])
    assert model.body("distractor_1").pos[2] == pytest.approx(half), "it stands on the table"


def test_a_hue_of_zero_is_the_objects_own_colour_and_nominally_it_is_the_opposite() -> None:
    same = stood({"distractors.count": 1.0, "distractor_1.hue": 0.0}).geom("distractor_1").rgba[:3]
    other = stood({"distractors.count": 1.0}).geom("distractor_1").rgba[:3]
    np.testing.assert_allclose(same, RGB, atol=1e-6)
    np.testing.assert_allclose(other, (0.1, 0.9, 0.9), atol=1e-6)
    around = stood({"distractors.count": 1.0, "distractor_1.hue": -pi}).geom("distractor_1").rgba[:3]
    np.testing.assert_allclose(other, around, atol=1e-6)


def test_an_expert_sees_where_and_how_big_they_are() -> None:
    theta = {"distractors.count": 1.0, "distractor_1.x_m": 0.1, "distractor_1.y_m": -0.1, "distractor_1.scale": 1.2}
    np.testing.assert_allclose(SOME.state(stood(theta))[:4], [0.1, -0.1, 0.024, 0.024], atol=1e-6)


def test_they_and_the_tasks_things_find_room_for_each_other() -> None:
    beside = {"distractors.count": 3.0, "distractor_1.x_m": 0.0, "distractor_1.y_m": 0.0, "distractor_2.x_m": 0.01}
    for seed in range(30):
        layout, theta = SOME.lay_out([CUBE], Perturbation(beside), seed)
        assert beside.items() <= dict(theta.values).items()
        half = [(CUBE.half_m, layout["cube"])] + [
            (thing.half_m, Placement(theta.values[f"{thing.name}.x_m"], theta.values[f"{thing.name}.y_m"], 0.0))
            for thing in SOME.things(theta)
        ]
        assert len(half) == 4
        for i, (a, first) in enumerate(half):
            assert all(gap_between(first, a, second, b) >= LEAST_GAP_M for b, second in half[i + 1 :])


def test_those_who_find_their_own_place_do_not_move_the_tasks_things() -> None:
    nobody, _ = SOME.lay_out([CUBE], Perturbation(), 5)
    everybody, _ = SOME.lay_out([CUBE], Perturbation({"distractors.count": 3.0}), 5)
    assert nobody == everybody


def test_places_that_exclude_each_other_are_told() -> None:
    theta = {"distractors.count": 2.0} | {f"distractor_{i}.{axis}_m": 0.0 for i in (1, 2) for axis in "xy"}
    assert "distractor_1 and distractor_2 overlap" in (SOME.conflict(Perturbation(theta)) or "")
    assert SOME.conflict(Perturbation(theta | {"distractors.count": 1.0})) is None, "the second is absent"
    onto = {"cube.x_m": 0.0, "cube.y_m": 0.0, "cube.yaw_rad": 0.0}
    assert "cube and distractor_1 overlap" in (SOME.conflict(Perturbation(theta | onto), [CUBE]) or "")
    tray = Thing("tray", (1.0, 1.0), (0.0, 0.0), (0.0, 0.0))
    with pytest.raises(InfeasibleError, match="no free place for distractor_1"):
        SOME.lay_out([tray], Perturbation({"distractors.count": 1.0}), 0)


def test_none_means_no_factors_and_no_bodies() -> None:
    none = Distractors(count=0, x_m=(0.0, 1.0), y_m=(0.0, 1.0), rgb=RGB)
    assert none.factors == ()
    layout, theta = none.lay_out([CUBE], Perturbation(), 1)
    assert set(layout) == {"cube"}
    assert theta == Perturbation()


@pytest.mark.parametrize("count", [-1, 5])
def test_a_number_that_cannot_stand_there_is_refused(count: int) -> None:
    with pytest.raises(ConfigError, match="choose 0 to 4"):
        Distractors(count=count, x_m=(0.0, 1.0), y_m=(0.0, 1.0), rgb=RGB)


def test_they_are_touched_and_stay() -> None:
    spec = mujoco.MjSpec()
    SOME.add(spec, contype=1, conaffinity=1)
    ball = spec.worldbody.add_body(name="ball", pos=(0.0, 0.0, 0.1))
    ball.add_freejoint()
    ball.add_geom(size=(0.01, 0.0, 0.0))
    model = spec.compile()
    Perturber(model, [SOME]).apply(
        Perturbation({"distractors.count": 1.0, "distractor_1.x_m": 0.0, "distractor_1.y_m": 0.0})
    )
    data = mujoco.MjData(model)
    mujoco.mj_step(model, data, nstep=1000)
    assert data.body("ball").xpos[2] == pytest.approx(0.05, abs=0.005), "it lies on the box"
