"""Spaces: what lies in them, what does not, and how θ becomes a vector and back."""

import json
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toys import SPACE

from etude.core import (
    ConfigError,
    Factor,
    FactorRangeError,
    InfeasibleError,
    Perturbation,
    PerturbationSpace,
    ShapeError,
    UnknownNameError,
)

units = st.lists(st.floats(0, 1), min_size=6, max_size=6).map(np.array)
partial = st.dictionaries(st.sampled_from(SPACE.names), st.floats(0, 1)).map(
    lambda chosen: Perturbation({n: SPACE[n].low + u * (SPACE[n].high - SPACE[n].low) for n, u in chosen.items()})
)


@given(units)
def test_the_unit_cube_and_the_space_are_one(u: np.ndarray) -> None:
    theta = SPACE.from_unit(u)
    np.testing.assert_allclose(SPACE.to_unit(theta), u, atol=1e-12)
    assert SPACE.perturbation(SPACE.vector(theta)) == theta
    assert all(f.low <= theta.values[f.name] <= f.high for f in SPACE.factors)


@given(partial)
def test_unset_factors_stand_at_their_nominal_value(theta: Perturbation) -> None:
    vector = SPACE.vector(theta)
    assert vector.tolist() == [theta.get(f.name, f.nominal) for f in SPACE.factors]


@given(partial)
def test_perturbations_are_values(theta: Perturbation) -> None:
    again = Perturbation(dict(reversed(theta.values.items())))
    assert again == theta
    assert hash(again) == hash(theta)
    assert pickle.loads(pickle.dumps(theta)) == theta
    assert Perturbation(json.loads(json.dumps(dict(theta.values)))) == theta
    assert set(theta.without("goal.x_m").values) == set(theta.values) - {"goal.x_m"}
    with pytest.raises(TypeError):
        theta.values["goal.x_m"] = 0.0  # type: ignore[index]


def test_samples_are_feasible_and_reach_everywhere() -> None:
    rng = np.random.default_rng(0)
    points: list[np.ndarray] = []
    for _ in range(400):
        theta = SPACE.sample(rng)
        SPACE.check(theta)
        points.append(SPACE.to_unit(theta))
    assert np.min(points, axis=0).max() < 0.05
    assert np.max(points, axis=0).min() > 0.95


def test_rejected_draws_are_counted() -> None:
    """4 % of the toy's space is infeasible: its goals within 0.1 m of the start."""
    rng = np.random.default_rng(0)
    rejected = sum(SPACE.sample_counted(rng)[1] for _ in range(2000))
    assert rejected / (2000 + rejected) == pytest.approx(0.04, abs=0.015)


def test_a_space_without_a_feasible_point_says_so() -> None:
    impossible = PerturbationSpace("impossible", SPACE.factors, lambda _: "never")
    with pytest.raises(InfeasibleError, match="impossible"):
        impossible.sample_counted(np.random.default_rng(0), max_tries=10)


def test_what_is_wrong_with_a_perturbation_is_said() -> None:
    with pytest.raises(UnknownNameError, match=r"'light.intensty'.*'light.intensity'"):
        SPACE.check(Perturbation({"light.intensty": 0.5}))
    with pytest.raises(FactorRangeError, match=r"'light.intensity' = 2 is outside its range \[0.2, 1\]"):
        SPACE.check(Perturbation({"light.intensity": 2.0}))
    with pytest.raises(FactorRangeError, match="nan"):
        SPACE.check(Perturbation({"light.intensity": float("nan")}))
    with pytest.raises(InfeasibleError, match="goal lies on the start"):
        SPACE.check(Perturbation({"goal.x_m": 0.0, "goal.y_m": 0.05}))
    with pytest.raises(ShapeError, match=r"\(6,\).*\(5,\)"):
        SPACE.perturbation(np.zeros(5))


def test_bounds_are_read_only() -> None:
    with pytest.raises(ValueError, match="read-only"):
        SPACE.low[0] = 9.0


def test_the_hash_follows_every_factor() -> None:
    same = PerturbationSpace(SPACE.name, SPACE.factors)
    assert same.hash == SPACE.hash
    assert SPACE.narrowed({"light.intensity": (0.3, 1.0)}, name=SPACE.name).hash != SPACE.hash
    assert PerturbationSpace("other", SPACE.factors).hash != SPACE.hash


def test_a_narrowed_space_keeps_names_rules_and_order() -> None:
    narrow = SPACE.narrowed({"light.intensity": (0.3, 0.5)})
    assert narrow.names == SPACE.names
    assert (narrow["light.intensity"].high, narrow["light.intensity"].nominal) == (0.5, 0.5)
    assert narrow.infeasible is SPACE.infeasible
    assert narrow.name == "toy-point-narrow"
    with pytest.raises(FactorRangeError):
        SPACE.narrowed({"light.intensity": (0.0, 0.5)})


@pytest.mark.parametrize(("low", "high", "nominal"), [(1.0, 1.0, 1.0), (2.0, 1.0, 1.5), (0.0, 1.0, 1.5)])
def test_impossible_factors_are_refused(low: float, high: float, nominal: float) -> None:
    with pytest.raises(ConfigError, match="low < high"):
        Factor(name="a", unit="m", low=low, high=high, nominal=nominal, kind="layout")
