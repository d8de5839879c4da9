"""Laws of a segment that moves with its object."""

import numpy as np
import pytest

from etude.core.se3 import exp_rotation, inverse, pose
from etude.generation.transforming import angle_rad, as_carried, same_poses, transform, unturned


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


def test_what_lies_in_the_hand_as_in_the_sources_changes_nothing(rng: np.random.Generator, targets: np.ndarray):
    X = any_pose(rng)
    np.testing.assert_allclose(as_carried(targets, source=X, now=X), targets, atol=1e-12)
    quarter = pose(np.zeros(3), exp_rotation(np.array([0.0, 0.0, np.pi / 2])))
    np.testing.assert_allclose(as_carried(targets, source=X, now=X @ quarter, turns=4), targets, atol=1e-12)


def test_what_is_carried_goes_the_sources_way_however_it_lies_in_the_hand(
    rng: np.random.Generator, targets: np.ndarray
):
    source, now, move = any_pose(rng), any_pose(rng), any_pose(rng)
    asked = as_carried(targets, source=source, now=now)
    np.testing.assert_allclose(asked @ now, targets @ source, atol=1e-12)
    np.testing.assert_allclose(as_carried(move @ targets, source=source, now=now), move @ asked, atol=1e-12)


def test_of_the_ways_to_hold_the_same_object_the_hand_turns_least(rng: np.random.Generator, targets: np.ndarray):
    X = any_pose(rng)
    for angle in rng.uniform(-3, 3, 20):
        turned = X @ pose(np.zeros(3), exp_rotation(np.array([0.0, 0.0, angle])))
        asked = as_carried(targets, source=X, now=turned, turns=4)
        assert all(angle_rad(a, b) <= np.pi / 4 + 1e-6 for a, b in zip(asked, targets, strict=True))


def test_without_its_turn_an_object_is_where_it_is(rng: np.random.Generator, targets: np.ndarray):
    source, now = any_pose(rng), any_pose(rng)
    moved = transform(targets, source=unturned(source), now=unturned(now))
    np.testing.assert_allclose(moved[:, :3, :3], targets[:, :3, :3], atol=1e-12)
    np.testing.assert_allclose(moved[:, :3, 3] - now[:3, 3], targets[:, :3, 3] - source[:3, 3], atol=1e-12)
