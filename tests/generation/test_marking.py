"""Marks are set in order, can be taken back, and are kept only when all are there."""

import numpy as np
import pytest

from etude.core import UnknownNameError
from etude.generation.marking import Marking


def _after(*commands: str, start: Marking | None = None) -> Marking:
    marking = start or Marking(length=30, rows=(("grasp", "stack"),))
    for command in commands:
        marking = marking.after(command)  # pyright: ignore[reportArgumentType]
    return marking


def test_time_passes_only_while_it_plays_and_stops_at_the_end() -> None:
    assert _after("tick").frame == 0
    assert _after("play", "tick", "tick").frame == 2
    assert _after("play", "tick", "play", "tick").frame == 1
    ended = _after("play", *["tick"] * 40)
    assert (ended.frame, ended.playing) == (29, False)
    assert not _after("play", start=ended).playing


def test_stepping_pauses_and_stays_inside() -> None:
    assert _after("back").frame == 0
    stepped = _after("play", "forward")
    assert (stepped.frame, stepped.playing) == (1, False)
    assert _after("jump", "jump", "jump").frame == 29
    assert _after("jump", "jump", "rewind").frame == 10


def test_marks_become_signals_that_rise_there() -> None:
    done = _after("jump", "mark", "forward", "forward", "mark").done()
    assert {name: int(np.argmax(signal)) for name, signal in done.items()} == {"grasp": 10, "stack": 12}
    assert done["grasp"][10:].all()


def test_marks_that_would_leave_a_segment_empty_are_refused_with_the_reason() -> None:
    assert _after("mark").notice == "'grasp' must come after the beginning (frame 0)"
    assert _after("jump", "mark", "mark").notice == "'stack' must come after 'grasp' (frame 10)"
    late = _after("jump", "mark", "jump", "mark")
    assert late.after("mark", "grasp").notice == "'stack' must come after 'grasp' (frame 20)"


def test_a_sub_task_can_be_marked_anew_by_name_and_the_last_mark_taken_back() -> None:
    marking = _after("jump", "mark", "forward", "forward", "mark", "back")
    assert dict(marking.after("mark", "stack").marks) == {"grasp": 10, "stack": 11}
    assert dict(marking.after("undo").marks) == {"grasp": 10}
    assert marking.after("undo").next_signal == "stack"


def test_only_whole_marks_are_kept_and_then_nothing_more_happens() -> None:
    early = _after("jump", "mark", "keep")
    assert (early.ending, early.notice) == ("", "'stack' is not marked yet")
    kept = _after("forward", "mark", "keep", start=early)
    assert kept.ending == "keep"
    assert kept.after("undo") == kept
    assert _after("skip").ending == "skip"
    assert _after("stop").ending == "stop"


def test_unknown_commands_and_sub_tasks_are_named() -> None:
    with pytest.raises(UnknownNameError, match="unknown command 'markk'. Did you mean 'mark'"):
        _after("markk")
    with pytest.raises(UnknownNameError, match="unknown sub-task 'lift'"):
        _after("jump").after("mark", "lift")
