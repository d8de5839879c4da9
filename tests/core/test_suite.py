"""Suites are frozen, files are whole or absent, and errors travel."""

import errno
import json
import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from toys import SPACE

from etude.core import (
    Case,
    ConfigError,
    EtudeError,
    FactorRangeError,
    InfeasibleError,
    MismatchError,
    Perturbation,
    Pocket,
    Rate,
    RunExistsError,
    ShapeError,
    Suite,
    UnknownNameError,
)
from etude.core.files import read_json, write_bytes, write_json

RNG = np.random.default_rng(0)
SUITE = Suite(
    name="exam",
    task="toy-point",
    space_hash=SPACE.hash,
    cases=tuple(Case(SPACE.sample(RNG), seed) for seed in range(5)),
    labels=("a", "a", "b", "b", "b"),
)


def test_a_suite_survives_the_disk_with_its_hash(tmp_path: Path) -> None:
    SUITE.save(tmp_path / "exam.json")
    loaded = Suite.load(tmp_path / "exam.json")
    assert loaded == SUITE
    assert loaded.hash == SUITE.hash


@pytest.mark.parametrize("what", ["seed", "theta", "order", "label", "space", "dropped", "hash"])
def test_any_change_of_a_frozen_suite_is_noticed(tmp_path: Path, what: str) -> None:
    SUITE.save(tmp_path / "exam.json")
    record = json.loads((tmp_path / "exam.json").read_text())
    match what:
        case "seed":
            record["cases"][0]["seed"] += 1
        case "theta":
            record["cases"][1]["theta"]["light.intensity"] += 1e-12
        case "order":
            record["cases"].reverse()
        case "label":
            record["labels"][0] = "b"
        case "space":
            record["space_hash"] = "0" * 16
        case "dropped":
            record["cases"].pop()
        case _:
            del record["hash"]
    (tmp_path / "exam.json").write_text(json.dumps(record))
    with pytest.raises(MismatchError, match="was changed"):
        Suite.load(tmp_path / "exam.json")


def test_what_is_no_suite_is_told_in_one_line(tmp_path: Path) -> None:
    write_json(tmp_path / "other.json", {"name": "x"})
    write_json(tmp_path / "list.json", [1, 2])
    for name, message in (
        ("other.json", "not a suite"),
        ("list.json", "not a suite"),
        ("absent.json", "does not exist"),
    ):
        with pytest.raises(EtudeError, match=message):
            Suite.load(tmp_path / name)


def test_the_hash_follows_the_content() -> None:
    assert replace(SUITE, cases=SUITE.cases[::-1]).hash != SUITE.hash
    assert replace(SUITE, name="exam").hash == SUITE.hash


def test_pockets_are_values_that_know_what_they_contain() -> None:
    pocket = Pocket(
        name="dark",
        bounds={"light.intensity": (0.2, 0.9)},
        inside=Rate(9, 10),
        outside=Rate(1, 10),
        expert=Rate(10, 10),
        volume=0.5,
    )
    assert pickle.loads(pickle.dumps(pocket)) == pocket == Pocket.from_json(json.loads(json.dumps(pocket.to_json())))
    assert pocket.contains(Perturbation({"light.intensity": 0.2}), SPACE)
    assert not pocket.contains(Perturbation({"light.intensity": 0.95}), SPACE)
    assert pocket.contains(Perturbation(), SPACE)  # the nominal light is 0.8
    assert pocket.describe(SPACE) == "light.intensity < 0.9: 90\u00a0% fail, n = 10 (60–98\u00a0%); 10\u00a0% outside"


def test_a_suite_is_of_one_task_and_one_space() -> None:
    SUITE.require("toy-point", SPACE)
    narrower = SPACE.narrowed({"light.intensity": (0.3, 0.5)})
    for task, space, words in (("toy-point", narrower, narrower.hash), ("toy-point:max_steps=9", SPACE, "max_steps=9")):
        with pytest.raises(MismatchError) as told:
            SUITE.require(task, space)
        said = str(told.value)
        assert all(part in said for part in ("suite 'exam' was made for toy-point", words, f"etude search {task}"))
        assert "\n" not in said


def test_files_are_replaced_whole_and_leave_nothing_behind(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.json"
    write_json(path, {"b": 1, "a": [1.5, None]})
    write_json(path, {"b": 2})
    assert read_json(path) == {"b": 2}
    assert [p.name for p in path.parent.iterdir()] == ["file.json"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"kept": True})
    with pytest.raises(TypeError):
        write_json(path, {"not json": object()})
    assert read_json(path) == {"kept": True}


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"kept": True})

    def no_space(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", no_space)
        with pytest.raises(OSError, match="No space left"):
            write_json(path, {"lost": True})
    assert read_json(path) == {"kept": True}
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.bin"
    write_bytes(path, b"old")
    code = (
        "import os, signal, sys; from pathlib import Path; from etude.core.files import write_bytes\n"
        "os.fsync = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "write_bytes(Path(sys.argv[1]), b'new' * 10**6)"
    )
    assert subprocess.run([sys.executable, "-c", code, str(path)], check=False).returncode < 0
    assert path.read_bytes() == b"old"
    write_bytes(path, b"new")
    assert path.read_bytes() == b"new"


def test_json_that_cannot_be_read_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"a": ')
    with pytest.raises(EtudeError, match=r"broken.json.*not valid JSON"):
        read_json(tmp_path / "broken.json")


@pytest.mark.parametrize(
    "error",
    [
        UnknownNameError("task", "franka-stak", ["franka-stack", "toy"]),
        FactorRangeError("light.intensity", 2.0, 0.0, 1.0, "1"),
        InfeasibleError("cubes overlap"),
        ShapeError("action", (7,), (6,)),
        RunExistsError("runs/demo"),
        ConfigError("slots = 0"),
    ],
    ids=lambda e: type(e).__name__,
)
def test_errors_travel_with_message_and_evidence(error: EtudeError) -> None:
    there = pickle.loads(pickle.dumps(error))
    assert type(there) is type(error)
    assert str(there) == str(error)
    assert vars(there) == vars(error)
    assert "\n" not in str(error)


def test_an_unknown_name_suggests_the_nearest_and_lists_the_valid() -> None:
    message = str(UnknownNameError("task", "franka-stak", ["toy", "franka-stack"]))
    assert message == "unknown task 'franka-stak'. Did you mean 'franka-stack'? Valid: franka-stack, toy."
    assert str(UnknownNameError("policy", "zzz", [])) == "unknown policy 'zzz'. Valid: (none)."
