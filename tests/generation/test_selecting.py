"""A segment is taken from any source, or from one of the three whose object, or whose gripper, was most as here."""

from collections import Counter
from typing import Any

import numpy as np
import pytest

from etude.core import Segment
from etude.core.se3 import exp_rotation
from etude.generation.selecting import choose, object_distance, robot_distance, select
from etude.generation.source import SourceDemonstration

ABOUT_CUBE = Segment(object="cube", turns=4)


def pose(x: float, yaw: float = 0.0) -> np.ndarray[Any, np.dtype[np.float64]]:
    X = np.eye(4)
    X[:3, :3], X[0, 3] = exp_rotation(np.array([0.0, 0.0, yaw])), x
    return X


def source(episode: int, cube_x_m: float, hand_x_m: float) -> SourceDemonstration:
    """A demonstration that lies so at frame 1, where its segment begins, and elsewhere before."""
    cube, hand = (np.stack([pose(9.0 - x), pose(x)]) for x in (cube_x_m, hand_x_m))
    return SourceDemonstration(
        episode=episode,
        actions=np.zeros((2, 1), np.float32),
        objects={"cube": cube},
        grippers={"hand": hand},
        targets={"hand": hand},
        commands={"hand": np.zeros(2)},
        signals={},
    )


SOURCES = [source(i, cube_x_m=0.1 * i, hand_x_m=-0.1 * i) for i in range(5)]
HERE = {"object_poses": {"cube": pose(0.36)}, "gripper_poses": {"hand": pose(-0.04)}}


def chosen(strategy: Any, segment: Segment = ABOUT_CUBE, draws: int = 600) -> dict[int, int]:
    """How often each source was chosen."""
    rng, starts = np.random.default_rng(0), [(s, 1) for s in SOURCES]
    return Counter(select(strategy, starts, "hand", segment, HERE, rng).episode for _ in range(draws))


@pytest.mark.parametrize(
    ("strategy", "among"),
    [("random", {0, 1, 2, 3, 4}), ("nearest-object", {2, 3, 4}), ("nearest-robot", {0, 1, 2})],
)
def test_all_that_may_be_chosen_are_and_about_as_often(strategy: str, among: set[int]):
    counts = chosen(strategy)
    assert set(counts) == among
    assert min(counts.values()) > 0.75 * 600 / len(among)


def test_a_segment_about_no_object_is_taken_from_any():
    assert set(chosen("nearest-object", Segment())) == {0, 1, 2, 3, 4}


def test_one_of_the_three_nearest_is_chosen_or_of_fewer_where_there_are_no_more():
    rng = np.random.default_rng(0)
    assert {choose([0.5, 0.1, 0.4, 0.2, 0.3], rng) for _ in range(50)} == {1, 3, 4}
    assert {choose([0.5, 0.1], rng) for _ in range(50)} == {0, 1}


def test_distances_are_metres_and_radians_over_the_turns_that_look_alike():
    assert object_distance(pose(0.0), pose(0.3, yaw=0.2)) == pytest.approx(0.5)
    assert object_distance(pose(0.0), pose(0.3, yaw=np.pi / 2 + 0.2), turns=4) == pytest.approx(0.5)
    assert robot_distance(pose(0.0), pose(0.3, yaw=np.pi / 2)) == pytest.approx(0.3 + np.pi / 2)
