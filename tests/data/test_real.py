"""The real dataset: four episodes of a bimanual humanoid, LeRobot v2.1, AV1 (see docs for its licence)."""

import os
from pathlib import Path

import av
import numpy as np
import pytest

from etude.cli import main
from etude.data import DatasetMeta, read_episode
from etude.data.video import decode_video

REAL = Path(os.environ.get("ETUDE_REAL_DATA", "/nowhere"))
pytestmark = pytest.mark.skipif(
    not (REAL / "meta/info.json").exists(), reason="ETUDE_REAL_DATA does not name the folder of the real dataset"
)
CAMERA = "cam_high"


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("real") / "converted"
    assert main(["data", "convert", str(REAL), "--out", str(out)]) == 0
    return out


def test_it_is_read_as_it_is():
    meta = DatasetMeta.open(REAL)
    assert (meta.version, meta.lengths, meta.cameras) == ("v2.1", (393, 343, 357, 368), (CAMERA,))
    assert meta.tasks == ("Pick up the yellow bottle on the table.",)
    assert (meta.state_size, meta.action_size, meta.image_shapes[CAMERA]) == (26, 26, (480, 640, 3))


def test_converted_it_has_the_same_videos_and_numbers(converted: Path):
    old, new = DatasetMeta.open(REAL), DatasetMeta.open(converted)
    for index in range(4):
        before = REAL / f"videos/chunk-000/observation.images.{CAMERA}/episode_{index:06d}.mp4"
        after = converted / f"videos/observation.images.{CAMERA}/chunk-000/file-{index:03d}.mp4"
        assert before.read_bytes() == after.read_bytes()
    a, b = read_episode(old, 1), read_episode(new, 1)
    np.testing.assert_array_equal(a.state, b.state)
    np.testing.assert_array_equal(a.action, b.action)
    np.testing.assert_array_equal(a.images[CAMERA][::50], b.images[CAMERA][::50])


@pytest.mark.slow
def test_lerobot_reads_what_was_converted(converted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import datasets.config
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "huggingface")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    read = LeRobotDataset("some/real", root=converted, video_backend="pyav", return_uint8=True)
    assert (read.num_episodes, len(read)) == (4, 1461)
    path = REAL / f"videos/chunk-000/observation.images.{CAMERA}/episode_000001.mp4"
    decoded = list(decode_video(path))
    for t in (0, 1, 171, 342):
        frame = read[393 + t]
        image = frame[f"observation.images.{CAMERA}"].numpy().transpose(1, 2, 0)
        np.testing.assert_array_equal(image, decoded[t])
        assert frame["task"] == "Pick up the yellow bottle on the table."


@pytest.mark.slow
def test_reading_commands_work_on_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("ETUDE_CACHE_DIR", str(tmp_path / "cache"))
    assert main(["view", str(REAL), "--episode", "1", "--out", str(tmp_path / "view.mp4")]) == 0
    with av.open(str(tmp_path / "view.mp4")) as video:
        assert video.streams.video[0].frames == 343
    assert main(["data", "split", str(REAL), "--parts", "a=0.5", "b=0.5", "--out", str(tmp_path / "parts")]) == 0
    assert sum(DatasetMeta.open(tmp_path / "parts" / name).total_frames for name in "ab") == 1461
    arguments = ["--policy", "flow", "--steps", "2", "--out", str(tmp_path / "run")]
    assert main(["train", "--dataset", str(tmp_path / "parts/a"), *arguments]) == 0
