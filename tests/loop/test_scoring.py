"""What is told of scores: what chance alone reaches, and p(fail | θ) by a search."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from loop import fake_folders as fake
from loop.fake_run import POCKETS, SPACE, inside

from etude.core import Case, ConfigError, MismatchError, Perturbation
from etude.core.files import write_json
from etude.loop.exercise import searched_chances
from etude.loop.scoring import chance_correlation, rank_correlation


def test_the_largest_of_many_correlations_by_chance_is_exceeded_in_1_of_20_datasets() -> None:
    rng = np.random.default_rng(0)
    beyond: list[bool] = []
    for _ in range(60):
        values, columns = rng.random(12), list(rng.random((20, 12)))
        largest = max(abs(rank_correlation(values, column)) for column in columns)
        beyond.append(largest > chance_correlation(values, columns, rng))
    assert 0 <= sum(beyond) <= 8


def test_more_factors_reach_more_by_chance_and_copies_of_one_do_not() -> None:
    rng = np.random.default_rng(0)
    values, columns = rng.random(20), list(rng.random((30, 20)))
    one, many = (chance_correlation(values, some, np.random.default_rng(1)) for some in (columns[:1], columns))
    assert 0.4 < one < many < 1
    assert chance_correlation(values, columns[:1] * 9, np.random.default_rng(1)) == pytest.approx(one)
    assert chance_correlation(values, [], rng) == chance_correlation(np.ones(20), columns, rng) == 0


def dataset(thetas: list[Perturbation | None], space_hash: str = SPACE.hash) -> Any:
    """What is asked of a dataset."""
    episodes = [SimpleNamespace(case=Case(theta, 0) if theta else None) for theta in thetas]
    return SimpleNamespace(
        root="data", task=fake.TASK, total_episodes=len(thetas), episodes=episodes, space_hash=space_hash
    )


def test_a_search_says_how_often_the_policy_fails_at_an_episode(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    search = fake.search(tmp_path / "search", rng)
    write_json(search / "search.json", {"failures": {"k": 2, "n": 10}})
    there = inside(POCKETS[0], rng)
    outside = next(t for t in (SPACE.sample(rng) for _ in range(999)) if not any(p.contains(t, SPACE) for p in POCKETS))
    found = searched_chances(search, dataset([there, outside]), SPACE)
    assert found == [max(p.inside.value for p in POCKETS if p.contains(there, SPACE)), POCKETS[0].outside.value]
    none = fake.search(tmp_path / "none", rng, pockets=())
    write_json(none / "search.json", {"failures": {"k": 2, "n": 10}})
    assert searched_chances(none, dataset([there, outside]), SPACE) == [0.2, 0.2]


def test_what_a_search_cannot_say_is_told(tmp_path: Path) -> None:
    search = fake.search(tmp_path / "search", np.random.default_rng(0))
    with pytest.raises(ConfigError, match=r"has no search.json: give a folder of `etude search`, or a table"):
        searched_chances(search, dataset([]), SPACE)
    write_json(search / "search.json", {"failures": {"k": 2, "n": 10}})
    with pytest.raises(ConfigError, match="does not know the θ of its episodes"):
        searched_chances(search, dataset([None]), SPACE)
    with pytest.raises(MismatchError, match=r"was recorded in fake-stack.* \(space other\)"):
        searched_chances(search, dataset([Perturbation()], "other"), SPACE)
