"""Rectangles on a table: what overlaps, and where the seed finds room."""

from math import pi

import numpy as np
import pytest

from etude.core import InfeasibleError, Perturbation, stream
from etude.sim.layout import LEAST_GAP_M, Placement, Thing, draw_places, gap_between, overlap, rectangles_overlap

CUBES = tuple(Thing(name, (0.02, 0.02), (0.4, 0.6), (-0.1, 0.1), (-1.0, 1.0)) for name in ("blue", "red", "green"))
PLATE = Thing("plate", (0.03, 0.05), (0.5, 0.5), (0.0, 0.0))


def grid(place: Placement, half: tuple[float, float], n: int = 41) -> np.ndarray:
    """Points of a rectangle, (n², 2)."""
    points = np.stack(np.meshgrid(*(np.linspace(-h, h, n) for h in half)), -1).reshape(-1, 2)
    c, s = np.cos(place.yaw), np.sin(place.yaw)
    return points @ np.array([[c, s], [-s, c]]) + [place.x, place.y]


def inside(points: np.ndarray, place: Placement, half: tuple[float, float]) -> bool:
    c, s = np.cos(place.yaw), np.sin(place.yaw)
    own = (points - [place.x, place.y]) @ np.array([[c, -s], [s, c]])
    return bool((np.abs(own) <= half).all(axis=1).any())


def test_overlap_agrees_with_sampled_points() -> None:
    rng = stream(0, "pairs")
    halves = (0.02, 0.02), (0.018, 0.03)
    for _ in range(300):
        a, b = (Placement(*(rng.uniform(-1, 1, 3) * [0.04, 0.04, 3.0]).tolist()) for _ in range(2))
        sampled = inside(grid(a, halves[0]), b, halves[1]) or inside(grid(b, halves[1]), a, halves[0])
        exact = rectangles_overlap(a, halves[0], b, halves[1])
        assert exact >= sampled
        if exact and not sampled:  # only by less than the samples' spacing
            assert not rectangles_overlap(a, (0.0185, 0.0185), b, (0.0165, 0.0285))
        assert (gap_between(a, halves[0], b, halves[1]) <= 0) == exact
        assert gap_between(a, halves[0], b, halves[1]) == pytest.approx(gap_between(b, halves[1], a, halves[0]))


def test_gaps_are_distances_between_parallel_sides_and_turn_with_the_pair() -> None:
    a, b = Placement(0.0, 0.0, 0.0), Placement(0.1, 0.01, pi / 2)
    assert gap_between(a, (0.02, 0.03), b, (0.01, 0.04)) == pytest.approx(0.1 - 0.02 - 0.04)
    for turn in (0.3, 1.0, 2.5):
        c, s = np.cos(turn), np.sin(turn)
        turned = Placement(c * b.x - s * b.y, s * b.x + c * b.y, b.yaw + turn)
        assert gap_between(Placement(0.0, 0.0, turn), (0.02, 0.03), turned, (0.01, 0.04)) == pytest.approx(0.04)


def at(name: str, x: float, y: float, **yaw: float) -> dict[str, float]:
    return {f"{name}.x_m": x, f"{name}.y_m": y, **{f"{name}.yaw_rad": value for value in yaw.values()}}


def test_things_may_all_but_touch_and_not_overlap() -> None:
    for gap, free in ((LEAST_GAP_M + 1e-6, True), (LEAST_GAP_M - 1e-6, False), (-0.02, False)):
        theta = Perturbation({**at("blue", 0.5, 0.0, yaw=0.0), **at("red", 0.5, 0.04 + gap, yaw=0.0)})
        assert (overlap(CUBES, theta) is None) == free
        assert overlap(CUBES[::2], theta) is None, "red is not among them"
    assert overlap(CUBES, theta) == "blue and red overlap (they need a gap of 1 mm)"
    assert overlap(CUBES, theta, gap_m=-0.03) is None


