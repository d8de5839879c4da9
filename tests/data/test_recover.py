"""LeRobot itself, killed while it records: what it had saved is recovered, and it reads the result."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from data.killed_recordings import FPS, KINDS, brightness, features, frames, record
from data.recordings import SPEC, episode
from data.test_lerobot import open_in_lerobot

from etude.cli.entry import main
from etude.core import EtudeError
from etude.data import DatasetMeta, DatasetWriter, FrameCache, encode
from etude.data.salvage import salvage

NUMBERS = ("observation.state", "action", "next.done", "grid")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "huggingface")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets.disable_progress_bars()


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five episodes with videos, as a killed process leaves them."""
    return killed_after(tmp_path_factory.mktemp("recording"), "video", 5)


def killed_after(folder: Path, kind: str, episodes: int) -> Path:
    """A recording that was stopped right after an episode; copied before LeRobot can clean up."""
    with open(os.devnull, "wb") as nowhere:
        dataset = record(folder / "open", kind, nowhere.fileno(), episodes)
        shutil.copytree(folder / "open", folder / "killed")
        dataset.finalize()
    return folder / "killed"


def state(root: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*")}


def assert_recovered(root: Path, numbers: list[int]) -> None:
    """LeRobot loads the dataset; it holds these episodes with the numbers that were recorded, bit by bit."""
    read = open_in_lerobot(root)
    assert read.num_episodes == len(numbers)
    assert read.meta.total_episodes == len(DatasetMeta.open(root).lengths)
    written = pa.concat_tables(map(pyarrow.parquet.read_table, sorted((root / "data").rglob("*.parquet")))).to_pylist()
    index = 0
    for number, original in enumerate(numbers):
        for t, expected in enumerate(frames(original)):
            assert (written[index]["episode_index"], written[index]["index"]) == (number, index)
            assert written[index]["note"] == expected["note"]
            for name in NUMBERS:
                got = np.array(written[index][name], expected[name].dtype)
                np.testing.assert_array_equal(got, expected[name].reshape(got.shape))
            index += 1
            if 0 < t < len(frames(original)) - 1:
                continue
            frame = read[index - 1]
            assert frame["task"] == expected["task"]
            front, wrist = (float(frame[f"observation.images.{c}"].mean()) * 255 for c in ("front", "wrist"))
            assert front == pytest.approx(brightness(original, t), abs=3)
            assert wrist == pytest.approx(255 - brightness(original, t), abs=3)
    assert index == len(read)


def check_kills(folder: Path, kinds: list[str], seed: int) -> None:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "TMPDIR": str(folder)}
    script = Path(__file__).with_name("killed_recordings.py")
    command = [sys.executable, "-W", "ignore", str(script), str(folder), str(seed), *kinds]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=280)
    saved = [int(line) for line in run.stdout.split()]
    assert len(saved) == len(kinds)
    for index, (kind, count) in enumerate(zip(kinds, saved, strict=True)):
        root, out = folder / f"killed-{index}", folder / f"recovered-{index}"
        out.mkdir()
        # LeRobot writes info.json anew after every episode, and may be killed just when it has emptied it.
        like = folder / f"like-{kind}" if (root / "meta/info.json").stat().st_size == 0 else None
        try:
            found = salvage(root, out, like=like).episodes
        except EtudeError:
            found = 0
        assert count <= found <= count + 1, f"{root}: {found} episodes of {count}"
        if found:
            assert_recovered(out, [*range(found)])


def test_killed_at_random_moments_no_saved_episode_is_lost(tmp_path: Path):
    check_kills(tmp_path, ["video", "image", "video"], seed=1)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_killed_again_and_again_no_saved_episode_is_lost(tmp_path: Path, kind: str):
    check_kills(tmp_path, [kind] * 16, seed=2)


