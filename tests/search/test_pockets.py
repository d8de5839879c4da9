"""Planted boxes are found, named by the right factors, and confirmed; what is not there is not."""

import numpy as np
import pytest
from scipy.stats import fisher_exact
from search.planted import SPACE, PlantedWorld, box
from toys import SPACE as TOY_SPACE

from etude.core import Rate
from etude.search import (
    Archive,
    BoxConfig,
    ConfirmConfig,
    CrossEntropyConfig,
    RandomSearch,
    confirm_pockets,
    find_boxes,
    same_place,
    sample_inside,
    search_failures,
    volume,
)
from etude.search.boxes import Box
from etude.search.pockets import more_frequent_p, why_refuted

PLANTED = box((2, 0.1, 0.4), (7, 0.5, 0.9))  # 12 % of the volume
OTHER = box((4, 0.7, 1.0), (5, 0.0, 0.3))


def unit(bounds: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
    return {name: ((low + 1) / 4, (high + 1) / 4) for name, (low, high) in bounds.items()}


def samples(n: int, boxes: list[dict[str, tuple[float, float]]], elsewhere: float, seed: int = 0):
    """Uniform points and whether each failed: 0.9 of those in the boxes."""
    rng = np.random.default_rng(seed)
    points = rng.random((n, 10))
    inside = np.zeros(n, dtype=bool)
    for bounds in boxes:
        inside |= as_box(bounds).distance(points, SPACE) <= 0
    return points, rng.random(n) < np.where(inside, 0.9, elsewhere)


def as_box(bounds: dict[str, tuple[float, float]]) -> Box:
    return Box(bounds=bounds, failures=Rate(0, 0), score=0.0)


def close(found: Box, planted: dict[str, tuple[float, float]], tolerance: float = 0.1) -> bool:
    """The same factors, and edges that agree in the unit cube."""
    if set(found.bounds) != set(planted):
        return False
    a, b = unit(dict(found.bounds)), unit(planted)
    return all(abs(x - y) < tolerance for name in a for x, y in zip(a[name], b[name], strict=True))


@pytest.mark.parametrize("seed", range(4))
def test_planted_boxes_are_found_in_their_own_factors(seed: int) -> None:
    points, failures = samples(800, [PLANTED, OTHER], elsewhere=0.1, seed=seed)
    found = find_boxes(SPACE, points, failures)
    assert close(found[0], PLANTED)
    assert close(found[1], OTHER)


def test_rates_say_what_is_inside() -> None:
    points, failures = samples(600, [PLANTED], elsewhere=0.05)
    first = find_boxes(SPACE, points, failures)[0]
    inside = first.distance(points, SPACE) <= 1e-9
    assert first.failures == Rate(int(failures[inside].sum()), int(inside.sum()))
    assert all(first.contains(SPACE.from_unit(p), SPACE) == i for p, i in zip(points, inside, strict=True))


def test_without_structure_there_are_few_boxes_and_weak_ones() -> None:
    scores = [b.score for seed in range(5) for b in find_boxes(SPACE, *samples(400, [], 0.3, seed))]
    strong = find_boxes(SPACE, *samples(400, [PLANTED], 0.3))[0].score
    assert max(scores, default=0.0) < strong


@pytest.mark.parametrize("constant", [True, False])
def test_all_or_no_failures_have_no_boxes(constant: bool) -> None:
    points, _ = samples(100, [], 0.0)
    assert find_boxes(SPACE, points, np.full(100, constant)) == []
    assert find_boxes(SPACE, points[:0], np.zeros(0, dtype=bool)) == []


def test_boxes_respect_their_limits() -> None:
    points, failures = samples(800, [PLANTED, OTHER], elsewhere=0.2)
    config = BoxConfig(max_boxes=3, max_factors=1, min_support=50)
    found = find_boxes(SPACE, points, failures, config)
    assert 0 < len(found) <= 3
    assert all(len(b.bounds) == 1 and b.failures.n >= 50 for b in found)


def confirm(world: PlantedWorld, boxes: list[Box], seed: int = 0, **options: float):
    rng = np.random.default_rng(seed)
    return confirm_pockets(SPACE, boxes, world.policy, world.expert, ConfirmConfig(**options), rng)  # type: ignore[arg-type]


def test_fresh_rollouts_confirm_what_is_there_and_refute_what_is_not() -> None:
    world = PlantedWorld([PLANTED], elsewhere=0.1)
    ordinary = box((2, 0.6, 0.9))  # apart from the planted one
    made = confirm(world, [as_box(ordinary), as_box(PLANTED)])
    (pocket,), (refuted,) = made.pockets, made.refuted
    assert dict(pocket.bounds) == PLANTED
    assert dict(refuted.bounds) == ordinary
    assert (pocket.name, refuted.name) == ("pocket-1", "refuted-1")
    assert pocket.inside.value > 0.8
    assert pocket.outside.value < 0.3
    assert pocket.expert.value == 1.0
    assert pocket.volume == pytest.approx(0.12, abs=0.01)
    assert (
        (made.policy_rollouts, made.expert_rollouts) == (len(world.policy_cases), len(world.expert_cases)) == (80, 40)
    )


def test_where_the_expert_fails_there_is_no_pocket() -> None:
    made = confirm(PlantedWorld([PLANTED], hard=[PLANTED]), [as_box(PLANTED)])
    assert made.pockets == ()
    assert made.refuted[0].expert.value == 0.0
    assert "hard for the expert, too" in why_refuted(made.refuted[0])


def test_chance_seldom_confirms() -> None:
    """Under equality at most a share alpha of the confirmations is wrong, for three boxes together."""
    world, boxes = PlantedWorld([], elsewhere=0.3), [as_box(b) for b in (PLANTED, OTHER, box((0, 0.1, 0.4)))]
    wrong = sum(bool(confirm(world, boxes, seed, volume_draws=1).pockets) for seed in range(60))
    assert wrong <= 8  # P(Bin(60, 0.05) > 8) < 0.01


def test_a_policy_that_fails_everywhere_has_no_pocket() -> None:
    made = confirm(PlantedWorld([], failure=1.0, elsewhere=1.0), [as_box(PLANTED), as_box(OTHER)])
    assert made.pockets == ()
    assert {why_refuted(box) for box in made.refuted} == {"not clearly more often than outside"}


def test_boxes_at_the_same_place_are_looked_at_once() -> None:
    made = confirm(PlantedWorld([PLANTED]), [as_box(PLANTED), as_box(box((2, 0.15, 0.4), (7, 0.5, 0.9)))])
    assert [dict(pocket.bounds) for pocket in made.pockets] == [PLANTED]
    assert made.refuted == ()
    assert made.policy_rollouts == 20 + 40


def test_boxes_in_which_nothing_is_feasible_are_left_out() -> None:
    """Goals within 0.1 m of the toy's start are infeasible; a box over all of it leaves nothing outside."""
    world, rng = PlantedWorld([], elsewhere=0.5), np.random.default_rng(0)
    config = ConfirmConfig(inside=3, outside=4, volume_draws=1)
    start = {"goal.x_m": (-0.09, 0.09), "goal.y_m": (-0.09, 0.09)}
    made = confirm_pockets(TOY_SPACE, [as_box(start)], world.policy, world.expert, config, rng)
    assert (made.pockets, made.refuted, made.policy_rollouts) == ((), (), 0)
    everything = as_box({"goal.x_m": (-0.5, 0.5)})
    made = confirm_pockets(TOY_SPACE, [everything], world.policy, world.expert, config, rng)
    assert made.refuted[0].outside.n == 0


def test_no_boxes_cost_nothing() -> None:
    assert confirm(PlantedWorld([]), []).policy_rollouts == 0


@pytest.mark.parametrize(
    ("k", "n", "j", "m"), [(5, 10, 2, 20), (0, 5, 0, 5), (10, 10, 0, 30), (3, 3, 5, 6), (1, 9, 8, 9)]
)
def test_the_test_is_fishers(k: int, n: int, j: int, m: int) -> None:
    expected = fisher_exact([[k, n - k], [j, m - j]], alternative="greater").pvalue
    assert more_frequent_p(Rate(k, n), Rate(j, m)) == pytest.approx(expected)


def test_volumes_are_relative_to_the_feasible_space() -> None:
    rng = np.random.default_rng(0)
    # Of the toy's goals, those within 0.1 m of the start (4 % of the square) are infeasible.
    assert volume(TOY_SPACE, {}, rng) == pytest.approx(1.0, abs=0.03)
    inner = {"goal.x_m": (-0.2, 0.2), "goal.y_m": (-0.2, 0.2)}
    assert volume(TOY_SPACE, inner, rng, draws=4000) == pytest.approx((0.16 - 0.04) / 0.96, abs=0.01)
    for _ in range(50):
        theta = sample_inside(TOY_SPACE, inner, rng)
        TOY_SPACE.check(theta)
        assert max(abs(theta.values["goal.x_m"]), abs(theta.values["goal.y_m"])) <= 0.2


@pytest.mark.parametrize("kind", ["cross-entropy", "random"])
def test_search_finds_a_planted_pocket(kind: str) -> None:
    """The whole way: 400 rollouts of a policy that fails at 20 % anywhere, boxes, confirmation."""
    world, archive, rng = PlantedWorld([PLANTED], elsewhere=0.2), Archive(SPACE), np.random.default_rng(5)
    searcher = RandomSearch(SPACE, rng) if kind == "random" else CrossEntropyConfig().create(SPACE, rng)
    search_failures(searcher, archive, world.policy, budget=400, seed=0, name=kind, roll_expert=world.expert)
    boxes = find_boxes(SPACE, archive.points(), archive.weaknesses())
    pockets = confirm(world, boxes).pockets
    assert pockets
    assert set(pockets[0].bounds) >= set(PLANTED)
    rng = np.random.default_rng(0)
    within = [as_box(PLANTED).contains(sample_inside(SPACE, pockets[0].bounds, rng), SPACE) for _ in range(200)]
    assert np.mean(within) > 0.7


def test_noise_alone_hardly_ever_has_a_box() -> None:
    found = [find_boxes(SPACE, *samples(400, [], 0.3, seed)) for seed in range(12)]
    assert sum(map(bool, found)) <= 2


@pytest.mark.parametrize("seed", range(3))
def test_found_boxes_are_distinct_and_leave_none_of_the_planted_out(seed: int) -> None:
    """Two overlapping planted boxes and one apart: no two of those found are the same place."""
    planted = [PLANTED, OTHER, box((2, 0.3, 0.6), (7, 0.5, 0.9))]
    points, failures = samples(1500, planted, elsewhere=0.1, seed=seed)
    found = find_boxes(SPACE, points, failures)
    pairs = [(a, b) for i, a in enumerate(found) for b in found[:i]]
    assert not any(same_place(a.bounds, b.bounds, SPACE) for a, b in pairs)
    covered = np.zeros(len(points), dtype=bool)
    for one in found:
        covered |= one.distance(points, SPACE) <= 0
    inside = np.any([as_box(bounds).distance(points, SPACE) <= 0 for bounds in planted], axis=0)
    assert covered[inside].mean() > 0.85
    assert covered[~inside].mean() < 0.15