def test_a_turn_left_to_the_seed_needs_room_for_every_turn() -> None:
    near = {**at("blue", 0.5, 0.0, yaw=0.0), **at("red", 0.5, 0.045)}
    assert overlap(CUBES, Perturbation(near)) is not None
    assert overlap(CUBES, Perturbation(near | {"red.yaw_rad": 0.0})) is None
    assert overlap(CUBES, Perturbation(near | {"red.y_m": 0.058})) is None
    beside = at("plate", 0.5, 0.0) | at("blue", 0.552, 0.0, yaw=0.0)
    assert overlap([PLATE, *CUBES], Perturbation(beside)) is None, "a thing that cannot turn is not turned"


def test_what_one_coordinate_leaves_open_finds_room() -> None:
    assert overlap(CUBES, Perturbation({**at("blue", 0.5, 0.0), "red.x_m": 0.5})) is None


def test_a_thing_that_always_lies_in_one_place_needs_no_theta_to_be_in_the_way() -> None:
    pad = Thing("pad", (0.05, 0.05), (0.5, 0.5), (-0.14, -0.14))
    near = Perturbation(at("blue", 0.5, -0.08))
    assert overlap([CUBES[0], pad], near) == "blue and pad overlap (they need a gap of 1 mm)"
    with pytest.raises(InfeasibleError, match="no free place"):
        draw_places([CUBES[0], pad], near, stream(0))
    assert overlap([CUBES[0], pad], Perturbation(at("blue", 0.5, 0.0))) is None


def test_the_seed_places_what_theta_leaves_free_without_overlap() -> None:
    by_name = {thing.name: thing for thing in CUBES}
    for seed in range(30):
        theta = Perturbation({**at("blue", 0.5, 0.0), "red.y_m": 0.01})
        layout = draw_places(CUBES, theta, stream(seed, "layout"))
        assert (layout["blue"].x, layout["blue"].y, layout["red"].y) == (0.5, 0.0, 0.01)
        for i, (a, first) in enumerate(layout.items()):
            low, high = by_name[a].x_m
            assert low <= first.x <= high
            for b, second in list(layout.items())[i + 1 :]:
                assert gap_between(first, by_name[a].half_m, second, by_name[b].half_m) >= LEAST_GAP_M


def test_what_the_seed_places_keeps_its_distance_and_leaves_room_for_what_is_there() -> None:
    there = {PLATE: Placement(0.5, 0.0, 0.0)}
    for seed in range(30):
        layout = draw_places(CUBES[:2], Perturbation(), stream(seed, "layout"), separation_m=0.1, around=there)
        blue, red = layout.values()
        assert np.hypot(blue.x - red.x, blue.y - red.y) >= 0.1
        assert all(gap_between(p, (0.02, 0.02), there[PLATE], PLATE.half_m) >= LEAST_GAP_M for p in (blue, red))


def test_a_factor_set_where_the_seed_would_have_it_moves_nothing_else() -> None:
    free = draw_places(CUBES, Perturbation(), stream(3, "layout"), separation_m=0.05)
    pinned = Perturbation({"red.yaw_rad": 0.5, "green.x_m": free["green"].x})
    moved = draw_places(CUBES, pinned, stream(3, "layout"), separation_m=0.05)
    assert moved["blue"] == free["blue"]
    assert moved["green"] == free["green"]
    assert (moved["red"].x, moved["red"].y, moved["red"].yaw) == (free["red"].x, free["red"].y, 0.5)


def test_where_there_is_no_room_it_says_so() -> None:
    everywhere = {Thing("tray", (0.3, 0.3), (0.0, 0.0), (0.0, 0.0)): Placement(0.5, 0.0, 0.0)}
    with pytest.raises(InfeasibleError, match="no free place for blue, red, green"):
        draw_places(CUBES, Perturbation(), stream(0, "layout"), around=everywhere)
