"""`etude data inspect`, `import` and `export` as a person calls them."""

import json
import re
import shlex
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from data.hdf5_files import contents, write_act, write_isaaclab, write_robomimic
from data.recordings import write

from etude.cli import main
from etude.data import DatasetMeta

type Run = Callable[..., str]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def run_command(*arguments: object, code: int = 0) -> str:
        found = main(["data", *(str(argument) for argument in arguments)])
        out, err = capfd.readouterr()
        assert found == code, err
        if code:
            assert err.startswith("etude: "), err
            assert err.count("\n") == 1, err
            assert not out
        return err if code else out

    return run_command


def test_the_tree_of_a_file_shows_shapes_types_compression_and_short_attributes(run: Run, tmp_path: Path):
    path = write_robomimic(tmp_path / "demo.hdf5", (4, 3, 5), size=16)
    told = run("inspect", path)
    assert "layout robomimic" in told
    assert "agentview_image  4×16×16×3 uint8  gzip" in told
    assert "actions  4×7 float64\n" in told
    assert "(2 more like demo_0, up to their lengths and attributes)" in told
    assert "model_file = <mujoco model='stack'>" in told
    assert "characters)" in told
    assert "total = 12" in told
    assert max(len(line) for line in told.splitlines()) < 500
    found = json.loads(run("inspect", path, "--json"))
    assert (found["layout"], found["bytes"]) == ("robomimic", path.stat().st_size)
    data = next(child for child in found["tree"]["children"] if child["name"] == "data")
    assert [child["name"] for child in data["children"]] == ["demo_0", "demo_1", "demo_2"]
    actions = next(child for child in data["children"][2]["children"] if child["name"] == "actions")
    assert (actions["shape"], actions["dtype"], actions["compression"]) == ([5, 7], "float64", None)


def test_the_summary_of_a_dataset(run: Run, tmp_path: Path):
    write(tmp_path / "dataset")
    told = run("inspect", tmp_path / "dataset")
    for part in ("LeRobot v3.0, robot toy", "3 episodes, 25 frames at 20 Hz, 1.2 s", "successes: 2 of 3"):
        assert part in told
    assert "front: 32×48, video, h264" in told
    assert "action: 2 float32  (dx, dy)" in told
    found = json.loads(run("inspect", tmp_path / "dataset", "--json"))
    assert (found["version"], found["episodes"], found["successes"]) == ("v3.0", 3, 2)
    assert found["tasks"] == ["stack the cubes"]
    assert found["features"]["observation.state"]["shape"] == [3]
    assert found["bytes"] > 0


def test_a_real_dataset_is_summarised(run: Run, real_data: Path):
    found = json.loads(run("inspect", real_data, "--json"))
    assert (found["version"], found["episodes"], found["frames"]) == ("v2.1", 4, 1461)
    assert found["cameras"]["cam_high"] == {"storage": "video", "height": 480, "width": 640, "codec": "av1"}


def test_import_and_export_give_a_file_back(run: Run, tmp_path: Path):
    path = write_isaaclab(tmp_path / "demo.hdf5", (4, 3, 2), size=16, annotated=True)
    told = run("import", path, "--out", tmp_path / "dataset", "--storage", "image")
    assert "3 demonstrations, isaaclab, 20 Hz, 9 numbers of state, 7 of action, cameras table_cam, wrist_cam" in told
    assert "etude train --dataset" in told
    run("export", tmp_path / "dataset", "--layout", "isaaclab", "--out", tmp_path / "back.hdf5")
    assert contents(tmp_path / "back.hdf5") == contents(path)


def test_a_share_is_held_back_for_evaluation_the_same_every_time(run: Run, tmp_path: Path):
    path = write_isaaclab(tmp_path / "demo.hdf5", (2,) * 10, images=False)
    for name in ("a", "b"):
        run("import", path, "--out", tmp_path / name, "--eval-fraction", ".3", "--seed", "4")
    lengths = {part: DatasetMeta.open(tmp_path / "a" / part).total_episodes for part in ("train", "eval")}
    assert lengths == {"train": 7, "eval": 3}
    origins = [[e.origin for e in DatasetMeta.open(tmp_path / name / "eval").episodes] for name in ("a", "b")]
    assert origins[0] == origins[1]


