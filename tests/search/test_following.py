"""Pockets after practice: gone, remaining, moved, or overlooked before."""

import json
from dataclasses import replace

import numpy as np
import pytest
from search.planted import SPACE, PlantedWorld, box
from toys import POCKET

from etude.core import Bounds, Pocket, Rate, UnknownNameError
from etude.search import FollowedPocket, follow_pockets, same_place

MENDED = box((2, 0.1, 0.4), (7, 0.5, 0.9))
LASTING = box((4, 0.7, 1.0))
MOVED = box((0, 0.0, 0.3), (1, 0.6, 0.9))
OVERLOOKED = box((9, 0.0, 0.2))
BEFORE = PlantedWorld([MENDED, LASTING, OVERLOOKED])
AFTER = PlantedWorld([MOVED, LASTING, OVERLOOKED])


def pocket(name: str, bounds: Bounds) -> Pocket:
    return replace(POCKET, name=name, bounds=bounds)


def follow(before: list[Pocket], after: list[Pocket]) -> dict[str, FollowedPocket]:
    rng = np.random.default_rng(0)
    followed = follow_pockets(SPACE, before, after, BEFORE.policy, AFTER.policy, rng, cases=25)
    return {one.pocket.name: one for one in followed}


def test_every_pocket_has_the_fate_that_its_failures_have() -> None:
    lasting_again = box((4, 0.65, 0.9), (3, 0.0, 0.9))
    before = [pocket("pocket-1", MENDED), pocket("pocket-2", LASTING), pocket("pocket-3", box((5, 0.0, 0.2)))]
    after = [pocket("pocket-1", MOVED), pocket("pocket-2", lasting_again), pocket("pocket-3", OVERLOOKED)]
    followed = follow(before, after)
    fates = {name: one.fate for name, one in followed.items()}
    assert fates == {
        "pocket-1": "gone",
        "pocket-2": "remaining",
        "pocket-3": "unclear",  # the policy before did not fail there either
        "fresh-1": "new",
        "fresh-3": "overlooked",
    }
    assert followed["pocket-1"].before.value > 0.8 > 0.5 > followed["pocket-1"].after.value
    assert followed["fresh-1"].before.value < 0.5 < followed["fresh-1"].after.value


def test_a_search_that_missed_a_pocket_does_not_make_it_gone() -> None:
    assert follow([pocket("pocket-1", LASTING)], [])["pocket-1"].fate == "unclear"


def test_both_policies_roll_out_the_same_fresh_cases() -> None:
    before, after = replace(BEFORE, policy_cases=[]), replace(AFTER, policy_cases=[])
    old = [pocket("a", MENDED)]
    (followed,) = follow_pockets(SPACE, old, [], before.policy, after.policy, np.random.default_rng(3), cases=7)
    assert before.policy_cases == after.policy_cases
    assert len(set(before.policy_cases)) == 7 == followed.before.n == followed.after.n
    assert all(old[0].contains(case.theta, SPACE) for case in before.policy_cases)


def test_without_pockets_nothing_is_rolled_out() -> None:
    world = PlantedWorld([])
    assert follow_pockets(SPACE, [], [], world.policy, world.policy, np.random.default_rng(0)) == ()
    assert world.policy_cases == []


def test_records_survive_the_disk() -> None:
    for one in follow([pocket("pocket-1", MENDED)], [pocket("pocket-1", MOVED)]).values():
        assert FollowedPocket.from_json(json.loads(json.dumps(one.to_json()))) == one
    with pytest.raises(UnknownNameError, match="fate"):
        FollowedPocket(pocket=pocket("a", MENDED), fate="lost", before=Rate(0, 1), after=Rate(0, 1))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("other", "same"),
    [
        (box((2, 0.2, 0.5), (7, 0.5, 0.9)), True),
        (box((2, 0.3, 0.6), (7, 0.5, 0.9)), False),  # a third of each lies in the other
        (box((2, 0.0, 0.5)), True),  # the first lies in it
        (box((2, 0.2, 0.3)), False),  # 40 % of it lies in the first, a third of the first in it
        (box((2, 0.1, 0.2), (7, 0.6, 0.7), (5, 0.0, 0.1)), True),  # a part of it
        (box((5, 0.0, 0.9)), False),  # overlaps nearly all of it, by chance
        (box((2, 0.5, 0.9), (7, 0.5, 0.9)), False),
    ],
)
def test_two_boxes_are_one_place_when_half_of_one_lies_in_the_other(other: Bounds, same: bool) -> None:
    assert same_place(MENDED, other, SPACE) == same_place(other, MENDED, SPACE) == same
