import math

import numpy as np
import pytest
from toys import SPACE

from etude.cli.drawing import draw_cases, make_draw, parse_theta
from etude.core import ConfigError, FactorRangeError, InfeasibleError, Perturbation, UnknownNameError

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


@pytest.mark.parametrize("setting", ["light.intensity", "light.intensity=", "light.intensity=dark", "=", ""])
def test_a_setting_must_be_factor_equals_number(setting: str):
    with pytest.raises(ConfigError, match="factor=number"):
        parse_theta([setting])


def test_a_factor_is_set_once():
    with pytest.raises(ConfigError, match="twice"):
        parse_theta(["a=1", "a=2"])


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
