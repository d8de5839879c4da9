"""`etude annotate` as a person calls it: replays, marks by keys, files of other tools, and what it refuses."""

import io
import json
import os
import re
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import h5py
import numpy as np
import pytest
from cli.running import Run
from data.hdf5_files import write_isaaclab
from PIL import Image

from etude.cli import main, marking
from etude.cli.marking import TerminalMarker, half_blocks
from etude.data import DatasetMeta
from etude.data.hdf5 import importing
from etude.generation.loading import load_sources
from etude.sim import make_task

TASK = "franka-stack:cubes=2,distractors=0,image_size=32,cameras=front"
PLAN = make_task(TASK).segments  # pyright: ignore[reportAttributeAccessIssue]


@pytest.fixture
def run(run: Run) -> Run:
    """Run a command here; one that refuses prints nothing else."""

    def run_command(*arguments: object, code: int = 0) -> tuple[str, str]:
        out, err = run(*arguments, code=code)
        assert code != 2 or not out
        return out, err

    return run_command


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("annotate") / "human"
    assert main(["collect", TASK, "--episodes", "3", "--style", "human", "--out", str(out), "--processes", "1"]) == 0
    return out


def _keys(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_human_like_demonstrations_are_annotated_with_their_images_as_they_were(
    run: Run, demonstrations: Path, tmp_path: Path
) -> None:
    out, _ = run("annotate", demonstrations, "--auto", "--out", tmp_path / "sources", "--processes", 1)
    assert "3 of 3 demonstrations annotated" in out
    assert f"etude generate --source {tmp_path / 'sources'} --task {TASK}" in out
    videos = [sorted(p.read_bytes() for p in root.rglob("*.mp4")) for root in (demonstrations, tmp_path / "sources")]
    assert videos[0] == videos[1] != []
    assert len(load_sources(tmp_path / "sources", PLAN, task=make_task(TASK))) == 3


def test_one_line_of_json_for_each_episode(run: Run, demonstrations: Path, tmp_path: Path) -> None:
    arguments = ("annotate", demonstrations, "--auto", "--episodes", "2", "0", "--processes", 1, "--json")
    out, _ = run(*arguments, "--out", tmp_path / "sources")
    lengths = DatasetMeta.open(demonstrations).lengths
    told = [json.loads(line) for line in out.splitlines()]
    assert told == [{"episode": 0, "kept": lengths[0]}, {"episode": 2, "kept": lengths[2]}]


def test_marks_are_set_by_keys_and_go_on_another_time(
    run: Run, demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signals = [s.signal for row in PLAN.segments.values() for s in row if s.signal]
    marks = ">" + "m." * len(signals)
    arguments = ("annotate", demonstrations, "--manual", "--processes", 1, "--picture", tmp_path / "now.png")
    _keys(monkeypatch, f"{marks}\ns")  # the first is kept, the second skipped, and then there are no more keys
    out, _ = run(*arguments, "--out", tmp_path / "marked")
    assert re.search(r"left out: episode 1 was skipped by hand\nstopped after 2 of 3 episodes", out)
    with Image.open(tmp_path / "now.png") as shown:
        assert shown.size == (32, 32)
    _keys(monkeypatch, f" .{marks}q{marks}\n")
    out, _ = run(*arguments, "--out", tmp_path / "marked", "--resume")
    assert "stopped after 2 of 3" in out
    _keys(monkeypatch, f"{marks}\n")
    out, _ = run(*arguments, "--out", tmp_path / "marked", "--resume")
    assert "2 of 3 demonstrations annotated" in out
    for source in load_sources(tmp_path / "marked", PLAN):
        assert [source.rise(signal) for signal in signals] == [10 + i for i in range(len(signals))]


def test_an_episode_plays_by_a_frame_a_key_where_there_is_no_terminal(
    run: Run, demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _keys(monkeypatch, " xxx q")
    _, err = run("annotate", demonstrations, "--manual", "--processes", 1, "--out", tmp_path / "marked")
    assert re.findall(r"frame (\d+) of \d+  (\w+)", err) == [("0", "paused"), ("4", "paused"), ("4", "stop")]
    assert not (tmp_path / "marked").exists()


def test_skips_before_the_first_episode_that_is_kept_are_not_said_to_be_saved(
    run: Run, demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _keys(monkeypatch, "sq")
    out, _ = run("annotate", demonstrations, "--manual", "--processes", 1, "--out", tmp_path / "marked")
    assert "stopped after 1 of 3 episodes; none was kept, so nothing is saved" in out
    assert not (tmp_path / "marked").exists()


def test_keys_that_arrive_together_are_taken_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    reader, writer = os.pipe()
    monkeypatch.setattr(marking, "_one_key_at_a_time", lambda _terminal: nullcontext())
    with os.fdopen(reader) as keys, os.fdopen(writer, "wb", buffering=0) as pressed:
        marker: Any = TerminalMarker(SimpleNamespace(cameras=(), fps=10), [["grasp"]], keys=keys)  # pyright: ignore[reportArgumentType]
        marker._live = True
        pressed.write(b"\x1b[C\x1b[C.\x1b[1;5Cm\n")
        marks = marker(0, 9)
    assert np.flatnonzero(marks["grasp"])[0] == 3


@pytest.mark.parametrize(
    ("more", "touched", "read"),
    [
        (("--resume",), False, ["demo_1", "demo_2"]),
        ((), False, ["demo_0", "demo_1", "demo_2"]),
        (("--resume",), True, ["demo_0", "demo_1", "demo_2"]),
        (("--resume", "--quaternion", "xyzw"), False, ["demo_0", "demo_1", "demo_2"]),
    ],
)
def test_an_import_that_was_stopped_goes_on_only_as_it_was_begun(
    more: tuple[str, ...], touched: bool, read: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_isaaclab(tmp_path / "isaac.hdf5", images=False)
    arguments = ["annotate", str(path), "--auto", "--task", TASK, "--executor", "serial", "--out", str(tmp_path / "d")]
    names: list[str] = []
    read_one = importing.read_demonstration

    def stops_at_the_second(group: Any, source: Any, *rest: Any, **options: Any) -> Any:
        names.append(source.name)
        if names == ["demo_0", "demo_1"]:
            raise KeyboardInterrupt
        return read_one(group, source, *rest, **options)

    monkeypatch.setattr(importing, "read_demonstration", stops_at_the_second)
    assert main(arguments) == 130
    assert (tmp_path / ".d.imported").exists()
    if touched:
        os.utime(path, (1, 1))
    names[:] = [""]
    assert main([*arguments, *more]) == 2  # it has other names for its cubes
    assert names[1:] == read
    assert [p.name for p in tmp_path.iterdir()] == ["isaac.hdf5"]


def test_only_what_annotate_began_is_gone_on_with(run: Run, demonstrations: Path, tmp_path: Path) -> None:
    command = ("annotate", demonstrations, "--auto", "--executor", "serial", "--resume", "--out")
    _, err = run(*command, demonstrations, code=2)
    assert err == f"etude: '{demonstrations}' was not begun by `etude annotate`: choose another --out.\n"
    _, err = run(*command, tmp_path / "d", "--episodes", 0)
    assert f"nothing was saved in '{tmp_path / 'd'}' yet" in err
    collect = ("collect", TASK, "--episodes", 3, "--style", "human", "--resume", "--out")
    assert "was not begun by `etude collect`" in run(*collect, tmp_path / "d", code=2)[1]
    (tmp_path / "d/meta/etude/annotate.json").unlink()  # as if killed when the first episode was just on disk
    assert "1 of 1 demonstrations annotated" in run(*command, tmp_path / "d", "--episodes", 0)[0]


def test_an_hdf5_file_is_imported_first_and_a_wrong_one_leaves_nothing(run: Run, tmp_path: Path) -> None:
    path = write_isaaclab(tmp_path / "isaac.hdf5", images=False)
    arguments = ("annotate", path, "--auto", "--task", TASK, "--processes", 1, "--out", tmp_path / "sources")
    _, err = run(*arguments, code=2)
    assert "recorded no poses of 'cube_red', the task's 'cube_red'; it has those of cube_1, cube_2, cube_3" in err
    assert "--objects cube_red=THEIRS" in err
    _, err = run(*arguments, "--objects", "cube_red=cube_2", "cube_blue=cube_1", code=2)
    assert "--action-scale" in err
    assert [p.name for p in tmp_path.iterdir()] == ["isaac.hdf5"]


def test_signals_that_never_rise_are_told_when_the_dataset_is_annotated(
    run: Run, demonstrations: Path, tmp_path: Path
) -> None:
    run("annotate", demonstrations, "--auto", "--episodes", 0, "--out", tmp_path / "sources", "--processes", 1)
    run("data", "export", tmp_path / "sources", "--layout", "isaaclab", "--out", tmp_path / "isaac.hdf5")
    with h5py.File(tmp_path / "isaac.hdf5", "a") as file:
        file["data/demo_0/obs/datagen_info/subtask_term_signals/grasp_1"][...] = False
    arguments = ("annotate", tmp_path / "isaac.hdf5", "--auto", "--task", TASK, "--processes", 1)
    out, _ = run(*arguments, "--out", tmp_path / "back")
    assert f"cannot be cut: episode 0 of {tmp_path / 'back'}: the signal 'grasp_1' never rises" in out
    assert "none of them can be a source" in out
    assert "etude generate" not in out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "say how: --auto"),
        (("--auto", "--manual"), "say how: --auto"),
        (("--auto", "--tolerance", "0"), "--tolerance 0: must be positive"),
        (("--auto", "--objects", "cube_red"), "write NAME=THEIRS"),
        (("--manual", "--picture", "now.jpg"), "ends in .png"),
        (("--auto", "--episodes", "7"), "has the episodes 0 to 2"),
        (("--auto", "--task", "so101-sort"), "have other actions than so101-sort: 7 (dx, dy, "),
        (("--auto", "--task", "franka-stack"), "annotate it in its own task"),
        (("--manual", "--task", "franka-lift"), "of one piece, nothing to mark"),
        (("--auto", "--objects", "cube_red=cube_2"), "--objects: '"),
        (("--auto", "--signals", "grasp_1=grasp"), "is replayed in its own world"),
        (("--manual", "--action-scale", "0.5", "0.5"), "--action-scale: '"),
        (("--auto", "--close-positive"), "for demonstrations of another simulator; leave it out"),
        (("--auto", "--quaternion", "xyzw"), "--quaternion xyzw: is for HDF5 files"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    arguments: tuple[str, ...], message: str, run: Run, demonstrations: Path, tmp_path: Path
) -> None:
    _, err = run("annotate", demonstrations, *arguments, "--out", tmp_path / "out", code=2)
    assert message in err
    assert not (tmp_path / "out").exists()


def test_a_picture_in_the_terminal_keeps_its_colours_and_fits() -> None:
    image = Image.fromarray(np.array([[[255, 0, 0]] * 8, [[0, 0, 255]] * 8], np.uint8).repeat(4, axis=0))
    lines = half_blocks(image, columns=20, lines=8).splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("\x1b[38;2;255;0;0;48;2;255;0;0m▀")
    assert lines[-1].startswith("\x1b[38;2;0;0;255;48;2;0;0;255m▀")
    assert lines[0].count("▀") == 8


@pytest.mark.parametrize(("flag", "valid"), [("objects", "cube_blue, cube_red"), ("signals", "grasp_1, stack_1")])
def test_names_that_the_task_does_not_have_are_refused(
    run: Run, demonstrations: Path, tmp_path: Path, flag: str, valid: str
) -> None:
    _, err = run("annotate", demonstrations, "--auto", f"--{flag}", "nobody=x", "--out", tmp_path / "d", code=2)
    assert f"--{flag} nobody=" in err
    assert valid in err
    assert not (tmp_path / "d").exists()


def test_what_is_wrong_with_a_file_is_told_of_the_file(run: Run, tmp_path: Path) -> None:
    write_isaaclab(tmp_path / "theirs.hdf5")
    _, err = run(
        "annotate", tmp_path / "theirs.hdf5", "--auto", "--task", "so101-sort", "--out", tmp_path / "d", code=2
    )
    assert f"'{tmp_path / 'theirs.hdf5'}'" in err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["theirs.hdf5"]
