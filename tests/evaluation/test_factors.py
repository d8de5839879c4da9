"""Cases that vary one factor are matched on seeds, and what a factor does is counted case by case."""

import numpy as np
import pytest
from evaluation.test_outcomes import outcome
from toys import SPACE, PlantedPolicy, PointTask

from etude.compute import SerialExecutor
from etude.core import (
    Case,
    ConfigError,
    FactorRangeError,
    InfeasibleError,
    MismatchError,
    Paired,
    Perturbation,
    Rate,
    UnknownNameError,
    holm,
)
from etude.evaluation import (
    Axis,
    Cell,
    Grid,
    Runner,
    break_down,
    by_factor,
    compare_matched,
    factor_effects,
    matched_cases,
    one_at_a_time,
)

NAMES = ("light.intensity", "cube.scale", "table.friction")


def test_one_factor_is_drawn_at_a_time_on_the_same_seeds() -> None:
    cases = one_at_a_time(SPACE, NAMES, 8, seed=1)
    assert [set(case.theta.values) for case in cases] == [{name} for name in NAMES for _ in range(8)]
    for name, own in zip(NAMES, np.array_split(np.arange(24), 3), strict=True):
        values = [cases[i].theta.values[name] for i in own]
        assert len(set(values)) == 8
        assert all(SPACE[name].low <= value <= SPACE[name].high for value in values)
    assert [case.seed for case in cases[:8]] == [case.seed for case in cases[8:16]]
    assert len(matched_cases(cases)) == 8
    assert one_at_a_time(SPACE, NAMES[1:], 3, seed=1) == [*cases[8:11], *cases[16:19]]  # whatever else was asked for


def test_values_that_all_cases_have_belong_to_the_unperturbed_world_too() -> None:
    base = Perturbation({"goal.x_m": 0.05})
    cases = one_at_a_time(SPACE, ["goal.y_m"], 30, seed=0, base=base)
    assert all(case.theta.values["goal.x_m"] == 0.05 and SPACE.infeasible(case.theta) is None for case in cases)
    assert {case.theta for case in matched_cases(cases, base)} == {base}
    with pytest.raises(InfeasibleError, match=r"draws of 'goal\.y_m' alone"):
        one_at_a_time(SPACE.narrowed({"goal.y_m": (-0.01, 0.01)}), ["goal.y_m"], 1, seed=0, base=base)


def test_the_planted_factor_is_found_and_the_others_do_nothing() -> None:
    task = PointTask()
    policy = PlantedPolicy(boxes=((("light.intensity", 0.2, 0.6),),), failure=1.0)
    cases = one_at_a_time(SPACE, NAMES, 40, seed=0)
    runner = Runner(task, policy, SerialExecutor())
    outcomes, matched = runner.run(cases), runner.run(matched_cases(cases))
    effects = factor_effects(outcomes, matched)
    assert next(iter(effects)) == "light.intensity"
    worst = effects["light.intensity"]
    dark = sum(case.theta.values.get("light.intensity", 1.0) <= 0.6 for case in cases)
    assert (worst.perturbed, worst.matched) == (Rate(40 - dark, 40), Rate(40, 40))
    assert worst.paired == Paired(0, dark, 40 - dark)
    assert worst.p_holm == holm([e.paired.p for e in effects.values()])[0] < 1e-3
    assert all(effects[name].paired == Paired(0, 0, 40) and effects[name].p_holm == 1 for name in NAMES[1:])
    bins = break_down(outcomes, SPACE, matched=matched).bins["light.intensity"]
    assert [b.success.k == b.success.n for b in bins] == [False] * 3 + [True] * 3
    assert all(b.matched == Rate(b.success.n, b.success.n) for b in bins)


def test_every_case_has_its_unperturbed_one() -> None:
    outcomes = [outcome(False, 1, cube__scale=1.1), outcome(True, 2, cube__scale=0.9)]
    matched = [outcome(True, 2), outcome(True, 1)]
    assert compare_matched(outcomes, matched) == Paired(0, 1, 1)
    with pytest.raises(MismatchError, match="no unperturbed case was run on seed 2"):
        compare_matched(outcomes, matched[1:])


