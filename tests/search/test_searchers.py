"""Every searcher keeps the contract of ask and tell; what each does of its own is tested below."""

import sys
from itertools import product

import numpy as np
import pytest
from search.planted import SPACE, box
from toys import SPACE as TOY_SPACE

from etude.core import (
    Case,
    ConfigError,
    EtudeError,
    Factor,
    InfeasibleError,
    MissingDependencyError,
    Perturbation,
    PerturbationSpace,
    Searcher,
    ShapeError,
    UnknownNameError,
    stream,
)
from etude.search import (
    SEARCHERS,
    Archive,
    ArchiveRow,
    CrossEntropyConfig,
    CrossEntropySearch,
    Hunt,
    PlantedTruth,
    RandomSearch,
    make_searcher,
    search_failures,
)
from etude.search.cma import CmaConfig
from etude.search.grid import GridConfig
from etude.search.quality_diversity import QualityDiversityConfig
from etude.search.sobol import SobolSearch

POCKET = box((2, 0.4, 0.6), (5, 0.7, 0.9))
TRUTH = PlantedTruth(space=SPACE, pockets=(POCKET,))


@pytest.fixture(params=SEARCHERS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


def make(name: str, space: PerturbationSpace = SPACE, seed: int = 0, budget: int = 240) -> Searcher:
    return make_searcher(name, Hunt(space=space, rng=np.random.default_rng(seed), budget=budget, known=Archive(space)))


def told(thetas: list[Perturbation]) -> list[float]:
    """Failures in one pocket, near misses around it."""
    outcomes = TRUTH.policy([Case(theta, 1) for theta in thetas])
    return [ArchiveRow(case=o.case, severity=1 - o.progress, success=o.success).told for o in outcomes]


def hunt(searcher: Searcher, rollouts: int) -> list[Perturbation]:
    tried: list[Perturbation] = []
    while len(tried) < rollouts:
        thetas = list(searcher.ask())
        tried += thetas
        searcher.tell(told(thetas))
    return tried


def test_everything_asked_is_feasible_and_complete(name: str) -> None:
    searcher = make(name, TOY_SPACE)
    for _ in range(8):
        thetas = searcher.ask()
        assert thetas
        for theta in thetas:
            TOY_SPACE.check(theta)
            assert set(theta.values) == set(TOY_SPACE.names)
        # The worst lies on the infeasible middle, where the search is drawn to.
        searcher.tell([1.0 - max(abs(t.values["goal.x_m"]), abs(t.values["goal.y_m"])) for t in thetas])


def test_the_same_seed_asks_the_same_and_another_does_not(name: str) -> None:
    first = hunt(make(name, seed=3), 240)
    np.random.seed(7)  # noqa: NPY002  nobody's global state matters
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    assert first == hunt(make(name, seed=3), 240)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert first != hunt(make(name, seed=4), 240)


def test_asking_twice_is_an_error(name: str) -> None:
    searcher = make(name)
    searcher.ask()
    with pytest.raises(EtudeError, match="ask.. called twice"):
        searcher.ask()


def test_telling_without_asking_is_an_error(name: str) -> None:
    searcher = make(name)
    with pytest.raises(EtudeError, match="before ask"):
        searcher.tell([])
    count = len(searcher.ask())
    searcher.tell([0.0] * count)
    with pytest.raises(EtudeError, match="before ask"):
        searcher.tell([0.0] * count)


def test_a_tell_must_answer_its_ask(name: str) -> None:
    searcher = make(name)
    count = len(searcher.ask())
    with pytest.raises(ShapeError, match="severities"):
        searcher.tell([0.0] * (count - 1))
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(ShapeError, match="0, 1"):
            searcher.tell([wrong] * count)
    searcher.tell([0.5] * count)


@pytest.mark.parametrize("severity", [0.0, 1.0])
def test_nothing_but_successes_or_failures_is_survived(name: str, severity: float) -> None:
    searcher = make(name)
    for _ in range(12):
        searcher.tell([severity] * len(searcher.ask()))


@pytest.mark.parametrize("budget", [8, 33, 100])
def test_any_budget_is_spent_exactly(name: str, budget: int) -> None:
    archive = Archive(SPACE)
    searcher = make(name, budget=budget)
    rows = search_failures(searcher, archive, TRUTH.policy, budget=budget, seed=0, name=name)
    assert rows == list(archive.rows)
    assert len(rows) == budget


def test_one_factor_is_enough(name: str) -> None:
    line = PerturbationSpace("line", (Factor(name="a", unit="1", low=0.0, high=2.0, nominal=1.0, kind="physics"),))
    searcher = make(name, line)
    for _ in range(4):
        searcher.tell([0.1] * len(searcher.ask()))


@pytest.mark.parametrize("clever", ["cross-entropy", "cma", "quality-diversity"])
def test_whoever_learns_finds_more_failures_than_chance(clever: str) -> None:
    small = PlantedTruth(space=SPACE, pockets=(box((2, 0.45, 0.55), (5, 0.7, 0.8)),))

    def found(name: str) -> int:
        rows = search_failures(make(name), Archive(SPACE), small.policy, budget=1000, seed=0, name=name)
        return sum(not row.success for row in rows)

    assert found(clever) >= 1.5 * found("random")


def test_unknown_names_are_told_the_valid_ones() -> None:
    with pytest.raises(UnknownNameError, match="unknown searcher 'cross-entrpy'. Did you mean 'cross-entropy'"):
        make("cross-entrpy")


@pytest.mark.parametrize(("config", "package"), [(CmaConfig, "cma"), (QualityDiversityConfig, "ribs.archives")])
def test_a_missing_extra_is_named(config: type[CmaConfig], package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'etude\[search\]'"):
        config().create(SPACE, np.random.default_rng(0))


def test_settings_that_cannot_work_are_refused() -> None:
    cases = [
        (CrossEntropyConfig, {"batch": 1}),
        (CrossEntropyConfig, {"std_floor": 0.0}),
        (CrossEntropyConfig, {"uniform_fraction": 1.0}),
        (CrossEntropyConfig, {"elite_fraction": 1.5}),
        (CrossEntropyConfig, {"widening": 0.5}),
        (CmaConfig, {"batch": 3}),
        (CmaConfig, {"start_std": 0.0}),
        (GridConfig, {"points": 0}),
        (GridConfig, {"points": 7, "factors": ("a", "b", "c")}),
        (QualityDiversityConfig, {"factors": ("a",)}),
        (QualityDiversityConfig, {"batch": 8}),
    ]
    for config, wrong in cases:
        with pytest.raises(ConfigError):
            config(**wrong)


# Cross-entropy


def known(points: list[list[float]], severities: list[float]) -> Archive:
    rows = [
        ArchiveRow(case=Case(SPACE.from_unit(np.array(u)), i), severity=s, success=s == 0.0)
        for i, (u, s) in enumerate(zip(points, severities, strict=True))
    ]
    return Archive(SPACE, rows)


def unit(thetas: list[Perturbation]) -> np.ndarray:
    return np.array([SPACE.to_unit(theta) for theta in thetas])


def test_the_gaussian_moves_towards_severity() -> None:
    searcher = CrossEntropyConfig(uniform_fraction=0.0, scouting=20).create(SPACE, np.random.default_rng(0))
    target, distances = np.full(10, 0.7), []
    for _ in range(13):
        gaps = np.linalg.norm(unit(list(searcher.ask())) - target, axis=1)
        distances.append(float(gaps.mean()))
        searcher.tell((0.5 - gaps / 8).clip(0, 1).tolist())
    assert distances[12] < distances[6] < distances[0] - 0.2


def test_it_begins_at_the_worst_that_others_found() -> None:
    points = np.random.default_rng(0).random((200, 10)).tolist()
    severities = [0.0] * 200
    severities[17] = 0.9
    config = CrossEntropyConfig(uniform_fraction=0.0)
    searcher = config.create(SPACE, np.random.default_rng(0), known(points, severities))
    assert np.abs(unit(list(searcher.ask())) - points[17]).mean() < config.start_std


def test_a_pocket_found_is_marked_in_its_own_factors_and_left_alone() -> None:
    searcher = CrossEntropySearch(SPACE, CrossEntropyConfig(), np.random.default_rng(0), Archive(SPACE))
    while not searcher.marks:
        hunt(searcher, 20)
    first = searcher.marks[0]
    assert set(first.factors.tolist()) == {2, 5}
    assert (first.low >= [0.4, 0.7]).all()
    assert (first.high <= [0.6, 0.9]).all()
    points = unit(hunt(searcher, 400))
    assert (first.distance(points) == 0).mean() < 0.15  # a start that stays would have half of its samples in there


def test_near_misses_without_a_failure_are_left_in_the_end() -> None:
    decoy = PlantedTruth(space=SPACE, pockets=(), decoys=(POCKET,), elsewhere=0.0)
    config = CrossEntropyConfig()
    searcher = config.create(SPACE, np.random.default_rng(0))
    for _ in range((config.scouting + 2 * config.patience) // config.batch + 1):
        thetas = searcher.ask()
        outcomes = decoy.policy([Case(theta, i) for i, theta in enumerate(thetas)])
        searcher.tell([(1 - outcome.progress) / 2 for outcome in outcomes])
    top = SPACE.to_unit(thetas[-1])[None]
    assert len(searcher.marks) == 2
    assert all(mark.distance(top)[0] > 0 for mark in searcher.marks)


@pytest.mark.slow
def test_with_restarts_most_planted_pockets_are_found_and_chance_finds_fewer() -> None:
    """0.3 % of the volume in six pockets, 4,000 rollouts, three instances."""

    def found(name: str, seed: int) -> int:
        truth = PlantedTruth.draw(0.003, stream(seed, "instance"))
        space, archive = truth.space, Archive(truth.space)
        searcher = make_searcher(name, Hunt(space=space, rng=stream(seed), budget=4000, known=Archive(space)))
        rows = search_failures(searcher, archive, truth.policy, budget=4000, seed=seed, name=name)
        hits = truth.holders([row.case for row in rows if not row.success])
        return int((hits.sum(axis=0) >= 3).sum())

    counts = {name: [found(name, seed) for seed in range(3)] for name in ("cross-entropy", "random")}
    assert np.mean(counts["cross-entropy"]) >= 4
    assert np.mean(counts["random"]) <= 3


# Sobol and grid


def test_sobol_points_fill_the_space_more_evenly_than_chance() -> None:
    def emptiest(searcher: Searcher) -> int:
        points = unit([theta for _ in range(8) for theta in _ask(searcher)])[:, :2]
        return int(np.histogram2d(*points.T, bins=8, range=[(0, 1)] * 2)[0].min())

    rng = np.random.default_rng
    assert emptiest(SobolSearch(SPACE, rng(0), batch=32)) > emptiest(RandomSearch(SPACE, rng(0), batch=32))


def _ask(searcher: Searcher) -> list[Perturbation]:
    thetas = list(searcher.ask())
    searcher.tell([0.0] * len(thetas))
    return thetas


def test_a_grid_has_every_combination_of_its_factors_and_every_stratum_of_the_others() -> None:
    searcher = GridConfig(points=30, factors=(SPACE.names[1], SPACE.names[4]), batch=25).create(
        SPACE, np.random.default_rng(0)
    )
    points = unit(_ask(searcher))
    levels = [0.1, 0.3, 0.5, 0.7, 0.9]
    assert sorted(map(tuple, points[:, [1, 4]].round(6).tolist())) == sorted(product(levels, levels))
    for other in (0, 9):
        assert np.allclose(np.sort(points[:, other]), (np.arange(25) + 0.5) / 25)


def test_a_grid_spans_as_many_factors_as_its_budget_allows() -> None:
    points = unit(_ask(GridConfig(points=400, batch=243).create(SPACE, np.random.default_rng(0))))
    assert sum(len(np.unique(column.round(6))) == 3 for column in points.T) == 5  # 3^5 = 243


def test_where_nothing_is_feasible_sobol_and_grid_say_so() -> None:
    nowhere = PerturbationSpace("nowhere", SPACE.factors, lambda _theta: "nothing is")
    for searcher in (SobolSearch(nowhere, np.random.default_rng(0)), GridConfig(points=9).create(nowhere, stream(0))):
        with pytest.raises(InfeasibleError, match="no feasible point"):
            searcher.ask()
