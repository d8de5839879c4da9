import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data.recordings import CAMERAS, CLOSE, SIZE, SPEC, episode, write

from etude.cli.entry import main
from etude.core import ConfigError, EtudeError, StageFailedError
from etude.data import DatasetMeta, DatasetWriter, FrameCache, default_cache_dir, encode, read_images, statistics
from etude.data.caching.store import Store
from etude.data.video import decode_video


def left_in(frames: Path) -> list[Path]:
    return [path for path in frames.rglob("*") if path.is_file() and path.name != ".lock"]


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
    monkeypatch.setattr("etude.data.caching.clips.decode_video", lambda *_: pytest.fail("decoded again"))
    assert FrameCache.open(tmp_path / "renamed", tmp_path / "frames").files == first.files
    assert first.size_bytes > sum(images.nbytes for images in first.images.values())


def test_more_episodes_decode_only_what_is_new(tmp_path: Path):
    write(tmp_path / "dataset")
    first = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    with DatasetWriter.resume(tmp_path / "dataset") as writer:
        writer.commit(encode(episode(7), 20))
    calls: list[tuple[int, int]] = []
    longer = FrameCache.open(tmp_path / "dataset", tmp_path / "frames", on_progress=lambda *p: calls.append(p))
    assert calls[-1] == (2, 2)
    assert len(longer.state) == len(first.state) + 9
    np.testing.assert_array_equal(longer.images["front"][: len(first.state)], first.images["front"][:])


def test_another_size_is_another_cache_and_its_features_say_so(tmp_path: Path):
    write(tmp_path / "dataset")
    large = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    small = FrameCache.open(tmp_path / "dataset", tmp_path / "frames", image_size=(16, 24))
    assert small.images["front"].shape == (25, 16, 24, 3)
    assert small.meta.image_shapes["front"] == (16, 24, 3)
    halved = large.images["front"][:].reshape(25, 16, 2, 24, 2, 3).mean((2, 4))
    assert np.abs(small.images["front"][:] - halved).mean() < 3  # colour is stored at half the resolution anyway


def test_arrays_are_read_only(tmp_path: Path):
    write(tmp_path / "dataset")
    cache = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    for array in (cache.images["front"][0], cache.state, cache.action, cache.starts, cache.lengths):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = 0


def test_images_are_an_array_whatever_files_they_lie_in(tmp_path: Path):
    write(tmp_path / "dataset")
    images = FrameCache.open(tmp_path / "dataset", tmp_path / "frames").images["front"]
    whole = np.asarray(images)
    assert (whole.shape, len(images), images.dtype, images.nbytes) == (images.shape, 25, np.uint8, whole.nbytes)
    rows = np.array([20, 3, 3, -1, 12])
    np.testing.assert_array_equal(images[rows], whole[rows])
    np.testing.assert_array_equal(images.take(rows), whole[rows])
    np.testing.assert_array_equal(images[7:15:2], whole[7:15:2])
    np.testing.assert_array_equal(images[-1], whole[-1])


@pytest.mark.parametrize("image_size", [None, (16, 24)])
def test_it_takes_hardly_more_than_the_raw_frames(tmp_path: Path, image_size: tuple[int, int] | None):
    write(tmp_path / "dataset", (9, 14, 12))
    cache = FrameCache.open(tmp_path / "dataset", tmp_path / "frames", image_size=image_size)
    height, width = image_size or SIZE
    raw = len(CAMERAS) * len(cache.state) * height * width * 3
    taken = sum(path.stat().st_size for path in (tmp_path / "frames").rglob("*") if path.is_file())
    assert raw < cache.size_bytes < taken <= 1.1 * raw


def test_datasets_share_the_frames_that_they_have_in_common(tmp_path: Path):
    write(tmp_path / "part", (9, 4))
    write(tmp_path / "whole", (9, 4, 12))
    part = FrameCache.open(tmp_path / "part", tmp_path / "frames")
    before = Store(tmp_path / "frames").size_bytes
    whole = FrameCache.open(tmp_path / "whole", tmp_path / "frames")
    height, width = SIZE
    assert Store(tmp_path / "frames").size_bytes - before < 1.1 * 2 * 12 * height * width * 3
    np.testing.assert_array_equal(part.images["wrist"][:], whole.images["wrist"][:13])


