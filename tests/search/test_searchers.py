"""Every searcher keeps the contract of ask and tell; the cross-entropy search finds what chance does not."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from search.planted import SIX, SPACE, inside, severity
from toys import SPACE as TOY_SPACE

from etude.core import ConfigError, EtudeError, Perturbation, PerturbationSpace, Searcher, ShapeError
from etude.search import CrossEntropyConfig, CrossEntropySearch, RandomSearch

type Make = Callable[[PerturbationSpace, np.random.Generator], Searcher]


def cross_entropy(space: PerturbationSpace, rng: np.random.Generator) -> CrossEntropySearch:
    return CrossEntropyConfig().create(space, rng)


@pytest.fixture(params=[RandomSearch, cross_entropy], ids=["random", "cross-entropy"])
def make(request: pytest.FixtureRequest) -> Make:
    return request.param


def hunt(searcher: Searcher, rollouts: int) -> list[Perturbation]:
    tried: list[Perturbation] = []
    while len(tried) < rollouts:
        thetas = searcher.ask()
        tried += thetas
        searcher.tell([severity(theta, SIX) for theta in thetas])
    return tried


def found(tried: list[Perturbation], times: int = 5) -> int:
    return sum(sum(inside(b, theta) for theta in tried) >= times for b in SIX)


def test_everything_asked_is_feasible(make: Make) -> None:
    searcher = make(TOY_SPACE, np.random.default_rng(0))
    for _ in range(8):
        thetas = searcher.ask()
        for theta in thetas:
            TOY_SPACE.check(theta)
            assert set(theta.values) == set(TOY_SPACE.names)
        # The worst lies on the infeasible middle, where the search is drawn to.
        searcher.tell([1.0 - max(abs(t.values["goal.x_m"]), abs(t.values["goal.y_m"])) for t in thetas])


def test_the_same_seed_asks_the_same(make: Make) -> None:
    first, second = (hunt(make(SPACE, np.random.default_rng(3)), 300) for _ in range(2))
    assert first == second
    assert first != hunt(make(SPACE, np.random.default_rng(4)), 300)


def test_asking_twice_is_an_error(make: Make) -> None:
    searcher = make(SPACE, np.random.default_rng(0))
    searcher.ask()
    with pytest.raises(EtudeError, match="ask.. called twice"):
        searcher.ask()


def test_telling_without_asking_is_an_error(make: Make) -> None:
    searcher = make(SPACE, np.random.default_rng(0))
    with pytest.raises(EtudeError, match="before ask"):
        searcher.tell([])
    count = len(searcher.ask())
    searcher.tell([0.0] * count)
    with pytest.raises(EtudeError, match="before ask"):
        searcher.tell([0.0] * count)


def test_a_tell_must_answer_its_ask(make: Make) -> None:
    searcher = make(SPACE, np.random.default_rng(0))
    count = len(searcher.ask())
    with pytest.raises(ShapeError, match="severities"):
        searcher.tell([0.0] * (count - 1))
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(ShapeError, match="0, 1"):
            searcher.tell([wrong] * count)
    searcher.tell([0.5] * count)


def test_nothing_but_successes_is_survived() -> None:
    searcher = cross_entropy(SPACE, np.random.default_rng(0))
    for _ in range(12):
        searcher.tell([0.0] * len(searcher.ask()))
    assert searcher.known == ()


def test_the_gaussian_moves_towards_severity() -> None:
    searcher = CrossEntropyConfig(uniform_fraction=0.0, batches_per_start=5).create(SPACE, np.random.default_rng(0))
    target = np.full(10, 0.7)
    distances: list[float] = []
    for _ in range(5):
        points = np.array([SPACE.to_unit(theta) for theta in searcher.ask()])
        gaps = np.linalg.norm(points - target, axis=1)
        distances.append(float(gaps.mean()))
        searcher.tell((1 - gaps / 4).clip(0, 1).tolist())
    assert all(later < earlier for earlier, later in pairwise(distances))


def test_restarts_keep_away_from_known_boxes() -> None:
    searcher = CrossEntropySearch(SPACE, CrossEntropyConfig(), np.random.default_rng(0))
    hunt(searcher, 800)
    assert searcher.starts == 6
    first = searcher.known[0]
    fresh = CrossEntropySearch(SPACE, CrossEntropyConfig(), np.random.default_rng(1), known=[first])
    assert fresh.known == (first,)
    share = np.mean([first.contains(theta, SPACE) for theta in hunt(fresh, 1000)[200:]])
    assert share < 0.02


@pytest.mark.slow
def test_with_restarts_most_planted_pockets_are_found_and_chance_finds_hardly_any() -> None:
    """0.3 % of the volume in six pockets, 4,000 rollouts, four seeds."""
    plain = CrossEntropyConfig(batches_per_start=10**6)
    counts = {
        name: [found(hunt(make(SPACE, np.random.default_rng(seed)), 4000)) for seed in range(4)]
        for name, make in {
            "restarts": cross_entropy,
            "plain": lambda space, rng: plain.create(space, rng),
            "random": RandomSearch,
        }.items()
    }
    assert np.mean(counts["restarts"]) >= 5
    assert np.mean(counts["plain"]) <= 3
    assert np.mean(counts["random"]) <= 1.2


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"batch": 1}, {"std_floor": 0.0}, {"uniform_fraction": 1.0}, {"elite_fraction": 1.5}):
        with pytest.raises(ConfigError):
            CrossEntropyConfig(**wrong)  # type: ignore[arg-type]
