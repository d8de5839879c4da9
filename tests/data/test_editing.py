"""Datasets made of the episodes of others lose nothing, remember where each came from, and can be added to."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from data.foreign import recorded, write_v21, write_with_lerobot
from data.hdf5_files import contents, write_isaaclab, write_robomimic
from data.recordings import SPEC, episode, write
from data.test_hdf5_import import load
from data.test_reading import require_same

from etude.core import ConfigError, EtudeError, MismatchError
from etude.data import (
    DatasetMeta,
    DatasetSpec,
    DatasetWriter,
    FeatureMapping,
    FrameCache,
    encode,
    read_episode,
    read_numbers,
)
from etude.data.editing.selecting import Selection, write_selections
from etude.data.hdf5.exporting import export_hdf5

SMALL = replace(SPEC, cameras=("front",))


def merge(out: Path, *roots: Path, maps: Mapping[Path, FeatureMapping] | None = None, **options: Any) -> DatasetMeta:
    selections = [Selection(meta=DatasetMeta.open(root), mapping=(maps or {}).get(root)) for root in roots]
    write_selections(out, selections, **options)
    return DatasetMeta.open(out)


def test_what_was_split_and_merged_is_the_same(tmp_path: Path):
    write(tmp_path / "d", (4, 3, 5), SMALL)
    whole = DatasetMeta.open(tmp_path / "d")
    for name, episodes in (("a", [0, 2]), ("b", [1])):
        write_selections(tmp_path / name, [Selection(meta=whole, episodes=episodes)])
    merged = merge(tmp_path / "merged", tmp_path / "a", tmp_path / "b")
    assert merged.features == whole.features
    for index, before in enumerate([0, 2, 1]):
        require_same(read_episode(merged, index), read_episode(whole, before))
        record = merged.episodes[index]
        assert replace(record, index=before, origin="") == whole.episodes[before]
        place = (tmp_path / "a", index) if index < 2 else (tmp_path / "b", 0)
        assert record.origin == f"{place[0]}:{place[1]} < {whole.root}:{before}"
    for name in ("action", "observation.images.front"):
        means = [meta.episode_statistics[i][name]["mean"] for meta, i in ((merged, 2), (whole, 1))]
        np.testing.assert_array_equal(*means)
    cache = FrameCache.open(merged.root, tmp_path / "cache")
    assert cache.lengths.tolist() == [4, 5, 3]


def test_an_edited_dataset_can_be_added_to(tmp_path: Path):
    write(tmp_path / "d", (4, 3, 5), SMALL)
    write_selections(tmp_path / "kept", [Selection(meta=DatasetMeta.open(tmp_path / "d"), episodes=[2, 0])])
    with DatasetWriter.resume(tmp_path / "kept", SMALL) as writer:
        assert writer.commit(encode(episode(7, 6, SMALL), 20)) == 2
    assert DatasetMeta.open(tmp_path / "kept").lengths == (5, 4, 6)
    write_v21(tmp_path / "old", [recorded(0, 3)])
    with pytest.raises(EtudeError, match="make one that can be added to with `etude data convert"):
        DatasetWriter.resume(tmp_path / "old")


def test_dimensions_and_cameras_in_another_order_are_reordered(tmp_path: Path):
    other = replace(
        SPEC, state_names=("z_m", "x_m", "y_m"), action_names=("dy", "dx"), cameras=("wrist", "front"), robot_type=""
    )
    write(tmp_path / "a", (3,))
    (second,) = write(tmp_path / "b", (4,), other)
    merged = merge(tmp_path / "ab", tmp_path / "a", tmp_path / "b")
    read = read_episode(merged, 1)
    np.testing.assert_array_equal(read.state, second.state[:, [1, 2, 0]])
    np.testing.assert_array_equal(read.action, second.action[:, [1, 0]])
    np.testing.assert_array_equal(
        read.images["front"], read_episode(DatasetMeta.open(tmp_path / "b"), 0).images["front"]
    )
    assert (merged.task, merged.robot_type) == (SPEC.task, "")


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        (replace(SMALL, fps=10), r"fps \(20 there, 10 here\).*at one rate"),
        (replace(SMALL, state_names=("x_m", "y_m", "q")), r"only there: z_m; only here: q.*--map .*b=FILE"),
        (replace(SMALL, action_names=("dx", "dy", "grip")), r"action \(2 there, 3 here; only here: grip"),
        (replace(SMALL, cameras=("top",)), r"cameras \(1 there, 1 here; only there: front; only here: top\)"),
        (replace(SMALL, image_size=16), r"image sizes .*one size first"),
        (replace(SMALL, subtasks=("grasp",)), r"columns subtasks.*--without subtasks"),
    ],
)
def test_what_cannot_be_aligned_is_refused_with_what_would_help(spec: DatasetSpec, told: str, tmp_path: Path):
    write(tmp_path / "a", (2,), SMALL)
    write(tmp_path / "b", (2,), spec)
    with pytest.raises(MismatchError, match=told):
        merge(tmp_path / "ab", tmp_path / "a", tmp_path / "b")
    assert not (tmp_path / "ab").exists()


def test_a_mapping_aligns_what_differs(tmp_path: Path):
    other = replace(SMALL, state_names=("y_m", "x_m"), action_names=("a", "b", "c"), cameras=("top",))
    write(tmp_path / "a", (3,))
    (second,) = write(tmp_path / "b", (4,), other)
    mapping = FeatureMapping.from_json(
        {
            "state": {"x_m": "x_m", "y_m": 0, "z_m": None},
            "action": {"dx": "c", "dy": 0},
            "cameras": {"front": "top", "wrist": None},
        }
    )
    merged = merge(tmp_path / "ab", tmp_path / "a", tmp_path / "b", maps={tmp_path / "b": mapping})
    read = read_episode(merged, 1)
    zeros = np.zeros((4, 1), np.float32)
    np.testing.assert_array_equal(read.state, np.hstack([second.state[:, [1, 0]], zeros]))
    np.testing.assert_array_equal(read.action, second.action[:, [2, 0]])
    np.testing.assert_array_equal(read.images["front"], read_episode(DatasetMeta.open(tmp_path / "b"), 0).images["top"])
    assert read.images["wrist"].max() == 0


def test_datasets_of_several_formats_become_one(tmp_path: Path):
    """Images where one has images: nothing is lost; tasks are numbered anew."""
    write_v21(tmp_path / "a", [recorded(0, 4, ("push", "pull"))])
    spec = DatasetSpec(
        fps=10,
        cameras=("front",),
        image_size=(64, 96),
        state_names=("a", "b", "c"),
        action_names=("p", "q"),
        storage="image",
        robot_type="toy",
    )
    with DatasetWriter.create(tmp_path / "b", spec) as writer:
        writer.commit(encode(replace(recorded(1, 3, ("pull",)), extras={}), 10, storage="image"))
    merged = merge(tmp_path / "ab", tmp_path / "a", tmp_path / "b", without=["observation.velocity"])
    for index, root in enumerate((tmp_path / "a", tmp_path / "b")):
        expected = replace(read_episode(DatasetMeta.open(root), 0), extras={})
        require_same(read_episode(merged, index), expected)
    assert merged.tasks == ("push", "pull")
    assert read_numbers(merged, 0, ["task_index"])["task_index"][:, 0].tolist() == [0, 0, 1, 1]
    assert read_numbers(merged, 1, ["task_index"])["task_index"][:, 0].tolist() == [1, 1, 1]


@pytest.mark.slow
def test_lerobot_reads_what_was_merged_of_videos_in_several_codecs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import datasets.config
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "huggingface")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    write_v21(tmp_path / "a", [recorded(0, 4, ("push", "pull"))])  # H.264
    write_with_lerobot(tmp_path / "b", [recorded(1, 3), recorded(2, 4)], "video")  # AV1
    for name, roots in {"ab": ("a", "b"), "ba": ("b", "a")}.items():
        merged = merge(tmp_path / name, *(tmp_path / root for root in roots))
        read = LeRobotDataset("some/merged", root=merged.root, video_backend="pyav", return_uint8=True)
        info = read.meta.features["observation.images.front"]["info"]
        assert info["video.codec"] == {"ab": "h264+av1", "ba": "av1+h264"}[name]
        frames = np.concatenate([read_episode(merged, i).images["front"] for i in range(3)])
        assert len(read) == len(frames) == 11
        for index, frame in enumerate(frames):
            image = read[index]["observation.images.front"].numpy().transpose(1, 2, 0)
            np.testing.assert_array_equal(image, frame)


def test_no_episodes_are_no_dataset(tmp_path: Path):
    write(tmp_path / "d", (2,), SMALL)
    with pytest.raises(ConfigError, match="no episodes are left"):
        write_selections(tmp_path / "new", [Selection(meta=DatasetMeta.open(tmp_path / "d"), episodes=[])])
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["robomimic", "isaaclab"])
def test_what_was_imported_is_still_given_back_after_an_edit(name: str, tmp_path: Path):
    make = write_robomimic if name == "robomimic" else write_isaaclab
    path = make(tmp_path / "demo.hdf5", size=16)
    load([path], tmp_path / "d")
    whole = DatasetMeta.open(tmp_path / "d")
    for part, episodes in (("a", [0]), ("b", [1, 2])):
        write_selections(tmp_path / part, [Selection(meta=whole, episodes=episodes)])
    merged = merge(tmp_path / "ab", tmp_path / "a", tmp_path / "b")
    (tmp_path / "back").mkdir()
    assert export_hdf5(merged, name, tmp_path / "back/demo.hdf5") == []
    assert contents(tmp_path / "back/demo.hdf5") == contents(path)