def test_cases_that_vary_more_than_one_factor_are_counted_along_each_of_them() -> None:
    outcomes = [outcome(i > 2, i, cube__scale=0.8 + i / 20, light__intensity=0.5) for i in range(6)]
    parts = break_down(outcomes, SPACE, matched=[outcome(True, i) for i in range(6)], labels=list("aabbbb"))
    assert parts.factors == {}
    assert parts.against == Paired(0, 3, 3)
    assert list(parts.bins) == ["cube.scale"]  # the light is the same everywhere
    assert parts.labels == {"a": Rate(0, 2), "b": Rate(3, 4)}
    assert sum(b.success.n for b in parts.bins["cube.scale"]) == 6
    told = parts.to_json()
    assert told["matched"]["losses"] == 3
    assert told["labels"]["b"]["k"] == 3
    assert by_factor(outcomes, SPACE["light.intensity"])[2].matched is None


def test_a_grid_has_every_feasible_combination_on_the_same_seeds() -> None:
    axes = [Axis.parse("goal.x_m=-0.4:0.4:3", SPACE), Axis.parse("goal.y_m=0,0.3", SPACE)]
    assert axes[0].values == pytest.approx((-0.4, 0.0, 0.4), abs=1e-12)
    grid = Grid.of(SPACE, axes, Perturbation({"cube.scale": 1.1}))
    places = [(round(t.values["goal.x_m"], 9), t.values["goal.y_m"]) for t in grid.cells]
    assert places == [(-0.4, 0), (-0.4, 0.3), (0, 0.3), (0.4, 0), (0.4, 0.3)]
    ((theta, reason),) = grid.infeasible
    assert theta.values["goal.y_m"] == 0
    assert "on the start" in reason
    assert all(theta.values["cube.scale"] == 1.1 for theta in grid.cells)
    cases = grid.cases(2, seed=4)
    assert [case.theta for case in cases] == [theta for theta in grid.cells for _ in range(2)]
    assert {case.seed for case in cases} == {case.seed for case in cases[:2]}
    outcomes = Runner(PointTask(), PlantedPolicy(), SerialExecutor()).run(cases)
    assert break_down(outcomes, SPACE, cells=True).cells == dict.fromkeys(grid.cells, Cell(Rate(2, 2)))
    assert [case.seed for case in matched_cases(cases)] == [case.seed for case in cases[:2]]


def test_every_cell_is_compared_with_the_unperturbed_worlds_of_its_seeds() -> None:
    outcomes = [outcome(light > 0.5, seed, light__intensity=light) for light in (0.3, 0.9) for seed in range(8)]
    parts = break_down(outcomes, SPACE, matched=[outcome(True, seed) for seed in range(8)], cells=True)
    dark, bright = parts.cells.values()
    assert dark == Cell(Rate(0, 8), Paired(0, 8), holm([Paired(0, 8).p, 1.0])[0])
    assert (bright.against, bright.p_holm) == (Paired(0, 0, 8), 1.0)
    assert parts.factors == {}  # two values of a factor share each seed: their pairs are not independent
    assert parts.against == Paired(0, 8, 8)
    assert parts.to_json()["matched"]["p"] is None
    assert parts.to_json()["cells"][0]["losses"] == 8


@pytest.mark.parametrize(
    "text", ["cube.scale", "cube.scale=", "cube.scale=a", "cube.scale=1:2", "cube.scale=0.9:1.1:0", "cube.scale=1,1"]
)
def test_an_axis_of_another_form_is_told_with_an_example(text: str) -> None:
    with pytest.raises(ConfigError, match=r"expected FACTOR=LOW:HIGH:COUNT .* cube\.scale=0\.8:1\.2:5"):
        Axis.parse(text, SPACE)


def test_a_grid_that_cannot_be_is_told() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'cube.scale'"):
        Axis.parse("cube.scal=1", SPACE)
    with pytest.raises(FactorRangeError, match="outside its range"):
        Axis.parse("cube.scale=1,3", SPACE)
    axis = Axis("goal.x_m", (0.0,))
    with pytest.raises(ConfigError, match=r"'goal\.x_m' is set twice"):
        Grid.of(SPACE, [axis, axis])
    with pytest.raises(InfeasibleError, match="all 1 cells of the grid"):
        Grid.of(SPACE, [axis, Axis("goal.y_m", (0.0,))])


def test_an_empty_perturbation_is_its_own_match() -> None:
    cases = [Case(Perturbation(), 3), Case(Perturbation(), 3)]
    assert matched_cases(cases) == cases[:1]
