"""Sub-tasks, progress and failure modes of hand-made moments."""

from dataclasses import replace
from itertools import pairwise

import pytest

from etude.sim.worlds.franka.stack_stages import FAILURE_MODES, HELD_STEPS, Scene, StackMonitor

EDGE = 0.04
BLUE, RED = (0.5, 0.0, 0.02), (0.4, 0.1, 0.02)
START = Scene(cubes=(BLUE, RED), gripper=(0.4, 0.0, 0.25), opening=0.08, uprightness=(1.0, 1.0))
AT_RED = replace(START, gripper=RED)
HELD = replace(START, cubes=(BLUE, (0.4, 0.1, 0.1)), gripper=(0.4, 0.1, 0.1), opening=0.04)
OVER = replace(START, cubes=(BLUE, (0.5, 0.0, 0.07)), gripper=(0.5, 0.0, 0.07), opening=0.04)
IN_PLACE = replace(START, cubes=(BLUE, (0.5, 0.0, 0.06)), gripper=(0.5, 0.0, 0.06), opening=0.04)
RELEASED = replace(IN_PLACE, opening=0.08)
BESIDE = replace(START, cubes=(BLUE, (0.53, 0.0, 0.02)))
FAR_AWAY = replace(START, cubes=(BLUE, (0.3, 0.3, 0.02)))


def follow(*moments: Scene) -> StackMonitor:
    monitor = StackMonitor(2, EDGE)
    for moment in moments:
        monitor.judge(moment)
    return monitor


@pytest.mark.parametrize(
    ("moments", "mode"),
    [
        ((START,), "no_reach"),
        ((START, AT_RED, START), "missed_grasp"),
        ((AT_RED, HELD, FAR_AWAY), "dropped"),
        ((AT_RED, HELD, OVER, BESIDE), "misplaced"),
        ((AT_RED, HELD, OVER), "timeout"),
        ((AT_RED, HELD, OVER, IN_PLACE, RELEASED, BESIDE), "knocked_over"),
        ((replace(START, uprightness=(0.5, 1.0)),), "knocked_over"),
        ((AT_RED, HELD, OVER, IN_PLACE, RELEASED), "timeout"),
    ],
)
def test_a_failure_has_a_name(moments: tuple[Scene, ...], mode: str) -> None:
    monitor = follow(*moments)
    assert monitor.failure_mode == mode
    assert mode in FAILURE_MODES
    assert monitor.progress < 1.0


def test_success_is_a_released_stack_that_stands() -> None:
    monitor = follow(AT_RED, HELD, OVER, IN_PLACE)
    for _ in range(HELD_STEPS):
        assert not monitor.success
        monitor.judge(RELEASED)
    assert monitor.success
    assert (monitor.progress, monitor.failure_mode, monitor.stage) == (1.0, "", "stack_1")


def test_progress_grows_with_every_stage_and_with_distance_inside_one() -> None:
    nearer = replace(START, gripper=(0.4, 0.05, 0.1))
    moments = (START, nearer, AT_RED, HELD, OVER, RELEASED)
    values = [follow(*moments[: i + 1]).progress for i in range(len(moments))]
    assert all(a < b for a, b in pairwise(values))


def test_what_was_reached_stays_reached() -> None:
    monitor = follow(AT_RED, HELD, OVER, FAR_AWAY)
    assert monitor.subtasks == {"grasp_1": True, "stack_1": False}
    assert monitor.progress == follow(AT_RED, HELD, OVER).progress
    assert monitor.stage == "grasp_1"