def test_equal_videos_are_kept_once(tmp_path: Path):
    with DatasetWriter.create(tmp_path / "dataset", SPEC) as writer:
        recorded = episode(0)
        twins = replace(recorded, images=dict.fromkeys(CAMERAS, recorded.images["front"]))
        for _ in range(3):
            writer.commit(encode(twins, SPEC.fps))
    cache = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    assert len(list((tmp_path / "frames").glob("*.npy"))) == 3  # images, state, action
    for camera in CAMERAS:
        np.testing.assert_array_equal(cache.images[camera][9:18], cache.images["front"][:9])


def test_single_images_are_read_exactly(tmp_path: Path):
    episodes = write(tmp_path / "dataset", spec=replace(SPEC, storage="image"))
    cache = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    for index, recorded in enumerate(episodes):
        for camera in CAMERAS:
            np.testing.assert_array_equal(cache.images[camera][cache.episode(index)], recorded.images[camera])


def test_a_recording_of_the_real_world_in_v21_is_read(tmp_path: Path, real_data: Path):
    cache = FrameCache.open(real_data, tmp_path / "frames", image_size=(24, 32))
    assert len(cache.state) == cache.meta.total_frames
    for camera, images in cache.images.items():
        first = next(iter(read_images(cache.meta, 1, camera)))
        assert abs(images[int(cache.starts[1])].mean() - first.mean()) < 3


def test_other_columns_are_read_in_the_same_order(tmp_path: Path):
    write(tmp_path / "dataset")
    cache = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    np.testing.assert_array_equal(cache.numbers("index")[:, 0], np.arange(25))


def test_building_takes_the_memory_of_a_few_frames(tmp_path: Path):
    write(tmp_path / "dataset", (120,), replace(SPEC, image_size=(96, 96)))
    tracemalloc.start()
    FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * 96 * 96 * 3  # of 240 images


def test_several_may_build_it_at_once_and_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    write(tmp_path / "dataset")
    decoded: list[Path] = []

    def slowly(path: Path, size: tuple[int, int]):
        decoded.append(path)
        time.sleep(0.05)
        return decode_video(path, size)

    monkeypatch.setattr("etude.data.caching.clips.decode_video", slowly)
    waited: list[tuple[int, int]] = []
    with ThreadPoolExecutor(2) as pool:
        rivals = [
            pool.submit(
                FrameCache.open, tmp_path / "dataset", tmp_path / "frames", on_progress=lambda *p: waited.append(p)
            )
            for _ in range(2)
        ]
        caches = [rival.result() for rival in rivals]
    np.testing.assert_array_equal(caches[0].images["front"][:], caches[1].images["front"][:])
    assert len(decoded) == 6
    assert (6, 6) in waited
    assert any(total == 8 for _, total in waited)  # the one who waits counts the arrays of numbers too


BUILDS_FOR_EVER = """
import os, sys, time
from pathlib import Path
import etude.data.caching.clips as clips
from etude.data import FrameCache
decode = clips.decode_video
def stuck(path, size):
    for image in decode(path, size):
        yield image
        os.write(1, b"decoding\\n")  # whole, though two clips are decoded at once
        time.sleep(60)
clips.decode_video = stuck
FrameCache.open(Path(sys.argv[1]), Path(sys.argv[2]))
"""


