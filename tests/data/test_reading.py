"""Datasets of others are read as they are, and written again without loss."""

import json
from pathlib import Path

import numpy as np
import pytest
from data.foreign import IMAGE_KEY, recorded, write_v21, write_with_lerobot
from data.recordings import CLOSE, SPEC, episode, write

from etude.core import EtudeError, MismatchError
from etude.data import (
    DatasetMeta,
    DatasetSpec,
    DatasetWriter,
    Feature,
    RecordedEpisode,
    encode,
    left_out,
    read_encoded,
    read_episode,
    read_images,
    spec_of,
)

EPISODES = [recorded(0, 6, ("push", "pull")), recorded(1, 4), recorded(2, 5)]
KINDS = ("v2.1", "video", "image")


@pytest.fixture(scope="module", params=KINDS)
def foreign(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> DatasetMeta:
    root = tmp_path_factory.mktemp("foreign") / "set"
    if request.param == "v2.1":
        write_v21(root, EPISODES)
    else:
        write_with_lerobot(root, EPISODES, request.param)
    return DatasetMeta.open(root)


def rewrite(meta: DatasetMeta, out: Path) -> DatasetMeta:
    with DatasetWriter.create(out, spec_of(meta)) as writer:
        for index in range(meta.total_episodes):
            writer.commit(read_encoded(meta, index))
    return DatasetMeta.open(out)


def require_same(a: RecordedEpisode, b: RecordedEpisode) -> None:
    for name in ("state", "action"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("images", "extras", "subtasks"):
        assert getattr(a, name).keys() == getattr(b, name).keys()
        for key, values in getattr(a, name).items():
            np.testing.assert_array_equal(values, getattr(b, name)[key])
    assert (a.task, a.frame_tasks, a.outcome, a.generator) == (b.task, b.frame_tasks, b.outcome, b.generator)


def test_whole_episodes_are_what_was_recorded(foreign: DatasetMeta):
    assert foreign.version == ("v2.1" if (foreign.root / "meta/episodes.jsonl").exists() else "v3.0")
    assert foreign.lengths == (6, 4, 5)
    assert foreign.episodes == ()
    for index, expected in enumerate(EPISODES):
        read = read_episode(foreign, index)
        np.testing.assert_array_equal(read.state, expected.state)
        np.testing.assert_array_equal(read.action, expected.action)
        np.testing.assert_array_equal(read.extras["observation.velocity"], expected.extras["observation.velocity"])
        assert (read.task, read.frame_tasks, read.outcome) == (expected.task, expected.frame_tasks, None)
        difference = read.images["front"].astype(int) - expected.images["front"]
        assert np.abs(difference).mean() <= (0 if foreign.features[IMAGE_KEY].dtype == "image" else CLOSE)
        assert read.origin == f"{foreign.root}:{index}"


def test_written_again_they_are_the_same_bit_by_bit(foreign: DatasetMeta, tmp_path: Path):
    written = rewrite(foreign, tmp_path / "new")
    assert spec_of(written) == spec_of(foreign)
    for index in range(3):
        require_same(read_episode(written, index), read_episode(foreign, index))
        np.testing.assert_allclose(
            written.episode_statistics[index][IMAGE_KEY]["mean"], foreign.episode_statistics[index][IMAGE_KEY]["mean"]
        )
    assert [record.origin for record in written.episodes] == [f"{foreign.root}:{index}" for index in range(3)]
    assert all(record.case is None and record.success is None for record in written.episodes)
    info = json.loads((tmp_path / "new/meta/info.json").read_text())["features"][IMAGE_KEY]
    if info["dtype"] == "video":  # copied, not encoded anew
        assert info["info"]["video.codec"] == ("h264" if foreign.version == "v2.1" else "av1")


@pytest.mark.slow
def test_lerobot_reads_them_as_it_read_the_original(foreign: DatasetMeta, tmp_path: Path, monkeypatch):
    import datasets.config
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "huggingface")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    rewrite(foreign, tmp_path / "new")
    read = LeRobotDataset("some/new", root=tmp_path / "new", video_backend="pyav", return_uint8=True)
    assert read.num_episodes == 3
    frames = [(e, t) for e in range(3) for t in range(foreign.lengths[e])]
    images = {e: read_episode(foreign, e).images["front"] for e in range(3)}
    for index, (e, t) in enumerate(frames):
        np.testing.assert_array_equal(read[index]["action"], EPISODES[e].action[t])
        np.testing.assert_array_equal(
            read[index]["observation.velocity"], EPISODES[e].extras["observation.velocity"][t]
        )
        assert read[index]["task"] == (EPISODES[e].frame_tasks or [EPISODES[e].task] * 9)[t]
        image = read[index][IMAGE_KEY].numpy()
        image = image if image.dtype == np.uint8 else (image * 255).round().astype(np.uint8)
        np.testing.assert_array_equal(image.transpose(1, 2, 0), images[e][t])


def test_own_datasets_keep_everything(tmp_path: Path):
    spec = DatasetSpec(
        fps=10,
        cameras=("front", "wrist"),
        image_size={"front": (31, 20), "wrist": (8, 9)},
        state_names=("x",),
        action_names=("dx", "dy"),
        subtasks=("grasp", "stack"),
        storage="image",
        extras={"matrix": Feature("float64", (2, 3)), "reward": Feature("float32", (1,)), "on": Feature("bool", (2,))},
    )
    episodes = [episode(seed, 3, spec) for seed in range(2)]
    episodes = [
        RecordedEpisode(**{**vars(e), "extras": {**e.extras, "reward": e.extras["reward"][:, 0]}}) for e in episodes
    ]
    with DatasetWriter.create(tmp_path / "d", spec) as writer:
        for recorded_one in episodes:
            writer.commit(encode(recorded_one, 10, storage="image"))
    meta = DatasetMeta.open(tmp_path / "d")
    assert spec_of(meta) == spec
    for index, expected in enumerate(episodes):
        require_same(read_episode(meta, index), expected)
    assert [r.case for r in meta.episodes] == [e.outcome.case for e in episodes if e.outcome]
    with DatasetWriter.resume(tmp_path / "d", spec) as writer:
        assert writer.commit(encode(episodes[0], 10, storage="image")) == 2
        with pytest.raises(MismatchError, match="cameras kept as image"):
            writer.commit(encode(episode(1, 3), 10))


def test_columns_without_numbers_are_named(tmp_path: Path):
    write_v21(tmp_path / "d", EPISODES[:1])
    info = json.loads((tmp_path / "d/meta/info.json").read_text())
    info["features"] |= {"note": {"dtype": "string", "shape": [1], "names": None}}
    info["features"] |= {"observation.images.depth": {"dtype": "video", "shape": [4, 4, 1], "names": None}}
    (tmp_path / "d/meta/info.json").write_text(json.dumps(info))
    meta = DatasetMeta.open(tmp_path / "d")
    assert left_out(meta) == ["note", "observation.images.depth"]
    assert meta.cameras == ("front",)
    assert read_episode(meta, 0).length == 6


def test_a_camera_of_another_name_is_a_camera(tmp_path: Path):
    """As in lerobot/pusht, whose images are "observation.image"."""
    write_v21(tmp_path / "d", EPISODES[:1])
    info = (tmp_path / "d/meta/info.json").read_text().replace(IMAGE_KEY, "observation.image")
    (tmp_path / "d/meta/info.json").write_text(info)
    videos = tmp_path / "d/videos/chunk-000"
    (videos / IMAGE_KEY).rename(videos / "observation.image")
    meta = DatasetMeta.open(tmp_path / "d")
    assert meta.camera_keys == {"image": "observation.image"}
    written = rewrite(meta, tmp_path / "new")
    assert "observation.images.image" in written.features
    np.testing.assert_array_equal(
        np.stack(list(read_images(written, 0, "image"))), read_episode(meta, 0).images["image"]
    )


def test_an_episode_that_does_not_begin_at_a_key_frame_is_encoded_anew(tmp_path: Path):
    write_v21(tmp_path / "d", [recorded(3, 8)])
    meta = DatasetMeta.open(tmp_path / "d")
    key = f"videos/{IMAGE_KEY}"
    row = {**meta.rows[0], "length": 5, f"{key}/from_timestamp": 0.1}  # key frames are at 0.0, 0.2, …
    part = type(meta)(**{**vars(meta), "rows": (row,), "lengths": (5,)})
    from etude.data.reading import _video
    from etude.data.remux import copy_video

    path = tmp_path / f"d/videos/chunk-000/{IMAGE_KEY}/episode_000000.mp4"
    assert copy_video(path, from_s=0.1, frames=5, fps=10) is None
    (tmp_path / "cut.mp4").write_bytes(_video(part, 0, "front").content)
    (tmp_path / "copied.mp4").write_bytes(copy_video(path, from_s=0.2, frames=6, fps=10).content)
    from etude.data.video import decode_video

    whole = np.stack(list(decode_video(path)))
    cut = np.stack(list(decode_video(tmp_path / "cut.mp4")))
    assert np.abs(cut.astype(int) - whole[1:6]).mean() < CLOSE
    np.testing.assert_array_equal(np.stack(list(decode_video(tmp_path / "copied.mp4"))), whole[2:])


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (
            lambda root: _replace(next(root.glob("videos/*/*/episode_000001.mp4")), b"avc1", b"zzzz"),
            "episode 1 of .* a codec that is not known here: encode it again",
        ),
        (lambda root: (root / "meta/episodes.jsonl").unlink(), r"episodes.jsonl' does not exist"),
        (lambda root: (root / "meta/tasks.jsonl").write_text('{"task_index": 0,\n'), r"tasks.jsonl', line 1 is not"),
        (
            lambda root: _cut(root / f"videos/chunk-000/{IMAGE_KEY}/episode_000001.mp4"),
            r"episode 1 of .*cannot be read",
        ),
        (lambda root: _cut(root / "data/chunk-000/episode_000001.parquet"), r"episode_000001.parquet' cannot be read"),
        (
            lambda root: (root / "meta/info.json").write_text('{"codebase_version": "v1.6"}'),
            r"valid are v2.0, v2.1, v3.0",
        ),
        (lambda root: (root / "meta/info.json").write_text('{"codebase_version": "v2.1"}'), r"damaged or incomplete"),
    ],
)
def test_what_is_damaged_is_one_line_that_names_it(damage, told: str, tmp_path: Path):
    write_v21(tmp_path / "d", [recorded(0, 6, ("push", "pull")), recorded(1, 4, ("push", "pull"))])
    damage(tmp_path / "d")
    with pytest.raises(EtudeError, match=told):
        read_encoded(DatasetMeta.open(tmp_path / "d"), 1)


def test_a_v3_folder_without_its_metadata_is_refused(tmp_path: Path):
    import shutil

    write(tmp_path / "d", (2,), SPEC)
    shutil.rmtree(tmp_path / "d/meta/episodes")
    with pytest.raises(EtudeError, match="says it has 1 episodes, but 'meta/episodes' has none"):
        DatasetMeta.open(tmp_path / "d")


def _replace(path: Path, old: bytes, new: bytes) -> None:
    path.write_bytes(path.read_bytes().replace(old, new))


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
