"""One episode read by itself is what the whole dataset has at its place."""

from pathlib import Path

import numpy as np
import pytest
from data.recordings import CAMERAS, CLOSE, SPEC, write

from etude.core import ConfigError, EtudeError
from etude.data import ACTION, STATE, DatasetMeta, Feature, FrameCache, read_images, read_numbers

LENGTHS = (9, 4, 12)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory):
    root = tmp_path_factory.mktemp("episode") / "dataset"
    return write(root, LENGTHS), DatasetMeta.open(root)


@pytest.mark.parametrize("episode", range(3))
def test_numbers_and_images_are_those_recorded(dataset: tuple, episode: int):
    recorded, meta = dataset
    numbers = read_numbers(meta, episode, [STATE, ACTION])
    np.testing.assert_allclose(numbers[STATE], recorded[episode].state)
    np.testing.assert_allclose(numbers[ACTION], recorded[episode].action)
    for camera in CAMERAS:
        images = np.stack(list(read_images(meta, episode, camera)))
        assert images.shape == recorded[episode].images[camera].shape
        assert np.abs(images.astype(int) - recorded[episode].images[camera]).mean(axis=(1, 2, 3)).max() < CLOSE


@pytest.mark.slow
def test_an_episode_inside_a_longer_video_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """As LeRobot writes them: several episodes to a file."""
    from lerobot.datasets.dataset_tools import merge_datasets
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    parts: list[LeRobotDataset] = []
    for i in range(2):
        write(tmp_path / f"part{i}", LENGTHS)
        parts.append(LeRobotDataset(f"some/part{i}", root=tmp_path / f"part{i}", video_backend="pyav"))
    merge_datasets(parts, output_repo_id="some/whole", output_dir=tmp_path / "whole")
    meta, cache = DatasetMeta.open(tmp_path / "whole"), FrameCache.open(tmp_path / "whole", tmp_path / "cache")
    for episode in range(meta.total_episodes):
        images = np.stack(list(read_images(meta, episode, "front")))
        np.testing.assert_array_equal(images, cache.images["front"][cache.episode(episode)])


@pytest.mark.parametrize("episode", [-1, 3])
def test_an_episode_that_is_not_there_is_refused_with_those_that_are(dataset: tuple, episode: int):
    with pytest.raises(ConfigError, match=r"has the episodes 0 to 2"):
        read_numbers(dataset[1], episode, [STATE])


def test_a_missing_or_short_video_is_one_clear_error(tmp_path: Path):
    write(tmp_path / "d", LENGTHS)
    meta = DatasetMeta.open(tmp_path / "d")
    videos = sorted((tmp_path / "d" / "videos").glob("*front/*/*.mp4"))
    videos[1].replace(videos[2])
    with pytest.raises(EtudeError, match="episode 2 of .* has 4 of its 12 frames .*etude data delete .* --episodes 2 "):
        list(read_images(meta, 2, "front"))
    with pytest.raises(EtudeError, match="cannot be read"):
        list(read_images(meta, 1, "front"))


@pytest.mark.parametrize("names", [["a", "b"], {"motors": ["a", "b"]}, [["a", "b"]]])
def test_names_are_read_however_they_are_grouped(names: object):
    assert Feature.from_json({"dtype": "float32", "shape": [2], "names": names}).names == ("a", "b")
    assert SPEC.features[STATE].names == SPEC.state_names
