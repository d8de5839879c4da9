import io

import pytest
from rich.console import Console

from etude.cli import terminal
from etude.cli.terminal import Bars, Lines, duration, next_at_the_end, show, show_next


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def monotonic(self) -> float:
        return self.now_s


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(terminal, "time", clock)
    return clock


def test_work_over_in_two_seconds_leaves_no_lines(clock: Clock):
    stream = io.StringIO()
    with Lines(stream)("work", 10) as update:
        for done in range(1, 11):
            clock.now_s += 0.1
            update(done, "")
    assert stream.getvalue() == ""


def test_longer_work_says_at_every_tenth_how_long_is_left(clock: Clock):
    stream = io.StringIO()
    with Lines(stream)("work", 1000) as update:
        for done in range(1, 1001):
            clock.now_s += 0.1
            update(done, "loss 1")
    lines = stream.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0] == "work: 100/1000, 1 min 30 s left, loss 1"
    assert lines[-1] == "work: 1000/1000, done, loss 1"


def test_quick_tenths_are_passed_over(clock: Clock):
    stream = io.StringIO()
    with Lines(stream)("work", 10) as update:
        for done in range(1, 11):
            clock.now_s += 0.5
            update(done, "")
    assert stream.getvalue().splitlines() == ["work: 4/10, 3 s left", "work: 8/10, 1 s left", "work: 10/10, done"]


def test_slow_work_says_something_every_ten_seconds(clock: Clock):
    stream = io.StringIO()
    with Lines(stream)("work", 10_000) as update:
        for done in range(1, 101):
            clock.now_s += 1.0
            update(done, "")
    assert len(stream.getvalue().splitlines()) == 10


def test_what_an_earlier_run_did_or_a_slow_start_tells_nothing_of_the_pace(clock: Clock):
    stream = io.StringIO()
    with Lines(stream)("work", 100) as update:
        clock.now_s += 30.0  # the workers start
        for done in range(51, 101):
            update(done, "")
            clock.now_s += 2.0
    lines = stream.getvalue().splitlines()
    assert lines[:2] == ["work: 51/100", "work: 56/100, 1 min 28 s left"]


def test_bars_may_be_nested_and_leave_a_line_each():
    stream = io.StringIO()
    bars = Bars(Console(file=stream, force_terminal=True, width=100))
    with bars("outer", 2) as outer:
        with bars("inner", 3) as inner:
            inner(3, "loss 0.5")
        outer(2, "")
    told = stream.getvalue()
    assert "inner  0 s  loss 0.5" in told
    assert "outer  0 s" in told


def test_bars_of_work_that_failed_are_taken_away():
    bars = Bars(Console(file=io.StringIO(), force_terminal=True))
    with pytest.raises(ZeroDivisionError), bars("work", 1):
        raise ZeroDivisionError
    with bars("again", 1) as update:
        update(1, "")


def test_what_to_do_next_comes_after_all_else(capsys: pytest.CaptureFixture[str]):
    with next_at_the_end():
        show_next("etude one")
        show("page: index.html")
    show_next("etude two")
    assert capsys.readouterr().out == "page: index.html\n\nNext:\n  etude one\n\nNext:\n  etude two\n"


def test_what_to_do_next_is_told_by_a_command_that_stops_to_wait_too(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit), next_at_the_end():  # noqa: PT012
        show_next("etude one")
        raise SystemExit(3)
    assert "etude one" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.2, "0 s"), (59.4, "59 s"), (65, "1 min 05 s"), (7_800, "2 h 10 min")]
)
def test_durations_read_well(seconds: float, words: str):
    assert duration(seconds) == words
