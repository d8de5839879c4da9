"""LeRobot itself, unchanged and offline, reads what we write."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data.recordings import CAMERAS, CLOSE, SIZE, SPEC, write

from etude.core import EtudeError
from etude.data import DatasetSpec, DatasetWriter, FrameCache, RecordedEpisode, encode

LENGTHS = (9, 4, 12)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "huggingface")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def open_in_lerobot(root: Path, **options: object):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    # Its default decoder, torchcodec, needs FFmpeg from the system; PyAV brings its own.
    return LeRobotDataset("someone/something", root=root, video_backend="pyav", **options)


@pytest.fixture
def dataset(tmp_path: Path) -> tuple[Path, list[RecordedEpisode]]:
    return tmp_path / "dataset", write(tmp_path / "dataset", LENGTHS)


def test_every_frame_state_action_and_task_is_read_back(dataset: tuple[Path, list[RecordedEpisode]]):
    root, episodes = dataset
    read = open_in_lerobot(root)
    assert (read.num_episodes, len(read), read.fps) == (3, sum(LENGTHS), 20)
    rows = [(e, t) for e, length in enumerate(LENGTHS) for t in range(length)]
    for index, (e, t) in enumerate(rows):
        frame, recorded = read[index], episodes[e]
        np.testing.assert_array_equal(frame["observation.state"], recorded.state[t])
        np.testing.assert_array_equal(frame["action"], recorded.action[t])
        np.testing.assert_array_equal(frame["subtasks"], [recorded.subtasks[n][t] for n in SPEC.subtasks])
        assert frame["timestamp"].item() == pytest.approx(t / 20)
        assert [int(frame[k]) for k in ("episode_index", "frame_index", "index")] == [e, t, index]
        assert frame["task"] == recorded.task
        for camera in CAMERAS:
            image = frame[f"observation.images.{camera}"].numpy().transpose(1, 2, 0) * 255
            assert np.abs(image - recorded.images[camera][t]).mean() < CLOSE


def test_its_action_windows_are_ours(dataset: tuple[Path, list[RecordedEpisode]]):
    root, episodes = dataset
    read = open_in_lerobot(root, delta_timestamps={"action": [i / 20 for i in range(6)]})
    last = read[8 + 3]  # two frames before the end of the second episode
    np.testing.assert_array_equal(last["action"][:2], episodes[1].action[2:4])
    assert last["action_is_pad"].tolist() == [False, False, True, True, True, True]


def test_its_statistics_are_those_of_the_numbers(dataset: tuple[Path, list[RecordedEpisode]]):
    root, episodes = dataset
    stats = open_in_lerobot(root).meta.stats
    actions = np.concatenate([e.action for e in episodes])
    np.testing.assert_allclose(stats["action"]["mean"], actions.mean(0), atol=1e-6)
    np.testing.assert_allclose(stats["action"]["std"], actions.std(0), atol=1e-6)
    assert stats["observation.images.front"]["mean"].shape == (3, 1, 1)
    assert stats["index"]["max"] == sum(LENGTHS) - 1


def test_it_opens_some_of_the_episodes(dataset: tuple[Path, list[RecordedEpisode]]):
    root, episodes = dataset
    read = open_in_lerobot(root, episodes=[2])
    assert len(read) == LENGTHS[2]
    np.testing.assert_array_equal(read[3]["action"], episodes[2].action[3])


def test_it_understands_the_features(dataset: tuple[Path, list[RecordedEpisode]]):
    from lerobot.configs import FeatureType
    from lerobot.utils.feature_utils import dataset_to_policy_features

    kinds = {name: f.type for name, f in dataset_to_policy_features(open_in_lerobot(dataset[0]).features).items()}
    assert kinds == {
        "observation.images.front": FeatureType.VISUAL,
        "observation.images.wrist": FeatureType.VISUAL,
        "observation.state": FeatureType.STATE,
        "action": FeatureType.ACTION,
    }


def test_it_reads_a_dataset_that_is_still_being_written(tmp_path: Path):
    from data.recordings import episode

    writer = DatasetWriter.create(tmp_path / "dataset", SPEC)
    for seed in range(3):
        writer.commit(encode(episode(seed), 20))
        assert open_in_lerobot(tmp_path / "dataset").num_episodes == seed + 1
    writer.close()


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param(replace(SPEC, cameras=()), id="state only"),
        pytest.param(replace(SPEC, state_names=("x",), action_names=("dx",), subtasks=()), id="single numbers"),
    ],
)
def test_it_reads_other_kinds_of_datasets(spec: DatasetSpec, tmp_path: Path):
    episodes = write(tmp_path / "dataset", (3, 2), spec)
    read = open_in_lerobot(tmp_path / "dataset")
    frame = read[4]
    np.testing.assert_array_equal(np.atleast_1d(frame["action"]), episodes[1].action[1])
    np.testing.assert_array_equal(np.atleast_1d(frame["observation.state"]), episodes[1].state[1])


def test_our_frames_are_the_ones_it_decodes(dataset: tuple[Path, list[RecordedEpisode]], tmp_path: Path):
    read, cache = open_in_lerobot(dataset[0], return_uint8=True), FrameCache.open(dataset[0], tmp_path / "frames")
    for index in range(sum(LENGTHS)):
        for camera in CAMERAS:
            theirs = read[index][f"observation.images.{camera}"].numpy().transpose(1, 2, 0)
            np.testing.assert_array_equal(cache.images[camera][index], theirs)


def test_a_dataset_that_lerobot_added_to_is_left_alone(dataset: tuple[Path, list[RecordedEpisode]]):
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    root, _ = dataset
    theirs = LeRobotDataset.resume("someone/something", root=root, video_backend="pyav")
    for _ in range(3):
        frame = {f"observation.images.{camera}": np.zeros((*SIZE, 3), np.uint8) for camera in CAMERAS}
        frame |= {"observation.state": np.zeros(3, np.float32), "action": np.zeros(2, np.float32)}
        theirs.add_frame(frame | {"subtasks": np.zeros(2, bool), "task": "other"})
    theirs.save_episode()
    theirs.finalize()
    before = sorted(root.rglob("*"))
    with pytest.raises(EtudeError, match="episode 3 of .* was not written by Etude"):
        DatasetWriter.resume(root)
    assert sorted(root.rglob("*")) == before
    assert open_in_lerobot(root).num_episodes == 4


def test_we_read_what_it_merged_into_shared_files(dataset: tuple[Path, list[RecordedEpisode]], tmp_path: Path):
    from lerobot.datasets.aggregate import aggregate_datasets

    root, episodes = dataset
    more = write(tmp_path / "more", (5, 7))
    aggregate_datasets(["a/a", "b/b"], "c/c", roots=[root, tmp_path / "more"], aggr_root=tmp_path / "merged")
    cache = FrameCache.open(tmp_path / "merged", tmp_path / "frames")
    assert cache.lengths.tolist() == [*LENGTHS, 5, 7]
    for index, recorded in enumerate([*episodes, *more]):
        np.testing.assert_array_equal(cache.action[cache.episode(index)], recorded.action)
        difference = cache.images["wrist"][cache.episode(index)].astype(int) - recorded.images["wrist"]
        assert np.abs(difference).mean() < CLOSE
