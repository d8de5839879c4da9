"""Demonstrations are cut where their signals first rise, a little off each time, and never twice in one place."""

import numpy as np
import pytest

from etude.core import Part, Segment, SegmentPlan
from etude.generation.cutting import draw_offsets, span, why_uncut
from etude.generation.source import SourceDemonstration

PLAN = SegmentPlan(
    segments={"hand": (Segment(signal="a", offsets=(-2, 1)), Segment(signal="b", offsets=(0, 3)), Segment())}
)


def source(a: int, b: int, length: int = 20) -> SourceDemonstration:
    frames = np.arange(length)
    poses = np.tile(np.eye(4), (length, 1, 1))
    return SourceDemonstration(
        episode=0,
        actions=np.zeros((length, 3), np.float32),
        objects={},
        grippers={"hand": poses},
        targets={"hand": poses},
        commands={"hand": np.zeros(length)},
        signals={"a": frames >= a, "b": (frames >= b) & (frames < b + 2)},
    )


def spans(offsets: list[int]) -> list[tuple[int, int]]:
    return [span(source(5, 12), PLAN, {"hand": offsets}, Part("hand", i)) for i in range(3)]


def test_segments_follow_one_another_from_the_first_frame_to_the_last():
    assert spans([0, 0, 0]) == [(0, 5), (5, 12), (12, 20)]
    assert spans([-2, 3, 0]) == [(0, 3), (3, 15), (15, 20)]


def test_offsets_are_drawn_over_all_of_their_ranges():
    rng = np.random.default_rng(0)
    drawn = np.array([draw_offsets(PLAN, rng)["hand"] for _ in range(200)])
    assert [sorted(set(column)) for column in drawn.T.tolist()] == [[-2, -1, 0, 1], [0, 1, 2, 3], [0]]


@pytest.mark.parametrize(
    ("a", "b", "why"),
    [
        (5, 7, ""),
        (5, 6, "as late as frame 6, and at 'b' as early as frame 6"),
        (2, 10, "cut at the beginning as late as frame 0, and at 'a' as early as frame 0"),
        (5, 17, "cut at 'b' as late as frame 20, and at the end as early as frame 20"),
    ],
)
def test_windows_that_might_cross_are_told(a: int, b: int, why: str):
    told = why_uncut(source(a, b), PLAN)
    assert why in told
    assert bool(why) == bool(told)
