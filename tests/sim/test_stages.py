"""Sub-tasks in order, progress that never falls, success that has to last."""

from itertools import pairwise

import pytest

from etude.sim.stages import StageTracker

NAMES = ("reach", "grasp", "place")


def follow(*moments: tuple[int, float, bool], hold_steps: int = 2) -> StageTracker:
    tracker = StageTracker(NAMES, hold_steps)
    for reached, share, goal in moments:
        tracker.update(reached=reached, share=share, goal=goal, failure_mode="dropped")
    return tracker


def test_it_begins_with_nothing() -> None:
    tracker = follow((0, 0.0, False))
    assert (tracker.progress, tracker.stage, tracker.success, tracker.failure_mode) == (0.0, "", False, "dropped")
    assert tracker.subtasks == dict.fromkeys(NAMES, False)


def test_progress_grows_with_sub_tasks_and_with_the_share_of_the_next() -> None:
    moments = [(0, 0.0, False), (0, 0.5, False), (1, 0.0, False), (1, 0.9, False), (2, 0.3, False), (3, 0.0, False)]
    values = [follow(*moments[: i + 1]).progress for i in range(len(moments))]
    assert all(a < b for a, b in pairwise(values))
    assert values[1] == pytest.approx(0.5 / 3)
    assert values[-1] == 0.99


def test_what_was_reached_stays_reached() -> None:
    tracker = follow((2, 0.4, False), (0, 0.1, False))
    assert tracker.stage == "grasp"
    assert tracker.subtasks == {"reach": True, "grasp": True, "place": False}
    assert tracker.progress == pytest.approx(2.4 / 3)


def test_success_is_a_goal_that_holds() -> None:
    goal = (3, 0.0, True)
    assert not follow(goal).success
    held = follow(goal, goal)
    assert (held.success, held.progress, held.failure_mode, held.stage) == (True, 1.0, "", "place")
    lost = follow(goal, goal, (2, 0.5, False))
    assert (lost.success, lost.progress, lost.failure_mode) == (False, 0.99, "dropped")
    assert not follow(goal, (2, 0.5, False), goal).success


def test_a_goal_reaches_every_sub_task() -> None:
    assert all(follow((1, 0.2, True)).subtasks.values())
