"""Laws of a segment that moves with its object."""

from math import inf

import numpy as np
import pytest

from etude.core.se3 import exp_rotation, inverse, pose
from etude.generation.stitching import over, steps_for, stitch, top_speed
from etude.generation.transforming import angle_rad, distance_m, same_poses, transform


def any_pose(rng: np.random.Generator) -> np.ndarray:
    return pose(rng.uniform(-1, 1, 3), exp_rotation(rng.uniform(-2, 2, 3)))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.fixture
def targets(rng: np.random.Generator) -> np.ndarray:
    return np.stack([any_pose(rng) for _ in range(6)])


def test_nothing_changes_where_the_object_did_not_move(rng: np.random.Generator, targets: np.ndarray):
    X = any_pose(rng)
    np.testing.assert_allclose(transform(targets, source=X, now=X), targets, atol=1e-12)


def test_a_common_motion_of_source_and_now_changes_nothing_but_the_place(rng: np.random.Generator, targets: np.ndarray):
    source, now, move = any_pose(rng), any_pose(rng), any_pose(rng)
    moved_now = transform(targets, source=source, now=move @ now)
    np.testing.assert_allclose(moved_now, move @ transform(targets, source=source, now=now), atol=1e-12)
    moved_source = transform(move @ targets, source=move @ source, now=now)
    np.testing.assert_allclose(moved_source, transform(targets, source=source, now=now), atol=1e-12)


def test_what_the_gripper_does_is_the_same_seen_from_the_object(rng: np.random.Generator, targets: np.ndarray):
    source, now = any_pose(rng), any_pose(rng)
    there, here = inverse(source) @ targets, inverse(now) @ transform(targets, source=source, now=now)
    np.testing.assert_allclose(here, there, atol=1e-12)


def test_a_cube_turned_by_a_quarter_is_the_same_cube(rng: np.random.Generator):
    quarter = pose(np.zeros(3), exp_rotation(np.array([0.0, 0.0, np.pi / 2])))
    X = any_pose(rng)
    same, turned = (np.stack(list(same_poses(cube, 4))) for cube in (X, X @ quarter))
    np.testing.assert_allclose(np.roll(same, -1, axis=0), turned, atol=1e-12)
    assert len(list(same_poses(X, 1))) == 1


def test_a_way_goes_straight_in_equal_steps_and_ends_where_it_should(rng: np.random.Generator):
    a, b = any_pose(rng), any_pose(rng)
    way = stitch(a, b, 5)
    np.testing.assert_array_equal(way[-1], b)
    steps = [a, *way]
    metres = [distance_m(p, q) for p, q in zip(steps, way, strict=False)]
    turns = [angle_rad(p, q) for p, q in zip(steps, way, strict=False)]
    np.testing.assert_allclose(metres, distance_m(a, b) / 5, atol=1e-9)
    np.testing.assert_allclose(turns, angle_rad(a, b) / 5, atol=1e-6)


def test_a_long_way_takes_as_many_steps_as_the_speed_asks_for():
    a, far = np.eye(4), pose(np.array([0.5, 0.0, 0.0]), np.eye(3))
    assert steps_for(a, a, least=5, speed=(0.02, 0.1)) == 5
    assert steps_for(a, far, least=5, speed=(0.02, 0.1)) == 25
    aside = pose(np.array([0.5, 0.5, 0.0]), np.eye(3))  # along both axes at once, each at the speed of one
    assert steps_for(a, aside, least=5, speed=(0.02, 0.1)) == 25
    turned = pose(np.zeros(3), exp_rotation(np.array([0.0, 0.0, 1.0])))
    assert steps_for(a, turned, least=5, speed=(0.02, 0.1)) == 10


def test_the_top_speed_is_that_of_the_fastest_step():
    xs = (0.0, 0.01, 0.04, 0.05)
    poses = np.stack([pose(np.array([x, 0.0, 0.0]), exp_rotation(np.array([0.0, 0.0, 10 * x]))) for x in xs])
    np.testing.assert_allclose(top_speed(poses), (0.03, 0.3), atol=1e-9)


def at(x: float, z: float) -> np.ndarray:
    return pose(np.array([x, 0.0, z]), np.eye(3))


@pytest.mark.parametrize(
    ("begin", "end", "heights"),
    [
        (at(0, 0.02), at(0.3, 0.02), [0.07, 0.07, 0.02]),  # up, aside, down
        (at(0, 0.25), at(0.3, 0.02), [0.25, 0.02]),  # high enough already
        (at(0, 0.02), at(0.3, 0.25), [0.25, 0.25]),
        (at(0, 0.25), at(0.3, 0.24), [0.25, 0.24]),
        (at(0, 0.03), at(0.3, 0.02), [0.07, 0.07, 0.02]),
        (at(0, 0.02), at(0.03, 0.02), [0.02]),  # too short to rise for
    ],
)
def test_a_way_rises_before_it_goes_aside(begin: np.ndarray, end: np.ndarray, heights: list[float]):
    corners = over(begin, end, 0.07)
    np.testing.assert_allclose([corner[2, 3] for corner in corners], heights)
    np.testing.assert_array_equal(corners[-1], end)
    assert len(over(begin, end, -inf)) == 1
