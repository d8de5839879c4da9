import math
from pathlib import Path

import numpy as np
import pytest
from toys import SPACE

from etude.cli.drawing import draw_cases, make_draw, parse_theta, told_theta
from etude.core import Case, ConfigError, EtudeError, FactorRangeError, InfeasibleError, Perturbation, UnknownNameError
from etude.core.files import write_json

RNG = np.random.default_rng(0)


def test_nominal_draws_are_the_fixed_values_alone():
    assert make_draw(SPACE, "nominal", ())(RNG) == Perturbation()
    assert make_draw(SPACE, "nominal", ["light.intensity=0.5"])(RNG) == Perturbation({"light.intensity": 0.5})


def test_uniform_draws_are_feasible_and_keep_the_fixed_values():
    draw = make_draw(SPACE, "uniform", ["goal.x_m=0.05", "light.intensity=0.5"])
    for _ in range(100):
        theta = draw(RNG)
        SPACE.check(theta)
        assert theta.values["goal.x_m"] == 0.05
        assert theta.values["light.intensity"] == 0.5
        assert set(theta.values) == set(SPACE.names)


@pytest.mark.parametrize(
    "setting", ["theta.json", "light.intensity", "light.intensity=", "light.intensity=dark", "=", ""]
)
def test_a_setting_must_be_factor_equals_number_or_a_file_that_is_there(setting: str):
    with pytest.raises(ConfigError, match=r"factor=number.*or a file.*there is no such file"):
        parse_theta([setting])


def test_a_file_holds_a_perturbation_as_it_is_written_everywhere(tmp_path: Path):
    theta = Perturbation({"light.intensity": 0.5, "goal.x_m": 0.05})
    write_json(tmp_path / "theta.json", dict(theta.values))
    write_json(tmp_path / "case.json", Case(theta, 7).to_json())
    for name in ("theta.json", "case.json"):
        assert parse_theta([str(tmp_path / name)]) == theta
        assert parse_theta(told_theta([str(tmp_path / name)])) == theta
    both = [str(tmp_path / "theta.json"), "cube.scale=1.1"]
    assert make_draw(SPACE, "nominal", both)(RNG) == Perturbation({**theta.values, "cube.scale": 1.1})
    assert told_theta(both) == ["goal.x_m=0.05", "light.intensity=0.5", "cube.scale=1.1"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not valid JSON"),
        ("[0.5]", "expected one perturbation as JSON"),
        ('{"cases": [{"theta": {}, "seed": 0}]}', "expected one perturbation as JSON"),
        ('{"light.intensity": "dark"}', "expected one perturbation as JSON"),
        ('{"theta": {"light.intensity": true}, "seed": 0}', "expected one perturbation as JSON"),
        ('{"light.intensty": 0.5}', r"Did you mean 'light\.intensity'"),
        ('{"light.intensity": 5}', r"light\.intensity.*\[0\.2, 1\]"),
        ('{"light.intensity": NaN}', r"light\.intensity.*\[0\.2, 1\]"),
    ],
)
def test_a_file_that_holds_something_else_is_told_in_a_line(tmp_path: Path, content: str, message: str):
    (tmp_path / "theta.json").write_text(content)
    with pytest.raises(EtudeError, match=message) as told:
        make_draw(SPACE, "nominal", [str(tmp_path / "theta.json")])
    assert "\n" not in str(told.value)


def test_a_factor_is_set_once(tmp_path: Path):
    with pytest.raises(ConfigError, match="twice"):
        parse_theta(["a=1", "a=2"])
    write_json(tmp_path / "theta.json", {"a": 1})
    with pytest.raises(ConfigError, match="twice"):
        parse_theta([str(tmp_path / "theta.json"), "a=2"])


@pytest.mark.parametrize("spread", ["nominal", "uniform"])
def test_unknown_factors_and_values_out_of_range_are_named(spread: str):
    with pytest.raises(UnknownNameError, match=r"Did you mean 'light\.intensity'"):
        make_draw(SPACE, spread, ["light.intensty=0.5"])  # pyright: ignore[reportArgumentType]
    for value in (5.0, math.nan, math.inf):
        with pytest.raises(FactorRangeError, match=r"light\.intensity.*\[0\.2, 1\]"):
            make_draw(SPACE, spread, [f"light.intensity={value}"])  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("spread", ["nominal", "uniform"])
def test_an_infeasible_combination_is_refused_with_its_reason(spread: str):
    with pytest.raises(InfeasibleError, match="goal lies on the start"):
        make_draw(SPACE, spread, ["goal.x_m=0.01", "goal.y_m=0.01"])  # pyright: ignore[reportArgumentType]


def test_more_cases_begin_with_the_same_cases():
    draw = make_draw(SPACE, "uniform", ())
    assert draw_cases(draw, 7, seed=3)[:4] == draw_cases(draw, 4, seed=3)
    assert draw_cases(draw, 4, seed=4) != draw_cases(draw, 4, seed=3)
