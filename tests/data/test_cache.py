import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data.recordings import CAMERAS, CLOSE, SPEC, episode, write

from etude.core import EtudeError, StageFailedError
from etude.data import DatasetMeta, DatasetWriter, FrameCache, default_cache_dir, encode, statistics


def test_it_holds_every_frame_in_order(tmp_path: Path):
    episodes = write(tmp_path / "dataset", (9, 4, 12))
    cache = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    assert cache.starts.tolist() == [0, 9, 13]
    for index, recorded in enumerate(episodes):
        here = cache.episode(index)
        np.testing.assert_array_equal(cache.state[here], recorded.state)
        np.testing.assert_array_equal(cache.action[here], recorded.action)
        for camera in CAMERAS:
            assert np.abs(cache.images[camera][here].astype(int) - recorded.images[camera]).mean() < CLOSE


def test_it_is_decoded_once_whatever_the_folder_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "dataset")
    calls: list[tuple[int, int]] = []
    first = FrameCache.open(tmp_path / "dataset", tmp_path / "frames", on_progress=lambda *p: calls.append(p))
    assert calls == [(i, 6) for i in range(1, 7)]
    (tmp_path / "dataset").rename(tmp_path / "renamed")
    monkeypatch.setattr("etude.data.cache.decode_video", lambda *_: pytest.fail("decoded again"))
    assert FrameCache.open(tmp_path / "renamed", tmp_path / "frames").path == first.path
    assert first.size_bytes > sum(images.nbytes for images in first.images.values())


def test_more_episodes_or_another_size_are_another_cache(tmp_path: Path):
    write(tmp_path / "dataset")
    first = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    small = FrameCache.open(tmp_path / "dataset", tmp_path / "frames", image_size=(16, 24))
    assert small.images["front"].shape[1:] == (16, 24, 3)
    with DatasetWriter.resume(tmp_path / "dataset") as writer:
        writer.commit(encode(episode(7), 20))
    longer = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    assert len({first.path, small.path, longer.path}) == 3
    assert len(longer.state) == len(first.state) + 9


def test_arrays_are_read_only(tmp_path: Path):
    write(tmp_path / "dataset")
    cache = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    for array in (*cache.images.values(), cache.state, cache.action, cache.starts, cache.lengths):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_several_may_build_it_at_once(tmp_path: Path):
    write(tmp_path / "dataset")
    with ThreadPoolExecutor(1) as pool:
        pids = iter(range(10**6, 10**6 + 9))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "getpid", lambda: next(pids))
            rival = pool.submit(FrameCache.open, tmp_path / "dataset", tmp_path / "frames")
            mine = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
            np.testing.assert_array_equal(rival.result().images["front"], mine.images["front"])
    assert [p.name for p in (tmp_path / "frames").iterdir()] == [mine.path.name]


def test_what_killed_processes_left_is_removed_after_a_day(tmp_path: Path):
    write(tmp_path / "dataset")
    old, recent = (tmp_path / "frames" / name for name in (".abc.17.tmp", ".abc.18.tmp"))
    for folder in (old, recent):
        folder.mkdir(parents=True)
    os.utime(old, (0, 0))
    FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    assert not old.exists()
    assert recent.exists()


def test_a_state_only_dataset_has_no_images(tmp_path: Path):
    write(tmp_path / "dataset", spec=replace(SPEC, cameras=()))
    cache = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    assert dict(cache.images) == {}
    assert len(cache.state) == 25


def test_an_empty_dataset_is_refused(tmp_path: Path):
    DatasetWriter.create(tmp_path / "dataset", SPEC).close()
    with pytest.raises(EtudeError, match="no episodes"):
        FrameCache.open(tmp_path / "dataset", tmp_path / "frames")


def test_a_missing_or_cut_video_is_named_and_no_cache_is_left(tmp_path: Path):
    write(tmp_path / "dataset")
    video = next((tmp_path / "dataset/videos").rglob("file-002.mp4"))
    shutil.copy(video.with_name("file-001.mp4"), video)  # 4 frames where 12 are expected
    with pytest.raises(EtudeError, match=r"file-002\.mp4.*4 of the 12 frames"):
        FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    video.unlink()
    with pytest.raises(EtudeError, match=r"file-002\.mp4"):
        FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    assert list((tmp_path / "frames").glob("*")) == []


def test_without_room_it_says_where_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "dataset")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(StageFailedError, match=r"frames' \(No space left on device\).*ETUDE_CACHE_DIR"):
        FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    assert list((tmp_path / "frames").glob("*")) == []


def test_the_default_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("ETUDE_CACHE_DIR", str(tmp_path))
    assert default_cache_dir() == tmp_path / "frames"
    monkeypatch.delenv("ETUDE_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "shared"))
    assert default_cache_dir() == tmp_path / "shared/etude/frames"


def test_statistics_cover_all_frames_of_all_datasets(tmp_path: Path):
    roots = [tmp_path / "a", tmp_path / "b"]
    episodes = [*write(roots[0]), *write(roots[1], (5,))]
    found = statistics(*(FrameCache.open(root, tmp_path / "frames") for root in roots))
    states = np.concatenate([e.state for e in episodes])
    np.testing.assert_allclose(found["observation.state"]["std"], states.std(0), atol=1e-6)
    np.testing.assert_allclose(found["observation.state"]["max"], states.max(0))
    assert found["observation.images.front"]["mean"].shape == (3, 1, 1)


def test_metadata_tells_where_every_episode_comes_from(tmp_path: Path):
    episodes = write(tmp_path / "dataset")
    meta = DatasetMeta.open(tmp_path / "dataset")
    assert (meta.total_episodes, meta.total_frames, meta.fps) == (3, 25, 20)
    assert (meta.task, meta.space_hash, meta.cameras) == (SPEC.task, SPEC.space_hash, CAMERAS)
    assert (meta.state_size, meta.action_size) == (3, 2)
    assert dict(meta.features) == SPEC.features
    for record, recorded in zip(meta.episodes, episodes, strict=True):
        assert record.case == recorded.outcome.case
        assert (record.success, record.failure_mode) == (recorded.outcome.success, recorded.outcome.failure_mode)
        assert record.source_episode == recorded.source_episode


def test_what_is_no_dataset_is_refused_in_one_line(tmp_path: Path):
    with pytest.raises(EtudeError, match="does not exist"):
        DatasetMeta.open(tmp_path)


def test_a_damaged_row_is_named(tmp_path: Path):
    write(tmp_path / "dataset")
    row = next((tmp_path / "dataset/meta/episodes").rglob("*.parquet"))
    row.write_bytes(row.read_bytes()[:-20])
    with pytest.raises(EtudeError, match=r"file-000\.parquet' cannot be read"):
        DatasetMeta.open(tmp_path / "dataset")
