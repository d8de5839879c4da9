"""Laws of the way from one segment to the next."""

from itertools import pairwise
from math import inf

import numpy as np
import pytest

from etude.core.se3 import exp_rotation, pose
from etude.generation.stitching import Motion, Travel, brisk_speed, over
from etude.generation.transforming import angle_rad

TRAVEL = Travel(metres=0.02, radians=0.1)
HIGH = Travel(metres=0.02, radians=0.1, clear_m=0.1)


def at(x: float, z: float, yaw: float = 0.0) -> np.ndarray:
    return pose(np.array([x, 0.0, z]), exp_rotation(np.array([0.0, 0.0, yaw])))


def any_place(rng: np.random.Generator) -> np.ndarray:
    return pose(
        rng.uniform([-0.3, -0.3, 0.02], [0.3, 0.3, 0.2]), exp_rotation(np.array([0.0, 0.0, rng.uniform(-1, 1)]))
    )


@pytest.mark.parametrize("travel", [TRAVEL, HIGH])
def test_a_way_ends_where_it_should_and_is_never_too_fast(travel: Travel):
    rng = np.random.default_rng(3)
    for _ in range(20):
        a, b = any_place(rng), any_place(rng)
        way = travel.way(a, b)
        np.testing.assert_array_equal(way[-1], b)
        for p, q in pairwise([a, *way]):
            assert np.abs(q[:3, 3] - p[:3, 3]).max() <= 1.06 * travel.metres  # the last one covers what is left
            assert angle_rad(p, q) <= 1.06 * travel.radians
        beside = np.linalg.norm(way[:, :2, 3] - a[:2, 3], axis=1), np.linalg.norm(way[:, :2, 3] - b[:2, 3], axis=1)
        assert (way[:, 2, 3] >= travel.clear_m - 1e-9)[np.minimum(*beside) > 1e-9].all()


def test_a_long_way_takes_as_many_steps_as_the_speed_asks_for():
    assert TRAVEL.way(np.eye(4), np.eye(4)).shape == (0, 4, 4)
    assert len(TRAVEL.way(at(0.0, 0.0), at(0.5, 0.0))) == 25
    aside = pose(np.array([0.5, 0.5, 0.0]), np.eye(3))  # along both axes at once, each at the speed of one
    assert len(TRAVEL.way(np.eye(4), aside)) == 25
    assert len(TRAVEL.way(at(0.0, 0.0), at(0.0, 0.0, yaw=1.0))) == 10


def test_what_is_left_of_a_way_is_the_way_from_there():
    """How a gripper goes is to be seen from where it is: nothing hidden, such as where it came from, decides it."""
    begin, end = at(0.0, 0.1), at(0.21, 0.03, yaw=0.4)
    way = HIGH.way(begin, end)
    beside = np.linalg.norm(way[:, :2, 3] - end[:2, 3], axis=1) > 0.01  # nearer it may come down at once
    for t in np.flatnonzero(beside):
        np.testing.assert_allclose(HIGH.way(way[t], end), way[t + 1 :], atol=1e-6)


def test_above_its_end_a_way_slows_down():
    way = HIGH.way(at(0.0, 0.1), at(0.2, 0.03))
    left = 0.2 - way[way[:, 2, 3] > 0.1 - 1e-9][:, 0, 3]
    steps = -np.diff(left)
    assert (np.diff(steps) < 1e-9).all()
    assert sum((left > 0.0) & (left < 0.02)) >= 3


def test_sources_show_one_way_to_travel_together():
    paths = (np.stack([at(x * step, 0.1 - x * 0.001) for x in range(5)]) for step in (0.01, 0.03))
    slow, fast = map(Motion.of, paths)
    travel = Travel.shown([slow, slow, fast], 0.05)
    assert travel.metres == pytest.approx(0.01)
    assert travel.clear_m == pytest.approx(0.1 - 0.004 + 0.05)
    assert Travel.shown([slow], 0.0).clear_m == -inf


def test_a_brisk_speed_is_none_of_a_jerk():
    xs = np.cumsum([0.0, *[0.02] * 30, 0.5, *[0.0] * 3])
    poses = np.stack([at(x, 0.0, yaw=3 * x) for x in xs])
    np.testing.assert_allclose(brisk_speed(poses), (0.02, 0.06), atol=1e-6)
    assert min(brisk_speed(poses[-3:])) > 0.0


@pytest.mark.parametrize(
    ("begin", "end", "heights"),
    [
        (at(0, 0.02), at(0.3, 0.02), [0.07, 0.07, 0.02]),  # up, aside, down
        (at(0, 0.25), at(0.3, 0.02), [0.07, 0.02]),  # high enough already
        (at(0, 0.02), at(0.3, 0.25), [0.07, 0.25]),
        (at(0, 0.25), at(0.3, 0.24), [0.24]),
        (at(0, 0.02), at(0.03, 0.02), [0.07, 0.07, 0.02]),
        (at(0, 0.02), at(0.005, 0.02), [0.02]),  # straight up or down
    ],
)
def test_a_way_rises_before_it_goes_aside(begin: np.ndarray, end: np.ndarray, heights: list[float]):
    corners = over(begin, end, 0.07)
    np.testing.assert_allclose([corner[2, 3] for corner in corners], heights)
    np.testing.assert_array_equal(corners[-1], end)
    assert len(over(begin, end, -inf)) == 1
