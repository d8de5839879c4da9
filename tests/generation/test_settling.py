"""Fingers that need longer than in the source get their time; nothing else of a segment changes."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from generation.grasping import GraspEnvironment, GraspTask
from generation.test_generate import PLAIN, SOURCES, TASK

from etude.core import Case, ConfigError, Perturbation, Segment, SegmentPlan, derive_seed, stream
from etude.generation.generate import Attempt, generate
from etude.generation.settling import rests, settled_frames


class SlowFingers(GraspEnvironment):
    """Fingers that close three control steps after they are told to."""

    def reset(self, **arguments: Any) -> Any:
        self.told = [1.0] * 3
        return super().reset(**arguments)

    def step(self, action: Any) -> Any:
        self.told.append(float(action[2]))
        return super().step([*action[:2], max(self.told[-4:])])


def attempts(environment: GraspEnvironment, settle_steps: int) -> list[Attempt]:
    row = (Segment(signal="grasp", object="puck", settle_steps=settle_steps), Segment(object="goal"))
    cases = [Case(Perturbation(), derive_seed(seed, "case")) for seed in range(5)]
    plan = SegmentPlan(segments={"hand": row})
    return [generate(environment, plan, SOURCES, case, stream(case.seed, "generate"), PLAIN) for case in cases]


def test_fingers_that_close_late_hold_what_they_are_given_time_for():
    slow = SlowFingers(TASK, object_state=False)
    assert sum(a.outcome.success for a in attempts(slow, 0)) <= 1  # the hand may chance to wait
    assert all(a.outcome.success for a in attempts(slow, 3))


def test_the_hand_holds_still_while_it_waits_and_does_the_same_otherwise():
    plain, settled = (attempts(GraspEnvironment(GraspTask(), object_state=False), steps) for steps in (0, 2))
    for before, after in zip(plain, settled, strict=True):
        closing = int(np.argmax(before.actions[:, 2] < 0))
        np.testing.assert_array_equal(after.actions[: closing + 1], before.actions[: closing + 1])
        np.testing.assert_allclose(after.actions[closing + 1 : closing + 3, :2], 0.0, atol=1e-5)
        assert set(after.actions[closing + 1 : closing + 3, 2]) == {-1.0}
        assert len(after.actions) == len(before.actions) + 2


@pytest.mark.parametrize(
    ("commands", "expected"),
    [
        ([1, 1, 1, 0, 0, 0], [3]),
        ([0, 0, 1, 1, 0, 0], [2, 4]),
        ([1, 0.8, 0.5, 0.1, 0, 0], [4]),
        ([1, 1, 0], [2]),
        ([1, 0.99, 1, 1, 0.98, 1], []),
        ([1, 1, 0.999, 0.5, 0, 0.001, 0, 0.001], [4]),  # a reading's last digit
        ([1, 1, 1], []),
        ([1], []),
    ],
)
def test_fingers_come_to_rest_where_a_large_change_ends(commands: list[float], expected: list[int]):
    assert rests(np.array(commands, np.float64), 1.0).tolist() == expected


def test_frames_are_repeated_at_rests_alone():
    assert settled_frames(4, [1, 3], 2).tolist() == [0, 1, 1, 1, 2, 3, 3, 3]
    assert settled_frames(3, [1, 1, 7], 1).tolist() == [0, 1, 1, 2]
    assert settled_frames(3, [], 5).tolist() == [0, 1, 2]


def test_a_negative_wait_is_refused():
    with pytest.raises(ConfigError, match="settle_steps = -1 must be at least 0"):
        replace(Segment(), settle_steps=-1)