def test_a_killed_builder_blocks_nobody_and_leaves_nothing(tmp_path: Path):
    write(tmp_path / "dataset")
    command = [sys.executable, "-c", BUILDS_FOR_EVER, str(tmp_path / "dataset"), str(tmp_path / "frames")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "decoding\n"
        assert list((tmp_path / "frames").glob(".*.tmp"))
        process.kill()
    cache = FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    assert sorted(path.name for path in (tmp_path / "frames").iterdir()) == sorted(
        [*{path.name for path in cache.files}, "datasets"]
    )


def test_what_was_not_used_for_longest_makes_room_but_never_what_is_in_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    frames, roots = tmp_path / "frames", [tmp_path / name for name in "abcd"]
    for seed, root in enumerate(roots):
        with DatasetWriter.create(root, SPEC) as writer:
            writer.commit(encode(episode(seed), SPEC.fps))
    used = [FrameCache.open(root, frames) for root in roots[:3]]
    monkeypatch.setenv("ETUDE_CACHE_GB", str(3.2 * used[0].size_bytes / 1e9))
    for age, cache in enumerate(used):
        record = next(r for r, _, _ in Store(frames).datasets() if r.dataset == str(cache.meta.root))
        os.utime(frames / f"datasets/{record.key}.json", (1000 * (age + 1),) * 2)
    with pytest.raises(StageFailedError, match=r"in use: set ETUDE_CACHE_GB higher"):
        FrameCache.open(roots[3], frames)
    kept = used[0]
    used.clear()
    del cache
    FrameCache.open(roots[3], frames)
    assert {Path(r.dataset).name for r, _, _ in Store(frames).datasets()} == {"a", "c", "d"}
    assert all(path.exists() for path in kept.files)
    assert Store(frames).size_bytes <= 3.2 * kept.size_bytes


def test_clearing_leaves_what_is_in_use(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("ETUDE_CACHE_DIR", str(tmp_path))
    write(tmp_path / "a", (9,))
    write(tmp_path / "b", (4, 3))
    kept = FrameCache.open(tmp_path / "a")
    FrameCache.open(tmp_path / "b")
    assert main(["data", "cache", "--json"]) == 0
    listed = {Path(each["dataset"]).name: each for each in json.loads(capsys.readouterr().out)["datasets"]}
    assert {name: each["in_use"] for name, each in listed.items()} == {"a": True, "b": False}
    assert main(["data", "cache", "--clear"]) == 0
    assert "a" in capsys.readouterr().out
    assert [Path(r.dataset).name for r, _, _ in Store(tmp_path / "frames").datasets()] == ["a"]
    assert all(path.exists() for path in kept.files)


@pytest.mark.parametrize("limit", ["much", "-1", "0", "nan"])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str):
    monkeypatch.setenv("ETUDE_CACHE_GB", limit)
    with pytest.raises(ConfigError, match="positive number of gigabytes"):
        Store(tmp_path)


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
    with pytest.raises(EtudeError, match=r"^episode 2 of .*file-002\.mp4.*4 of 12 frames.* --episodes 2 --out"):
        FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    video.unlink()
    with pytest.raises(EtudeError, match=r"file-002\.mp4"):
        FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    assert left_in(tmp_path / "frames") == []


def test_a_damaged_data_file_is_told_with_its_episode_and_the_way_around(tmp_path: Path):
    write(tmp_path / "dataset")
    for cut in (lambda path: path.write_bytes(path.read_bytes()[:-20]), Path.unlink):
        cut(tmp_path / "dataset/data/chunk-000/file-001.parquet")
        with pytest.raises(EtudeError, match=r"^episode 1 of .*file-001\.parquet.* --episodes 1 --out"):
            FrameCache.open(tmp_path / "dataset", tmp_path / "frames")


def test_on_a_full_disk_it_says_where_and_leaves_nothing(tmp_path: Path):
    write(tmp_path / "dataset")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, limits[1]))
    try:
        with pytest.raises(
            StageFailedError, match=r"frames' \(File too large\); make room there, or set ETUDE_CACHE_DIR"
        ):
            FrameCache.open(tmp_path / "dataset", tmp_path / "frames")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert left_in(tmp_path / "frames") == []


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


def test_what_a_crash_left_without_its_metadata_is_told_how_to_recover(tmp_path: Path):
    write(tmp_path / "dataset")
    for break_it in (lambda info: info.write_text('{"codebase'), Path.unlink):
        break_it(tmp_path / "dataset/meta/info.json")
        with pytest.raises(EtudeError, match=r"info\.json'.*`etude data recover .*/dataset --out .*-recovered`"):
            DatasetMeta.open(tmp_path / "dataset")


def test_a_damaged_row_is_named(tmp_path: Path):
    write(tmp_path / "dataset")
    row = next((tmp_path / "dataset/meta/episodes").rglob("*.parquet"))
    row.write_bytes(row.read_bytes()[:-20])
    with pytest.raises(EtudeError, match=r"file-000\.parquet' cannot be read"):
        DatasetMeta.open(tmp_path / "dataset")
