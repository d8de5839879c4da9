"""Every planted fault is found where it is, nothing is found in clean data, and a repaired copy is clean."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from data.faults import (
    EPISODES,
    FAULTS,
    FRAMES,
    HIT,
    IMAGES,
    Fault,
    data_file,
    edit_json,
    legacy,
    recorded,
    shared,
    video_file,
    write_clean,
)

from etude.cli import main
from etude.core import EtudeError
from etude.data import DatasetMeta, read_episode
from etude.data.checking import CHECKS, check, outliers, read_limits, repair


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checking") / "clean"
    write_clean(root)
    return root


@pytest.fixture
def copy(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "dataset"))


@pytest.mark.parametrize("version", ["v3.0", "v2.1", "images"])
def test_nothing_is_found_in_clean_data(clean: Path, tmp_path: Path, version: str):
    root = clean
    if version == "v2.1":
        root = tmp_path / "legacy"
        legacy(clean, root)
    elif version == "images":
        root = tmp_path / "images"
        write_clean(root, IMAGES, episodes=2)
    report = check(root).report
    assert [finding.message for finding in report.findings] == []
    assert report.counts["ok"] == len(report.episodes) > 1
    assert report.frames == len(report.episodes) * FRAMES


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(copy: Path, name: str):
    fault: Fault = FAULTS[name]
    fault.plant(copy)
    pictures = fault.check in ("frozen camera", "black camera", "blank camera", "duplicated frames", "picture jumps")
    report = check(copy, pictures=pictures or "camera" in fault.told).report
    found = report.of(None if fault.whole else HIT)
    matching = [f for f in found if (f.check, f.severity) == (fault.check, fault.severity) and fault.told in f.message]
    assert matching, [(f.check, f.severity, f.message) for f in report.findings]
    assert fault.first is None or matching[0].first == fault.first
    assert report.broken == any(f.severity == "broken" for f in report.findings)
    for other in set(report.episodes) - {HIT}:  # the others are not blamed
        assert report.verdict(other) == "ok" or name in ("no length", "length", "missing row", "place"), report.of(
            other
        )


RESTORED = {
    "timestamp gap": "timestamps are frame / fps",
    "frame index": "index columns count up",
    "global index": "index columns count up",
    "episode index": "index columns count up",
    "total frames": "the totals are counted anew",
    "statistics": "statistics are computed anew",
    "no statistics": "statistics are computed anew",
    "extra video": "files that no episode uses are left out",
    "length": "lengths are those of the data files",
    "no tasks": "the metadata is written anew",
}
"""Fault -> what a repair says that it did."""


@pytest.mark.parametrize("name", RESTORED)
def test_what_can_be_restored_is(clean: Path, copy: Path, tmp_path: Path, name: str):
    FAULTS[name].plant(copy)
    repaired = repair(check(copy, pictures=False), tmp_path / "repaired")
    assert (list(repaired.kept), repaired.dropped) == (list(range(EPISODES)), {})
    assert RESTORED[name] in repaired.restored
    assert not check(tmp_path / "repaired", pictures=False).report.findings
    was, now = DatasetMeta.open(clean), DatasetMeta.open(tmp_path / "repaired")
    before, after = read_episode(was, HIT), read_episode(now, HIT)
    np.testing.assert_array_equal(after.state, before.state)
    np.testing.assert_array_equal(after.images["wrist"], before.images["wrist"])  # copied, not encoded again
    assert after.task == "reach"
    assert f"{copy}:{HIT}" in after.origin


@pytest.mark.parametrize("name", ["nan", "missing video", "cut data", "short video", "frozen camera", "missing column"])
def test_episodes_that_are_broken_are_left_out(copy: Path, tmp_path: Path, name: str):
    FAULTS[name].plant(copy)
    before = {path: path.read_bytes() for path in sorted(copy.rglob("*")) if path.is_file()}
    repaired = repair(check(copy), tmp_path / "repaired")
    assert list(repaired.dropped) == [HIT]
    assert len(repaired.kept) == EPISODES - 1
    assert not check(tmp_path / "repaired", pictures=False).report.broken
    assert {path: path.read_bytes() for path in sorted(copy.rglob("*")) if path.is_file()} == before


def test_old_datasets_and_images_are_repaired_too(clean: Path, tmp_path: Path):
    legacy(clean, tmp_path / "legacy")
    (tmp_path / "legacy/data/chunk-000/episode_000002.parquet").write_bytes(b"no")
    write_clean(tmp_path / "images", IMAGES, episodes=3)
    data_file(tmp_path / "images", 2).unlink()
    for name, kept in (("legacy", [0, 1, 3]), ("images", [0, 1])):
        repaired = repair(check(tmp_path / name), tmp_path / f"{name}-repaired")
        assert list(repaired.kept) == kept
        assert not check(tmp_path / f"{name}-repaired").report.findings
    images = DatasetMeta.open(tmp_path / "images-repaired")
    np.testing.assert_array_equal(read_episode(images, 1).images["front"], recorded(1).images["front"])


@pytest.mark.parametrize(
    ("path", "change", "told"),
    [
        (
            "meta/episodes.jsonl",
            lambda text: text.replace('"length": 60', '"length": 59', 1),
            "metadata says 59 frames",
        ),
        ("meta/episodes.jsonl", lambda text: text + "{oops", "line 5 is not valid JSON"),
        ("meta/episodes.jsonl", lambda text: text.partition("\n")[2], "row of episode 0 is missing"),
        ("meta/episodes_stats.jsonl", lambda text: text.replace('"max": [', '"max": [7e7, ', 1), "statistics"),
        ("meta/tasks.jsonl", lambda text: "", "stands for no task"),
        ("meta/info.json", lambda text: text.replace('"total_videos": 8', '"total_videos": 9'), "'total_videos' is 9"),
    ],
)
def test_old_metadata_that_is_broken_is_found(clean: Path, tmp_path: Path, path: str, change: Any, told: str):
    root = tmp_path / "legacy"
    legacy(clean, root)
    (root / path).write_text(change((root / path).read_text()))
    report = check(root, pictures=False).report
    assert report.broken
    assert any(told in finding.message for finding in report.findings), [f.message for f in report.findings]


def test_nothing_whole_is_no_dataset(copy: Path, tmp_path: Path):
    for episode in range(EPISODES):
        video_file(copy, episode=episode).unlink()
    with pytest.raises(EtudeError, match="no episode of .* is whole"):
        repair(check(copy), tmp_path / "repaired")


def test_given_limits_are_believed(copy: Path, tmp_path: Path):
    features = DatasetMeta.open(copy).features
    limits = tmp_path / "limits.json"
    limits.write_text('{"observation.state": {"shoulder_rad": [-0.5, 0.5], "1": [-9, 9]}}')
    report = check(copy, limits=read_limits(limits, features)).report
    assert "observation.state: given; action: learned" in report.limits
    assert {f.severity for f in report.findings if f.check == "joint limits"} == {"broken"}
    limits.write_text('{"observation.state": {"shoulder": [-0.5, 0.5]}}')
    with pytest.raises(EtudeError, match="write JOINT: \\[low, high\\] with shoulder_rad, elbow_rad"):
        read_limits(limits, features)
    limits.write_text('{"velocity": {}}')
    with pytest.raises(EtudeError, match="valid features are observation.state, action"):
        read_limits(limits, features)


def test_without_pictures_videos_are_still_counted(copy: Path):
    FAULTS["short video"].plant(copy)
    assert [f.check for f in check(copy, pictures=False).report.findings] == ["video length"]


def test_several_episodes_in_a_file_are_told_apart(tmp_path: Path):
    """As LeRobot writes them."""
    shared(tmp_path / "shared", video_of=2)
    assert not check(tmp_path / "shared").report.findings
    shared(tmp_path / "short", video_of=1)
    report = check(tmp_path / "short").report
    assert [report.verdict(index) for index in report.episodes] == ["ok", "broken"]


def test_outliers_show_the_fault(copy: Path):
    FAULTS["frozen camera"].plant(copy)
    (one,) = outliers(check(copy))
    assert (one.finding.episode, one.camera) == (HIT, "wrist")
    assert len(one.curve) == FRAMES
    frames = [frame for frame, _ in one.images]
    assert frames[0] < 20 < frames[-1]
    assert all(image is not None and image.shape == (32, 48, 3) for _, image in one.images)


@pytest.mark.parametrize("name", ["missing video", "cut video", "nan", "timestamp gap"])
def test_outliers_of_what_cannot_be_read_have_no_images_but_are_shown(copy: Path, name: str):
    FAULTS[name].plant(copy)
    (one,) = outliers(check(copy))
    assert one.finding.episode == HIT


@pytest.mark.slow
def test_a_real_recording_is_in_order(real_data: Path):
    """Unitree G1, MIT licence: its camera gives about 15 pictures a second, and nothing else is worth a word."""
    report = check(real_data).report
    assert report.counts == {"ok": 4, "warning": 0, "broken": 0}
    assert [(f.check, f.severity) for f in report.findings] == [("duplicated frames", "note")]


def test_texts_are_no_fault(copy: Path):
    table = pq.read_table(data_file(copy))
    pq.write_table(table.append_column("note", pa.array(["fine"] * len(table))), data_file(copy))
    note = {"dtype": "string", "shape": [1], "names": None}
    edit_json(copy / "meta/info.json", lambda info: info["features"].update(note=note))
    assert not check(copy).report.findings


def test_a_recording_without_its_episodes_is_to_be_recovered(copy: Path, capsys: pytest.CaptureFixture[str]):
    shutil.rmtree(copy / "meta/episodes")
    assert main(["data", "check", str(copy)]) == 1
    assert f"etude data recover {copy} --out" in capsys.readouterr().out


def test_every_check_says_what_it_finds():
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert all(check.finds for check in CHECKS)