def test_the_recording_is_not_touched_and_nothing_appears_twice(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    before = state(recording)
    assert main(["data", "recover", str(recording), "--out", str(tmp_path / "out"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "episodes": 5,
        "frames": sum(len(frames(e)) for e in range(5)),
        "lost": {},
        "out": str(tmp_path / "out"),
    }
    assert_recovered(tmp_path / "out", [*range(5)])
    assert state(recording) == before
    cache = FrameCache.open(tmp_path / "out", tmp_path / "frames")
    assert cache.images["front"][0].mean() == pytest.approx(brightness(0, 0), abs=3)


def test_without_out_a_foreign_recording_is_refused(recording: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "recover", str(recording)]) == 2
    assert "--out is missing" in capsys.readouterr().err


def test_an_episode_that_was_not_yet_appended_comes_from_its_own_video_or_pictures(recording: Path, tmp_path: Path):
    from PIL import Image

    root = shutil.copytree(recording, tmp_path / "dataset")
    video = root / "videos/observation.images.front/chunk-000/file-000.mp4"
    alone = killed_after(tmp_path / "alone", "video", 4)
    shutil.copy(alone / video.relative_to(root), video)  # four of five are appended
    folder = root / "images/observation.images.front/episode-000004"
    folder.mkdir(parents=True)
    for t in range(len(frames(4))):
        picture = Image.new("RGB", (64, 64), (brightness(4, t),) * 3)
        picture.save(folder / f"frame-{t:06d}.png")
    (tmp_path / "out").mkdir()
    salvage(root, tmp_path / "out")
    assert_recovered(tmp_path / "out", [*range(5)])
    made = tmp_path / "out/videos/observation.images.front/chunk-000/file-001.mp4"
    (root / "tmpabc").mkdir()
    shutil.copy(made, root / "tmpabc/observation.images.front_004.mp4")
    shutil.rmtree(folder)
    (tmp_path / "again").mkdir()
    assert salvage(root, tmp_path / "again").episodes == 5
    assert_recovered(tmp_path / "again", [*range(5)])


def test_episodes_without_their_images_are_named_and_the_others_move_up(recording: Path, tmp_path: Path):
    root = shutil.copytree(recording, tmp_path / "dataset")
    alone = killed_after(tmp_path / "alone", "video", 3)
    video = Path("videos/observation.images.wrist/chunk-000/file-000.mp4")
    shutil.copy(alone / video, root / video)
    (root / "images/observation.images.front/episode-000005").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    found = salvage(root, tmp_path / "out")
    assert found.episodes == 3
    assert found.lost == {
        3: "its images of 'observation.images.wrist' are not whole",
        4: "its images of 'observation.images.wrist' are not whole",
        5: "its numbers never reached the disk",
    }
    assert_recovered(tmp_path / "out", [0, 1, 2])


def test_a_video_whose_move_was_interrupted_is_taken_from_where_it_came(
    recording: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root = shutil.copytree(recording, tmp_path / "dataset")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    video = root / "videos/observation.images.front/chunk-000/file-000.mp4"
    shutil.copy(video, tmp_path / "temporary/tmpabcdef.mp4")
    for size in (100, video.stat().st_size - 200):
        video.write_bytes(video.read_bytes()[:size])
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        (tmp_path / "out").mkdir()
        assert salvage(root, tmp_path / "out").episodes == 5
        shutil.copy(tmp_path / "temporary/tmpabcdef.mp4", video)
    assert_recovered(tmp_path / "out", [*range(5)])


def test_a_destroyed_info_is_taken_from_a_dataset_like_it(recording: Path, tmp_path: Path):
    root = shutil.copytree(recording, tmp_path / "dataset")
    (root / "meta/info.json").write_text("")
    (root / "meta/tasks.parquet").write_bytes(b"PAR1")
    (tmp_path / "out").mkdir()
    with pytest.raises(EtudeError, match=r"info\.json' is missing or was cut off.*--like"):
        salvage(root, tmp_path / "out")
    assert salvage(root, tmp_path / "out", like=recording).episodes == 5
    assert DatasetMeta.open(tmp_path / "out").rows[1]["tasks"] == ["task 1"]


@pytest.mark.parametrize("content", [None, b"", b"PAR1"])
def test_where_nothing_was_saved_it_says_so_and_leaves_nothing(
    tmp_path: Path, content: bytes | None, capsys: pytest.CaptureFixture[str]
):
    info: dict[str, Any] = {"codebase_version": "v3.0", "fps": FPS, "features": features("video")}
    (tmp_path / "dataset/meta").mkdir(parents=True)
    (tmp_path / "dataset/meta/info.json").write_text(json.dumps(info))
    if content is not None:
        (tmp_path / "dataset/data/chunk-000").mkdir(parents=True)
        (tmp_path / "dataset/data/chunk-000/file-000.parquet").write_bytes(content)
    assert main(["data", "recover", str(tmp_path / "dataset"), "--out", str(tmp_path / "out")]) == 2
    assert "no whole episode" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_etudes_own_dataset_is_put_in_order_in_place_or_in_a_copy(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    writer = DatasetWriter.create(tmp_path / "own", SPEC)
    writer.commit(encode(episode(0), SPEC.fps))
    writer.close()  # never finalized
    (tmp_path / "own/data/chunk-000/file-001.parquet").write_bytes(b"half an episode")
    for arguments in ((), ("--out", str(tmp_path / "copy"))):
        assert main(["data", "recover", str(tmp_path / "own"), *arguments, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["episodes"] == 1
    assert open_in_lerobot(tmp_path / "copy").num_episodes == 1
    assert not (tmp_path / "own/data/chunk-000/file-001.parquet").exists()
