"""`etude data check`, `trim` and `cut` as they are used."""

import json
from pathlib import Path

import pytest
from data.faults import FAULTS, HIT, write_clean
from PIL import Image

from etude.cli import main


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    write_clean(tmp_path / "demo")
    return tmp_path / "demo"


def test_exit_codes_say_whether_it_is_broken(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "check", str(dataset)]) == 0
    assert "4 episodes (4 ok), 240 frames" in capsys.readouterr().out
    FAULTS["duplicated frame"].plant(dataset)
    assert main(["data", "check", str(dataset)]) == 0
    assert "episode 1: warning" in capsys.readouterr().out
    FAULTS["nan"].plant(dataset)
    assert main(["data", "check", str(dataset)]) == 1
    assert "action gripper is not a finite number at frame 7 (0.35 s)" in capsys.readouterr().out
    assert main(["data", "check", str(tmp_path / "nothing")]) == 2
    assert main(["data", "check", str(dataset), "--repair"]) == 2
    assert "--repair and --out DIR go together" in capsys.readouterr().err


def test_json_is_one_line_with_all_of_it(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    FAULTS["frozen camera"].plant(dataset)
    out, picture = tmp_path / "repaired", tmp_path / "outliers.png"
    command = ["data", "check", str(dataset), "--json", "--repair", "--out", str(out), "--picture", str(picture)]
    assert main(command) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["broken"]
    assert told["episodes"][HIT] == {"episode": HIT, "verdict": "broken"}
    assert {"frozen camera"} <= {finding["check"] for finding in told["findings"]}
    assert told["repaired"]["kept"] == [0, 2, 3]
    with Image.open(picture) as drawn:
        assert drawn.width == 1000
    assert main(["data", "check", str(out)]) == 0
    assert main(command) == 2  # the copy is there already
    assert "already exists" in capsys.readouterr().err


def test_a_refused_repair_leaves_nothing(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    for path in dataset.rglob("*.mp4"):
        path.unlink()
    assert main(["data", "check", str(dataset), "--repair", "--out", str(tmp_path / "repaired")]) == 2
    assert "is whole" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["demo"]


def test_trim_and_cut_say_what_they_did(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "trim", str(dataset), "--out", str(tmp_path / "t"), "--at-success", "--after-s", "0.2"]) == 0
    told = capsys.readouterr().out
    assert "success at 2.45 s" in told
    assert "4 episodes, 216 of 240 frames (90%)" in told
    assert main(["data", "cut", str(dataset), "--out", str(tmp_path / "c"), "--json"]) == 0
    parts = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(part["episode"], part["task"]) for part in parts[:2]] == [(0, "grasp"), (0, "place")]
    assert main(["data", "cut", str(dataset), "--out", str(tmp_path / "d"), "--subtasks", "gras"]) == 2
    assert "valid sub-tasks are grasp, place" in capsys.readouterr().err
    assert not (tmp_path / "d").exists()
