"""Distributions find what was planted, never give up the rest, and choose sources as the formula says."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from etude.acquisition.distributions import (
    DistributionSettings,
    MutationDistributions,
)
from etude.acquisition.shares import effective_sample_size, relative_scores
from etude.core import ConfigError, EtudeError, MismatchError, stream

FACTORS = ("a", "b", "c", "d")
START = MutationDistributions.start(FACTORS, (3, 7, 9))


def with_strength(*strength: float, **settings: float) -> MutationDistributions:
    return replace(START, strength=np.array(strength), settings=DistributionSettings(**settings))


@pytest.mark.parametrize(
    ("strength", "settings", "expected"),
    [
        ((1.0, 1.0, 2.0), {"sharpness": 1.0, "exploration": 0.0}, (0.25, 0.25, 0.5)),
        ((1.0, 1.0, 2.0), {"sharpness": 2.0, "exploration": 0.0}, (1 / 6, 1 / 6, 4 / 6)),
        ((1.0, 1.0, 2.0), {"sharpness": 1.0, "exploration": 0.3}, (0.275, 0.275, 0.45)),  # 0.7 / 4 + 0.1, 0.7 / 2 + 0.1
        ((0.0, 0.0, 5.0), {"sharpness": 1.0, "exploration": 0.3}, (0.1, 0.1, 0.8)),
        ((1.0, 9.0, 2.0), {"sharpness": 0.0, "exploration": 0.0}, (1 / 3, 1 / 3, 1 / 3)),
        ((0.0, 0.0, 0.0), {"sharpness": 1.0, "exploration": 0.2}, (1 / 3, 1 / 3, 1 / 3)),
    ],
)
def test_a_source_is_chosen_as_computed_by_hand(
    strength: tuple[float, ...], settings: dict[str, float], expected: tuple[float, ...]
):
    distributions = with_strength(*strength, **settings)
    assert distributions.probabilities == pytest.approx(np.array(expected))
    drawn = [distributions.sample(stream(0, i))[0] for i in range(4000)]
    assert [drawn.count(source) / 4000 for source in (3, 7, 9)] == pytest.approx(np.array(expected), abs=0.03)


def test_the_effective_sample_size_lies_between_one_and_all():
    assert effective_sample_size(np.array([0.25, 0.25, 0.5])) == pytest.approx(1 / 0.375)
    assert effective_sample_size(np.full(8, 1 / 8)) == pytest.approx(8)
    assert effective_sample_size(np.array([0.0, 1.0, 0.0])) == 1


@pytest.mark.parametrize("mean", [0.0, 0.2, 0.5, 1.0])
@pytest.mark.parametrize("deviation", [0.02, 0.3, 1.0])
def test_draws_lie_in_the_cube_and_have_the_density_of_the_truncated_gaussian(mean: float, deviation: float):
    shape = START.mean.shape
    distributions = replace(START, mean=np.full(shape, mean), variance=np.full(shape, deviation**2))
    points = np.array([distributions.mutate(3, stream(1, i)) for i in range(1500)])
    assert points.min() >= 0
    assert points.max() <= 1
    edges = np.linspace(0, 1, 11)
    grid = (np.arange(2000) + 0.5) / 2000
    density = distributions.density("b", grid)
    assert density.mean() == pytest.approx(1, abs=0.01)
    expected = density.reshape(10, -1).mean(axis=1) / 10
    found = np.histogram(points, edges)[0] / points.size
    assert found == pytest.approx(expected, abs=0.02)


def test_an_update_is_as_computed_by_hand():
    settings = DistributionSettings(
        elite_share=0.5, smoothing=0.5, start_deviation=0.4, widening=0.01, least_deviation=0.05, memory=0.75
    )
    before = MutationDistributions.start(("a",), (0, 1, 2), settings)
    points = np.array([[0.1], [0.3], [0.8], [0.9], [0.5]])
    scores = np.array([8.0, 4.0, 2.0, 0.0, 4.0])  # their median is 4
    after = before.updated([0, 0, 0, 0, 1], points, scores)
    assert after.mean[:, 0] == pytest.approx([0.5 * 0.5 + 0.5 * 0.2, 0.5, 0.5])
    # The elites 0.1 and 0.3 have variance 0.01; one elite has none to tell of; nobody made a third one.
    assert after.variance[:, 0] == pytest.approx([0.08 + 0.005 + 0.01, 0.16 + 0.01, 0.16])
    assert after.strength == pytest.approx([1.5, 1.0, 1.0])
    again = after.updated([0, 0, 0], np.full((3, 1), 0.2), np.array([3.0, 6.0, 1.0]))
    assert again.strength == pytest.approx([0.75 * 1.5 + 0.25 * 1.5, 1.0, 1.0])
    assert before.mean[0, 0] == 0.5


def scored(points: Any, optimum: Any) -> Any:
    return np.exp(-np.square(points - optimum).sum(axis=1) / 0.1)


def test_a_planted_optimum_is_found_and_exploration_stays():
    optimum, good = np.array([0.15, 0.8, 0.5, 0.95]), 7
    distributions, rng = START, stream(0, "planted")
    for _ in range(12):
        drawn = [distributions.sample(rng) for _ in range(90)]
        sources, points = [source for source, _ in drawn], np.array([point for _, point in drawn])
        worth = np.where(np.array(sources) == good, 1.0, 0.05)
        distributions = distributions.updated(sources, points, worth * scored(points, optimum))
    row = distributions.sources.index(good)
    drawn = np.array([distributions.mutate(good, rng) for _ in range(500)])
    assert drawn.mean(axis=0) == pytest.approx(optimum, abs=0.08)
    assert distributions.probabilities[row] == distributions.probabilities.max() > 0.5
    least = distributions.settings
    assert distributions.probabilities.min() >= least.exploration / 3
    assert distributions.deviation.min() >= least.least_deviation
    assert drawn.std(axis=0).min() > 0.5 * least.least_deviation


def test_scores_that_all_shrink_alike_change_nothing():
    rng = stream(2)
    points, scores = rng.random((30, 4)), rng.random(30)
    sources = rng.choice([3, 7, 9], 30)
    one, other = (START.updated(sources, points, scale * scores) for scale in (1.0, 1e-6))
    assert one.strength == pytest.approx(other.strength)
    assert np.array_equal(one.mean, other.mean)


def test_scores_are_put_in_units_of_their_median():
    assert relative_scores(np.array([1.0, 2.0, 6.0])) == pytest.approx([0.5, 1, 3])
    assert relative_scores(np.array([-3.0, 0.0, 0.0, 4.0])) == pytest.approx([0, 0, 0, 4])  # median 0, mean 1
    assert relative_scores(np.zeros(3)) == pytest.approx([1, 1, 1])
    with pytest.raises(ConfigError, match="1 of 2 scores are not finite"):
        relative_scores(np.array([1.0, np.nan]))


def test_distributions_survive_json(tmp_path: Path):
    changed = START.updated([3, 9], np.array([[0.1] * 4, [0.2] * 4]), np.array([1.0, 3.0]))
    changed.save(tmp_path / "distributions.json")
    again = MutationDistributions.load(tmp_path / "distributions.json", FACTORS)
    assert again.to_json() == changed.to_json() == json.loads((tmp_path / "distributions.json").read_text())
    with pytest.raises(MismatchError, match="mutates c, d, which this world has not: use it"):
        MutationDistributions.load(tmp_path / "distributions.json", ("a", "b"))
    with pytest.raises(MismatchError, match=r"does not mutate e, which this world varies: use it"):
        MutationDistributions.load(tmp_path / "distributions.json", (*FACTORS, "e"))
    with pytest.raises(MismatchError, match="has its factors in another order: use it"):
        MutationDistributions.load(tmp_path / "distributions.json", FACTORS[::-1])
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(EtudeError, match="holds no mutation distributions"):
        MutationDistributions.load(tmp_path / "other.json")


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"elite_share": 0.0}, "elite_share must lie in"),
        ({"smoothing": 1.5}, "smoothing must lie in"),
        ({"exploration": -0.1}, "exploration must lie in"),
        ({"sharpness": float("inf")}, "sharpness must be at least 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(changed: dict[str, float], told: str):
    with pytest.raises(ConfigError, match=told):
        DistributionSettings(**changed)


def test_sources_must_differ():
    with pytest.raises(ConfigError, match="different source demonstrations"):
        MutationDistributions.start(("a",), (1, 1))


def test_the_source_of_a_point_can_be_drawn_after_it():
    mean = np.array([[0.2] * 4, [0.7] * 4, [0.75] * 4])
    distributions = replace(START, mean=mean, variance=np.full((3, 4), 0.04), strength=np.array([1.0, 2.0, 3.0]))
    drawn = [distributions.sample(stream(4, i)) for i in range(3000)]
    again = [distributions.source_of(point, stream(5, i)) for i, (_, point) in enumerate(drawn)]
    assert [again.count(s) / 3000 for s in (3, 7, 9)] == pytest.approx(distributions.probabilities, abs=0.03)
    first = [point for source, point in drawn if source == 3]
    assert np.mean([distributions.source_of(point, stream(6, i)) == 3 for i, point in enumerate(first)]) > 0.95