def test_an_import_resumes_with_the_same_options_only(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    from etude.data.writer import DatasetWriter

    path = write_isaaclab(tmp_path / "demo.hdf5", (2, 3, 4), images=False)
    arguments = ("import", path, "--out", tmp_path / "dataset")
    commit = DatasetWriter.commit

    def stopped(self: DatasetWriter, episode: object) -> int:
        if self.episodes == 2:
            raise KeyboardInterrupt
        return commit(self, episode)  # pyright: ignore[reportArgumentType]

    with monkeypatch.context() as patch:
        patch.setattr(DatasetWriter, "commit", stopped)
        assert main(["data", *map(str, arguments)]) == 130
    assert "--resume" in capfd.readouterr().err
    assert DatasetMeta.open(tmp_path / "dataset").total_episodes == 2
    assert "already exists" in run(*arguments, code=2)
    assert "cannot resume with other settings: fps was 20 and is now 10" in run(
        *arguments, "--fps", 10, "--resume", code=2
    )
    assert "was begun without --eval-fraction" in run(*arguments, "--eval-fraction", ".5", "--resume", code=2)
    run(*arguments, "--resume")
    assert DatasetMeta.open(tmp_path / "dataset").lengths == (2, 3, 4)


def test_damage_that_shows_only_in_the_images_leaves_nothing(run: Run, tmp_path: Path):
    write_act(tmp_path / "act", (3, 3), size=(16, 16), compressed=True)
    with h5py.File(tmp_path / "act/episode_1.hdf5", "a") as file:
        file["observations/images/top"][2] = 7
    told = run("import", tmp_path / "act", "--out", tmp_path / "dataset", code=2)
    assert "episode_1.hdf5', observations/images/top: frame 2 is no JPEG image" in told
    assert not (tmp_path / "dataset").exists()


def test_what_cannot_be_imported_or_exported_is_one_line(run: Run, tmp_path: Path):
    (tmp_path / "text.hdf5").write_text("no")
    path = write_isaaclab(tmp_path / "demo.hdf5", (2,), images=False)
    with h5py.File(tmp_path / "odd.hdf5", "w") as file:
        file["numbers"] = np.zeros(3)
    write(tmp_path / "dataset", (3,))
    out = ("--out", tmp_path / "new")
    for arguments, told in (
        (("inspect", tmp_path / "text.hdf5"), "is not an HDF5 file"),
        (("inspect", tmp_path / "missing.hdf5"), "does not exist"),
        (("inspect", tmp_path / "nowhere"), "nowhere"),
        (("import", tmp_path / "text.hdf5", *out), "is not an HDF5 file"),
        (("import", tmp_path / "odd.hdf5", *out), "no layout that can be told"),
        (("import", path, *out, "--eval-fraction", "1.5"), "--eval-fraction 1.5"),
        (("import", path, *out, "--eval-fraction", ".5"), "at least two"),
        (("import", path, "--out", tmp_path / "dataset"), "already exists"),
        (("export", tmp_path / "dataset", "--layout", "robomimic", *out), "must end in .hdf5 or .h5"),
        (("export", tmp_path / "dataset", "--layout", "robomimic", "--out", path), "already exists"),
        (("export", tmp_path / "nowhere", "--layout", "groot", *out), "nowhere"),
        (("export", tmp_path / "dataset", "--layout", "groot", "--quaternion", "xyzw", *out), "--quaternion xyzw"),
    ):
        assert told in run(*arguments, code=2), arguments
    assert not (tmp_path / "new").exists()
    assert {p.name for p in tmp_path.iterdir()} == {"text.hdf5", "demo.hdf5", "odd.hdf5", "dataset"}


def test_groots_folder_comes_with_the_command_that_trains_on_it(run: Run, tmp_path: Path):
    write(tmp_path / "dataset", (3, 2))
    told = run("export", tmp_path / "dataset", "--layout", "groot", "--out", tmp_path / "groot")
    assert "GR00T N1.7" in told
    assert "gr00t/experiment/launch_finetune.py" in told
    assert f"--dataset-path {tmp_path / 'groot'}" in told
    assert DatasetMeta.open(tmp_path / "groot").lengths == (3, 2)


def test_a_folder_of_recordings_is_shown_by_its_first(run: Run, tmp_path: Path):
    write_act(tmp_path / "act", (3, 4), size=(16, 16))
    told = run("inspect", tmp_path / "act")
    assert "2 HDF5 files, of which this is the first" in told
    assert f"etude data import {tmp_path / 'act'} --out data/act" in told


@pytest.mark.slow
def test_the_commands_of_the_page_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    page = Path(__file__).parents[2] / "docs/hdf5.md"
    (block,) = re.findall(r"^```sh\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(tmp_path)
    for line in block.splitlines():
        assert main(shlex.split(line)[1:]) == 0, line
    assert DatasetMeta.open(tmp_path / "data/again/train").total_episodes == 2
