"""A sweep's picture shows its factor and nothing else, or says why it shows nothing."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from toys import SPACE, PointEnvironment, PointTask

from etude.core import Factor, InfeasibleError, Perturbation, PerturbationSpace
from etude.evaluation import nominal_picture, sharper, sweep, sweep_picture
from etude.evaluation.canvas import best_columns, shortened, text_width, wrapped
from etude.evaluation.sweeps import sweep_values

TASK = PointTask(image_size=32)


def factor(name: str, low: float, high: float, nominal: float, kind: Any = "distractor") -> Factor:
    return Factor(name=name, unit="1", low=float(low), high=float(high), nominal=float(nominal), kind=kind)


@dataclass(frozen=True, kw_only=True)
class ClutteredTask(PointTask):
    """Also with spots on the table: how many, and how bright; and no world at all for some."""

    @property
    def space(self) -> PerturbationSpace:
        spots = (
            factor("spots.brightness", 0, 1, 0.5),
            factor("spots.count", 0, 2, 0),
            factor("spots.weight", 1, 2, 1),
            factor("front_camera.gain", 0, 1, 0.5, "camera"),
        )
        return PerturbationSpace("toy-clutter", (*SPACE.factors, *spots))

    def environment(self, *, lazy_images: bool = False, object_state: bool = False) -> PointEnvironment:
        return ClutteredEnvironment(self, lazy_images=lazy_images, object_state=object_state)


class ClutteredEnvironment(PointEnvironment):
    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        values = (options or {}).get("perturbation", Perturbation()).values
        if values.get("front_camera.gain", 0) > 0.9:
            raise InfeasibleError("the camera is blinded")
        own = Perturbation({name: value for name, value in values.items() if name in SPACE.names})
        self.spots = {name: value for name, value in values.items() if name not in SPACE.names}
        return super().reset(seed=seed, options={"perturbation": own})

    def draw(self) -> np.ndarray:
        image = super().draw()
        for i in range(round(self.spots.get("spots.count", 0))):
            image[2:6, 2 + 8 * i : 6 + 8 * i] = int(255 * self.spots.get("spots.brightness", 0.5))
        return image


@pytest.fixture
def environment():
    return ClutteredTask(image_size=32).environment(lazy_images=True)


def made(name: str, environment: Any, task: PointTask | None = None):
    task = task or ClutteredTask(image_size=32)
    return sweep(environment, task, task.space[name])


def test_values_go_from_low_to_high_through_nominal():
    for each in SPACE.factors:
        values = sweep_values(each)
        assert (values[0], values[-1]) == (each.low, each.high)
        assert each.nominal in values
        assert values == sorted(values)
        assert len(set(values)) == 7


def test_a_visible_factor_has_one_stop_per_value_and_marks_nominal(environment: Any):
    swept = made("light.intensity", environment)
    assert swept.visible
    assert [stop.low for stop in swept.stops] == sweep_values(swept.factor)
    assert [stop.low for stop in swept.stops if stop.nominal] == [swept.factor.nominal]
    assert swept.note == ""


def test_values_with_equal_pictures_share_a_stop(environment: Any):
    stops = made("spots.count", environment).stops
    assert [(round(s.low, 2), round(s.high, 2)) for s in stops] == [(0, 0.33), (0.67, 1.33), (1.67, 2)]
    assert [s.nominal for s in stops] == [True, False, False]


def test_what_shows_nothing_alone_is_shown_beside_another_of_its_kind(environment: Any):
    swept = made("spots.brightness", environment)
    assert swept.beside == {"spots.count": 2}
    assert len(swept.stops) == 7
    assert swept.note == "shown with spots.count = 2"


def test_what_no_still_shows_says_so_in_one_column(environment: Any):
    friction, weight = made("table.friction", environment), made("spots.weight", environment)
    assert (friction.visible, friction.note) == (False, "not visible in a still")
    assert (weight.visible, weight.note) == (False, "changes no picture of this world")
    one, seven = (sweep_picture(made(n, environment), ["front"], 64) for n in ("table.friction", "light.intensity"))
    assert one.width < seven.width


def test_values_that_the_world_cannot_take_are_empty_tiles_with_the_reason(environment: Any):
    *_, last = made("front_camera.gain", environment).stops
    assert (dict(last.views), last.reason) == ({}, "the camera is blinded")
    assert sweep_picture(made("front_camera.gain", environment), ["front"], 64).height > 64


def test_while_one_thing_moves_all_else_stays_where_it_is():
    task = replace(TASK, image_size=64)
    swept = sweep(task.environment(), task, task.space["goal.x_m"])
    rows = {tuple(np.unique(np.nonzero(s.views["front"][..., 0] == 200)[0])) for s in swept.stops if s.views}
    assert len(rows) == 1  # the goal's other coordinate is held


def test_pictures_for_people_are_larger_where_the_task_allows():
    assert sharper(TASK, 192).image_size == 192

    class Fixed:
        image_size = 8

    fixed: Any = Fixed()
    assert sharper(fixed, 192) is fixed


def test_the_nominal_picture_has_a_row_per_seed():
    environment = TASK.environment()
    heights = [nominal_picture(environment, TASK, "toy", range(n), 64).height for n in (1, 2, 3)]
    assert heights[2] - heights[1] == heights[1] - heights[0] == 64 + 6


def test_text_is_cut_and_broken_to_its_width():
    text = "the goal lies on the start and nothing is left to do"
    assert shortened(text, 12, 1000) == text
    assert text_width(shortened(text, 12, 100), 12) <= 100
    assert shortened("θ − ½π → 3", 12, 1000).startswith("theta - ")
    assert " ".join(wrapped(text, 12, 100)) == text
    assert max(text_width(line, 12) for line in wrapped(text, 12, 100)) <= 100


@pytest.mark.parametrize("count", [1, 4, 7, 14, 50])
def test_tiles_are_laid_out_as_large_as_can_be(count: int):
    columns = best_columns(count, 800, 640, 2.0)
    assert 1 <= columns <= count
    assert best_columns(count, 10_000, 10, 2.0) == count
    assert best_columns(count, 10, 10_000, 2.0) == 1
