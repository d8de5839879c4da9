"""Films of recorded episodes: every number has a legible place, and the cursor is where the frame is."""

from collections.abc import Iterator

import numpy as np
import pytest

from etude.evaluation import plots, recorded_frames
from etude.evaluation.recorded import HEIGHT_PX, WIDTH_PX

LENGTH = 12


def numbers(size: int) -> np.ndarray:
    return np.random.default_rng(size).standard_normal((LENGTH, size)).cumsum(axis=0)


def images(height: int, width: int) -> Iterator[np.ndarray]:
    return (np.full((height, width, 3), 20 * t, np.uint8) for t in range(LENGTH))


@pytest.mark.parametrize(
    ("names", "sizes", "drawn"),
    [
        ({"state": ("a", "b"), "action": ("a", "b")}, (2, 2), [("a", 2), ("b", 2)]),
        ({"state": ("a.pos", "b.pos"), "action": ("a.target", "b.target")}, (2, 2), [("a.pos", 2), ("b.pos", 2)]),
        ({"state": ("x.m", "x.rad"), "action": ("dx", "dy")}, (2, 2), [("x.m", 1), ("x.rad", 1), ("dx", 1), ("dy", 1)]),
        ({"state": ("a", "b", "c"), "action": ("a",)}, (3, 1), [("a", 1), ("b", 1), ("c", 1), ("a", 1)]),
        ({}, (1, 2), [("state 0", 1), ("action 0", 1), ("action 1", 1)]),
        ({"state": ("only one",)}, (2, 0), [("state 0", 1), ("state 1", 1)]),
    ],
)
def test_states_and_actions_of_the_same_joints_share_a_plot(names: dict, sizes: tuple[int, int], drawn: list):
    values = {kind: numbers(n) for kind, n in zip(("state", "action"), sizes, strict=True) if n}
    assert [(plot.title, len(plot.series)) for plot in plots(names, values)] == drawn


@pytest.mark.parametrize("size", [0, 1, 7, 14, 50])
@pytest.mark.parametrize("shapes", [[], [(96, 96)], [(48, 64)] * 4, [(48, 64), (64, 48)]])
def test_any_number_of_plots_and_cameras_fits_the_frame(size: int, shapes: list[tuple[int, int]]):
    drawn = plots({}, {"state": numbers(size)}) if size else []
    cameras = {f"camera {i}": images(*shape) for i, shape in enumerate(shapes)}
    frames = list(recorded_frames("title", drawn, cameras, length=LENGTH, fps=10))
    assert len(frames) == LENGTH
    assert {frame.shape for frame in frames} == {(HEIGHT_PX, WIDTH_PX, 3)}
    if size:
        background = frames[0][-8:].astype(int)
        assert (background == 255).all()  # nothing runs over the margin


def test_the_cursor_moves_to_the_right_by_equal_steps():
    # A white frame otherwise: the cursor is what is dark over the height of the plot.
    frames = recorded_frames("", plots({}, {"state": np.zeros((LENGTH, 1))}), {}, length=LENGTH, fps=10)
    columns = [np.flatnonzero((frame[200:500] < 80).all(axis=-1).mean(axis=0) > 0.9) for frame in frames]
    assert all(len(found) == 1 for found in columns)
    steps = np.diff([int(found[0]) for found in columns])
    assert steps.min() > 0
    assert steps.max() - steps.min() <= 1


def test_values_that_are_none_and_constant_ones_are_drawn():
    values = np.full((LENGTH, 3), 2.0)
    values[3:5, 1], values[:, 2] = np.nan, np.nan
    frames = list(recorded_frames("", plots({}, {"state": values}), {}, length=LENGTH, fps=10))
    assert len(frames) == LENGTH
