"""Boxes are put in words that a person can act on."""

import pytest

from etude.core import Bounds, Factor, Perturbation, PerturbationSpace, Rate, describe_bounds, describe_failures, holds

SPACE = PerturbationSpace(
    "words",
    (
        Factor(name="front_camera.yaw_rad", unit="rad", low=-0.3, high=0.3, nominal=0.0, kind="camera"),
        Factor(name="cube_red.y_m", unit="m", low=-0.1, high=0.1, nominal=0.0, kind="layout"),
        Factor(name="table.friction", unit="1", low=0.0, high=4000.0, nominal=1.0, kind="physics"),
    ),
)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        (
            {"front_camera.yaw_rad": (0.1101, 0.2), "cube_red.y_m": (-0.1, -0.05)},
            "front_camera.yaw_rad in [0.11, 0.2] and cube_red.y_m < −0.05",
        ),
        ({"front_camera.yaw_rad": (-0.1, 0.3)}, "front_camera.yaw_rad > −0.1"),
        ({"front_camera.yaw_rad": (-0.001, 0.1)}, "front_camera.yaw_rad in [0, 0.1]"),
        ({"table.friction": (120.4, 1800.6)}, "table.friction in [120, 1801]"),
        ({"front_camera.yaw_rad": (0.1101, 0.1113)}, "front_camera.yaw_rad in [0.11, 0.111]"),  # digits that tell them
        ({"cube_red.y_m": (-0.1, 0.1)}, "everywhere"),
        ({}, "everywhere"),
    ],
)
def test_boxes_are_written_with_the_edges_that_bound_and_the_digits_that_matter(bounds: Bounds, words: str) -> None:
    assert describe_bounds(bounds, SPACE) == words


def test_failures_are_written_with_their_count_and_interval() -> None:
    said = describe_failures(Rate(37, 40), Rate(11, 100)).replace("\u00a0", " ")
    assert said == "92 % fail, n = 40 (80–97 %); 11 % outside"
    assert describe_failures(Rate(1, 2), Rate(0, 0)).replace("\u00a0", " ") == "50 % fail, n = 2 (9–91 %)"
    assert describe_failures(Rate(0, 0), Rate(0, 0)) == "not measured"


def test_a_box_holds_its_edges_and_unset_factors_stand_at_nominal() -> None:
    bounds = {"front_camera.yaw_rad": (-0.1, 0.2)}
    assert holds(bounds, Perturbation(), SPACE)
    assert holds(bounds, Perturbation({"front_camera.yaw_rad": 0.2, "cube_red.y_m": 0.1}), SPACE)
    assert not holds(bounds, Perturbation({"front_camera.yaw_rad": 0.21}), SPACE)
