"""Suites hold what they promise: repeated failures, fresh seeds, witnesses, and nothing in common."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from search.planted import SPACE, Bounds, PlantedWorld, box, inside
from toys import POCKET

from etude.core import ConfigError, InfeasibleError, Pocket, Rate, StageFailedError, Suite
from etude.search import Exclusion, KeepsAway, SuiteConfig, SuiteSet, TargetedSampler, build_suites

FIRST = box((2, 0.1, 0.4), (7, 0.5, 0.9))
SECOND = box((4, 0.7, 1.0))
THIRD = box((0, 0.0, 0.2), (1, 0.0, 0.3), (9, 0.5, 0.8))
CONFIG = SuiteConfig(exam=24, dev=12, uniform=30, nominal=10)


def pocket(name: str, bounds: Bounds, failures: int = 9, expert: int = 10) -> Pocket:
    return replace(POCKET, name=name, bounds=bounds, inside=Rate(failures, 10), expert=Rate(expert, 10))


POCKETS = (pocket("a", FIRST), pocket("b", SECOND), pocket("c", THIRD))


def build(
    world: PlantedWorld, pockets: tuple[Pocket, ...] = POCKETS, config: SuiteConfig = CONFIG, seed: int = 0
) -> SuiteSet:
    return build_suites(SPACE, "planted", pockets, world.policy, world.expert, config, np.random.default_rng(seed))


@pytest.fixture(scope="module")
def world() -> PlantedWorld:
    return PlantedWorld([FIRST, SECOND, THIRD], failure=0.8, hard=[box((5, 0.0, 0.4))])


@pytest.fixture(scope="module")
def suites(world: PlantedWorld) -> SuiteSet:
    return build(world)


def test_every_suite_has_its_size_and_names_its_space(suites: SuiteSet) -> None:
    sizes = {s.name: len(s.cases) for s in (suites.exam, suites.dev, suites.uniform, suites.nominal)}
    assert sizes == {"exam": 24, "dev": 12, "uniform": 30, "nominal": 10}
    assert {s.space_hash for s in (suites.exam, suites.dev, suites.uniform)} == {SPACE.hash}
    assert suites.report.complete


def test_exam_and_dev_are_balanced_over_pockets(suites: SuiteSet) -> None:
    assert Counter(suites.exam.labels) == {"a": 8, "b": 8, "c": 8}
    assert Counter(suites.dev.labels) == {"a": 4, "b": 4, "c": 4}
    bounds = {"a": FIRST, "b": SECOND, "c": THIRD}
    for suite in (suites.exam, suites.dev):
        assert all(inside(bounds[label], c.theta) for c, label in zip(suite.cases, suite.labels, strict=True))


def test_every_exam_theta_failed_three_times_in_at_most_four_on_other_seeds(
    suites: SuiteSet, world: PlantedWorld
) -> None:
    replay = PlantedWorld(world.boxes, failure=0.8)
    tries: dict[object, list[bool]] = {}
    for case in world.policy_cases:
        tries.setdefault(case.theta, []).append(not replay.policy([case])[0].success)
    seeds = {case.seed for case in world.policy_cases}
    for case in (*suites.exam.cases, *suites.dev.cases):
        assert len(tries[case.theta]) <= 4
        assert sum(tries[case.theta]) == 3
        assert case.seed not in seeds
    assert all(sum(not failed for failed in t) <= 2 for t in tries.values())  # nobody tries on after two successes


def test_every_case_has_a_witness(suites: SuiteSet, world: PlantedWorld) -> None:
    witnessed = {c for c in world.expert_cases if not inside(world.hard[0], c.theta)}
    for suite in (suites.exam, suites.dev, suites.uniform):
        assert set(suite.cases) <= witnessed
    assert sum(suites.report.without_witness.values()) > 0
    assert suites.report.uniform_drawn > 30


def test_suites_share_no_theta_and_no_seed(suites: SuiteSet) -> None:
    cases = [*suites.exam.cases, *suites.dev.cases, *suites.uniform.cases, *suites.nominal.cases]
    thetas = [case.theta for case in cases if case.theta.values]
    assert len(set(thetas)) == len(thetas) == 66
    assert len({case.seed for case in cases}) == len(cases)


def test_rollouts_are_counted(suites: SuiteSet, world: PlantedWorld) -> None:
    assert suites.report.policy_rollouts == len(world.policy_cases)
    assert suites.report.expert_rollouts == len(world.expert_cases)
    assert suites.report.to_json()["drawn"].keys() == {"a", "b", "c"}


def test_the_same_seed_builds_the_same_suites(suites: SuiteSet, world: PlantedWorld) -> None:
    again = build(PlantedWorld(world.boxes, failure=0.8, hard=world.hard))
    assert [s.hash for s in (again.exam, again.dev, again.uniform, again.nominal)] == [
        s.hash for s in (suites.exam, suites.dev, suites.uniform, suites.nominal)
    ]


def test_suites_are_saved_under_their_names(suites: SuiteSet, tmp_path: Path) -> None:
    suites.save(tmp_path)
    assert Suite.load(tmp_path / "exam.json") == suites.exam
    assert {p.name for p in tmp_path.iterdir()} == {"exam.json", "dev.json", "uniform.json", "nominal.json"}


def test_a_pocket_that_gives_nothing_is_given_up_and_the_others_fill_in() -> None:
    barren = pocket("c", box((2, 0.6, 0.9), (4, 0.0, 0.5)))  # apart from the other two
    suites = build(PlantedWorld([FIRST, SECOND]), (*POCKETS[:2], barren))
    assert Counter(suites.exam.labels) == {"a": 12, "b": 12}
    assert suites.report.complete
    assert suites.report.accepted["c"] == 0
    assert [note.partition(":")[0] for note in suites.report.notes] == ["c"]


def test_an_exhausted_budget_is_reported() -> None:
    world = PlantedWorld([FIRST, SECOND, THIRD])
    report = build(world, config=SuiteConfig(exam=60, dev=20, uniform=5, max_rollouts=60)).report
    assert not report.complete
    assert len(world.policy_cases) == report.policy_rollouts <= 60
    assert any("of 60 and 20 cases: the 60 rollouts for it are spent" in note for note in report.notes)


@pytest.mark.parametrize(("exam", "dev", "allowed"), [(40, 0, 1000), (60, 20, 1600), (300, 100, 8000)])
def test_a_larger_exam_may_spend_more(exam: int, dev: int, allowed: int) -> None:
    assert SuiteConfig(exam=exam, dev=dev).max_rollouts == allowed
    assert SuiteConfig(exam=exam, dev=dev, max_rollouts=60).max_rollouts == 60


def test_without_pockets_the_exam_comes_from_everywhere() -> None:
    suites = build(PlantedWorld([SECOND]), pockets=())
    assert set(suites.exam.labels) == {"everywhere"}
    assert all(inside(SECOND, case.theta) for case in suites.exam.cases)


def test_a_policy_that_never_fails_has_no_exam() -> None:
    with pytest.raises(StageFailedError, match="none failed 3 of 4 times"):
        build(PlantedWorld([], elsewhere=0.0))


def test_where_the_expert_fails_too_there_is_no_exam() -> None:
    with pytest.raises(StageFailedError, match="the expert failed, too"):
        build(PlantedWorld([FIRST, SECOND, THIRD], hard=[FIRST, SECOND, THIRD]))


def test_draws_kept_away_from_an_exam_are_never_near_it(suites: SuiteSet) -> None:
    exclusion = Exclusion.of(suites.exam, POCKETS, SPACE)
    assert exclusion.radii == Exclusion.of(suites.exam, POCKETS, SPACE).radii  # the exam alone decides
    sampler = TargetedSampler(space=SPACE, pockets=POCKETS, inflate=0.0, uniform_fraction=0.0)
    draw = KeepsAway(sampler, exclusion)
    drawn = [draw.counted(np.random.default_rng(i)) for i in range(150)]
    assert not any(exclusion(theta) for theta, _ in drawn)
    assert sum(refused for _, refused in drawn) > 0
    assert draw(np.random.default_rng(7)) == drawn[7][0]
    with pytest.raises(InfeasibleError, match="too near an exam case"):
        KeepsAway(lambda _: suites.exam.cases[0].theta, exclusion)(np.random.default_rng(0))


def test_near_means_the_active_factors_of_the_pocket(suites: SuiteSet) -> None:
    exclusion = Exclusion(suites.exam, POCKETS, SPACE, {"a": 0.01, "b": 0.0, "c": 0.0})
    label_a = suites.exam.labels.index("a")
    exam = SPACE.to_unit(suites.exam.cases[label_a].theta)
    for moved, near in ({}, True), ({0: 0.5}, True), ({2: 0.009}, True), ({2: 0.009, 7: 0.009}, True):
        u = exam.copy()
        for factor, by in moved.items():
            u[factor] = (u[factor] + by) if factor in (2, 7) else by
        assert exclusion(SPACE.from_unit(u)) is near
    far = exam.copy()
    far[2] = 0.95
    assert not exclusion(SPACE.from_unit(far))


def test_a_fitted_exclusion_leaves_most_of_every_pocket(suites: SuiteSet) -> None:
    rng = np.random.default_rng(0)
    exclusion = Exclusion.fitted(suites.exam, POCKETS, SPACE, rng, share=0.2, cap=1.0)
    sampler = TargetedSampler(space=SPACE, pockets=POCKETS, inflate=0.0, uniform_fraction=0.0)
    excluded: dict[str, list[bool]] = {}
    for _ in range(600):
        theta, label = sampler.sample(rng)
        excluded.setdefault(label, []).append(exclusion(theta))
    assert all(0.05 < np.mean(hits) < 0.45 for hits in excluded.values())
    assert all(exclusion(case.theta) for case in suites.exam.cases)


def test_every_pocket_gets_its_share_and_what_is_drawn_lies_around_it() -> None:
    pockets = (pocket("a", FIRST, failures=8, expert=10), pocket("b", SECOND, failures=8, expert=5))
    sampler = TargetedSampler(space=SPACE, pockets=pockets, inflate=0.1, uniform_fraction=0.25)
    assert sampler.shares() == pytest.approx({"a": 0.5, "b": 0.25, "everywhere": 0.25})
    rng = np.random.default_rng(0)
    drawn = [sampler.sample(rng) for _ in range(800)]
    counts = Counter(label for _, label in drawn)
    assert counts["a"] / 800 == pytest.approx(0.5, abs=0.06)
    for theta, label in drawn:
        SPACE.check(theta)
        if label == "a":
            low, high = FIRST["thing_2.size_m"]
            assert low - 0.1 * (high - low) - 1e-9 <= theta.values["thing_2.size_m"] <= high + 0.1 * (high - low) + 1e-9
    assert any(label == "a" and not inside(FIRST, theta) for theta, label in drawn)


def test_without_pockets_all_draws_are_uniform() -> None:
    sampler = TargetedSampler(space=SPACE, pockets=())
    assert sampler.sample(np.random.default_rng(0))[1] == "everywhere"


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ConfigError, match="failures"):
        SuiteConfig(failures=5, tries=4)
    with pytest.raises(ConfigError, match="uniform_fraction"):
        TargetedSampler(space=SPACE, pockets=(), uniform_fraction=1.2)
