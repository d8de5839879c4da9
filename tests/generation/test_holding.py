"""What a hand takes it takes where it lay, and then holds; demonstrations in which it does not are no sources."""

import numpy as np
import pytest
from numpy.typing import NDArray

from etude.core import Part, Segment, SegmentPlan
from etude.core.se3 import exp_rotation, pose
from etude.generation.cutting import span, why_uncut
from etude.generation.holding import lost, pushed
from etude.generation.source import SourceDemonstration

PLAN = SegmentPlan(segments={"hand": (Segment(signal="lift", object="egg"), Segment(carried="egg"))})
COMES, LIFTS, LENGTH = 20, 30, 60  # frames
LIES, UP = np.array([0.3, 0.1, 0.0]), np.array([0.0, 0.0, 1.0])
NOWHERE = pose(np.array([1.0, -2.0, 0.5]), exp_rotation(np.array([0.4, -0.2, 0.9])))


def demonstration(push_m: float = 0.0, drop_m: float = 0.0, *, again: bool = True) -> SourceDemonstration:
    """A hand comes down to an egg, lifts and turns it; frame 10 may push it, and frames 40 to 49 leave it below."""
    frames = np.arange(LENGTH)
    high = np.abs(frames - COMES) / 100 * ((frames < COMES) | (frames >= LIFTS))
    turns = np.maximum(frames - LIFTS, 0) / 20
    hands = np.stack([pose(LIES + h * UP, exp_rotation(a * UP)) for h, a in zip(high, turns, strict=True)])
    eggs = np.stack([pose(LIES, np.eye(3))] * LENGTH)
    eggs[LIFTS:] = hands[LIFTS:]
    eggs[:10, 0, 3] -= push_m
    eggs[40 : 50 if again else LENGTH, 2, 3] -= drop_m
    return SourceDemonstration(
        episode=0,
        actions=np.zeros((LENGTH, 3), np.float32),
        objects={"egg": NOWHERE @ eggs},
        grippers={"hand": NOWHERE @ hands},
        targets={"hand": NOWHERE @ hands},
        commands={"hand": np.zeros(LENGTH)},
        signals={"lift": frames >= LIFTS},
    )


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (demonstration(), ""),
        (demonstration(push_m=0.005, drop_m=0.02), ""),  # as fingers shift what they close on
        (demonstration(drop_m=0.1, again=False), ""),  # let go
        (demonstration(push_m=0.03), "'egg' is pushed at frame 10, before gripper 'hand' takes it"),
        (demonstration(drop_m=0.1), "gripper 'hand' loses 'egg' at frame 40, and takes it again"),
    ],
)
def test_a_source_takes_a_thing_where_it_lay_and_holds_it(made: SourceDemonstration, why: str):
    assert why_uncut(made, PLAN) == why


def test_what_is_not_said_to_be_carried_may_be_pushed_about():
    plan = SegmentPlan(segments={"hand": (Segment(signal="lift", object="egg"), Segment())})
    assert why_uncut(demonstration(push_m=0.03, drop_m=0.1), plan) == ""


def parts(made: SourceDemonstration, index: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    first, last = span(made, PLAN, {"hand": [0, 0]}, Part("hand", index))
    return made.grippers["hand"][first:last], made.objects["egg"][first:last]


def test_the_frames_are_the_same_from_wherever_they_are_seen():
    made = demonstration(push_m=0.03, drop_m=0.1)
    for frame, (hands, eggs) in ((pushed, parts(made, 0)), (lost, parts(made, 1))):
        assert frame(hands, eggs) == frame(NOWHERE @ hands, NOWHERE @ eggs) == 10
