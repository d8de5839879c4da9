"""Boxes that a search left blunt are sharpened by rollouts inside them."""

import numpy as np
import pytest
from search.planted import SPACE, PlantedWorld, box

from etude.core import Bounds, Rate
from etude.search.boxes import Box
from etude.search.places import share_within
from etude.search.refining import RefineConfig, refine_boxes

CONFIG = RefineConfig()
PLANTED = box((2, 0.1, 0.4), (5, 0.3, 0.55), (7, 0.5, 0.9))


def clustered(n: int, rng: np.random.Generator) -> np.ndarray:
    """Samples of a search that stayed near the pocket in factor 5, where it never looked elsewhere."""
    points = rng.random((n, 10))
    points[:, 5] = rng.uniform(0.35, 0.5, n)
    return points


def refine(world: PlantedWorld, bounds: Bounds, seed: int = 0, config: RefineConfig = CONFIG):
    rng = np.random.default_rng(seed)
    points = clustered(300, rng)
    blunt = Box(bounds=bounds, failures=Rate(0, 0), score=0.0)
    inside = np.all([(points[:, d] >= a) & (points[:, d] <= b) for d, a, b in ((2, 0.1, 0.4), (7, 0.5, 0.9))], axis=0)
    return refine_boxes(SPACE, [blunt], points, inside, world.policy, world.expert, rng, config)


@pytest.mark.parametrize("seed", range(3))
def test_a_factor_that_the_search_never_varied_is_found(seed: int) -> None:
    world = PlantedWorld([PLANTED])
    refined = refine(world, box((2, 0.1, 0.4), (7, 0.5, 0.9)), seed)
    (sharp,) = refined.boxes
    assert set(sharp.bounds) >= set(PLANTED)
    assert share_within(sharp.bounds, PLANTED, SPACE) > 0.75  # a quarter at first
    assert refined.policy_rollouts == len(world.policy_cases) <= 40
    assert refined.expert_rollouts == len(world.expert_cases)


def test_a_sharp_box_stays_as_it_is_and_costs_one_round() -> None:
    refined = refine(PlantedWorld([PLANTED]), PLANTED)
    assert dict(refined.boxes[0].bounds) == PLANTED
    assert refined.policy_rollouts == 20


def test_where_the_expert_fails_too_nothing_is_sharpened_on_it() -> None:
    """Only what the expert masters counts: the half of the box where it fails, too, is left out."""
    hard = box((5, 0.42, 1.0))
    refined = refine(PlantedWorld([PLANTED], hard=[hard]), PLANTED, config=RefineConfig(draws=60, rounds=1, enough=0.9))
    assert refined.boxes[0].bounds["thing_5.size_m"][1] < PLANTED["thing_5.size_m"][1]


def test_without_boxes_nothing_is_rolled_out() -> None:
    world = PlantedWorld([])
    nothing = np.zeros((0, 10)), np.zeros(0, dtype=bool)
    refined = refine_boxes(SPACE, [], *nothing, world.policy, world.expert, np.random.default_rng(0))
    assert (refined.boxes, refined.policy_rollouts, world.policy_cases) == ((), 0, [])
