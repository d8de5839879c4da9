"""`etude study`: what it refuses, and that the command it records does the same study again."""

import shlex
from pathlib import Path

import pytest
from cli.running import Run

from etude.cli import study
from etude.cli.usage import parse
from etude.core.files import read_json
from etude.loop.study.record import Replicate

TINY = ["--preset", "smoke", "--arms", "failure", "--replicates", 2, "--rounds", 1, "--budget", 4, "--exam-cases", 4]


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--arms", "targeted", "gradient", "--pilot", "2", "--replicates", "6", "--baselines", "4", "--seed", "7"],
        ["--rounds", "2", "--budget", "20", "--exam-cases", "200"],
    ],
)
def test_the_command_that_a_study_records_registers_the_same_plan(options: list[str]):
    asked = parse(study.Options, "study", ["franka-stack", "--preset", "state", "--out", "my study", *options])
    etude, verb, *words = shlex.split(study.command_line(asked))
    assert (etude, verb) == ("etude", "study")
    again = parse(study.Options, verb, words)
    assert study.make_config(again) == study.make_config(asked)
    for name in ("replicates", "pilot", "baselines", "out"):
        assert getattr(again, name) == getattr(asked, name)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--budget", 21, "--rounds", 2], "take 20 or 22"),
        (["--arms", "failur"], "failure"),
        (["--preset", "tiny"], "smoke"),
        (["--replicates", 0], "replicates"),
        (["--baselines", 0], "baselines"),
        (["--arms-file", "none.toml"], "there is no such file"),
    ],
)
def test_a_study_refuses_bad_input_and_writes_nothing(options: list[object], told: str, run: Run, tmp_path: Path):
    words = ["study", "franka-lift", "--out", tmp_path / "s", *options]
    assert told in run(*words, code=2)[1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_replicates_in_processes_come_out_as_one_after_the_other(run: Run, tmp_path: Path):
    for processes in (1, 2):
        run("study", "franka-lift", *TINY, "--processes", processes, "--out", tmp_path / str(processes))
    for index in range(2):
        one, other = (read_json(tmp_path / n / f"confirm/replicate-0{index}/result.json") for n in "12")
        assert Replicate.from_json(one).hash == Replicate.from_json(other).hash  # all but wall-clock time
