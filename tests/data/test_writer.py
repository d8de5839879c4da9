import errno
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet
import pytest
from data.recordings import SPEC, episode, write

from etude.core import EtudeError, MismatchError, RunExistsError, StageFailedError
from etude.core.files import read_json
from etude.data import DatasetMeta, DatasetWriter, FrameCache, encode, recover


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file() and p.name != ".lock"}


def assert_whole(root: Path, episodes: int, tmp_path: Path) -> None:
    """The dataset holds exactly these episodes, with the frames they were recorded with, and nothing else."""
    meta = DatasetMeta.open(root)
    assert meta.total_episodes == episodes
    info = read_json(root / "meta/info.json")
    assert (info["total_episodes"], info["total_frames"]) == (episodes, meta.total_frames)
    assert not [p for p in root.rglob("*") if p.name.endswith((".tmp", ".new", ".old"))]
    assert len(list((root / "data").rglob("*.parquet"))) == episodes
    assert len(list((root / "videos").rglob("*.mp4"))) == 2 * episodes
    if episodes:
        cache = FrameCache.open(root, tmp_path / "frames")
        for index in range(episodes):
            recorded = episode(index)
            np.testing.assert_array_equal(cache.action[cache.episode(index)], recorded.action)
            assert meta.episodes[index].case == recorded.outcome.case
        assert pyarrow.parquet.read_table(root / "meta/etude/episodes.parquet")["seed"].to_pylist() == [
            *range(episodes)
        ]


def test_interrupted_and_resumed_writing_gives_the_same_files(tmp_path: Path):
    write(tmp_path / "whole", (9,) * 5)
    with DatasetWriter.create(tmp_path / "parts", SPEC) as writer:
        for seed in range(2):
            writer.commit(encode(episode(seed), 20))
    writer = DatasetWriter.resume(tmp_path / "parts", SPEC)
    assert (writer.episodes, writer.frames, writer.last_seed) == (2, 18, 1)
    assert writer.commit(encode(episode(2), 20)) == 2
    writer.close()  # not finalized, as if killed
    with DatasetWriter.resume(tmp_path / "parts") as writer:
        for seed in (3, 4):
            writer.commit(encode(episode(seed), 20))
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")


def test_the_sidecar_says_where_an_episode_comes_from(tmp_path: Path):
    write(tmp_path / "dataset")
    row = pyarrow.parquet.read_table(tmp_path / "dataset/meta/etude/episodes.parquet").to_pylist()[2]
    assert json.loads(row["theta"]) == {"cube.yaw_rad": -0.1, "light.intensity": 0.52}
    expected = {"episode_index": 2, "seed": 2, "source_episode": 1, "generator": "expert", "success": False}
    expected |= {"progress": 0.4, "stage": "grasp", "length": 12, "failure_mode": "dropped"}
    assert {key: row[key] for key in expected} == expected
    own = read_json(tmp_path / "dataset/meta/etude/info.json")
    assert (own["space_hash"], own["task"]) == (SPEC.space_hash, SPEC.task)


def test_each_task_text_has_one_index(tmp_path: Path):
    texts = ["stack", "unstack", "stack"]
    with DatasetWriter.create(tmp_path / "dataset", SPEC) as writer:
        for seed, text in enumerate(texts):
            writer.commit(encode(episode(seed, task=text), 20))
    tables = [pyarrow.parquet.read_table(p) for p in sorted((tmp_path / "dataset/data").rglob("*.parquet"))]
    assert [table["task_index"][0].as_py() for table in tables] == [0, 1, 0]
    assert read_json(tmp_path / "dataset/meta/info.json")["total_tasks"] == 2


def test_an_existing_folder_is_not_overwritten(tmp_path: Path):
    write(tmp_path / "dataset")
    before = contents(tmp_path / "dataset")
    with pytest.raises(RunExistsError, match="already exists"):
        DatasetWriter.create(tmp_path / "dataset", SPEC)
    assert contents(tmp_path / "dataset") == before
    (tmp_path / "empty").mkdir()
    DatasetWriter.create(tmp_path / "empty", SPEC).close()


def test_resuming_with_other_features_says_which(tmp_path: Path):
    write(tmp_path / "dataset")
    with pytest.raises(MismatchError, match=r"cameras .* space_hash \(0123456789abcdef there, else asked for\)"):
        DatasetWriter.resume(tmp_path / "dataset", replace(SPEC, cameras=("front",), space_hash="else"))


def test_an_episode_that_does_not_fit_is_refused_by_name(tmp_path: Path):
    other = replace(SPEC, action_names=("a", "b", "c"), image_size=64)
    with (
        DatasetWriter.create(tmp_path / "dataset", SPEC) as writer,
        pytest.raises(MismatchError, match=r"action size \(2 there, 3 here\), image shape of 'front'"),
    ):
        writer.commit(encode(episode(0, spec=other), 20))
    assert_whole(tmp_path / "dataset", 0, tmp_path)


def test_a_foreign_folder_cannot_be_resumed(tmp_path: Path):
    with pytest.raises(EtudeError, match="not a dataset that Etude wrote"):
        DatasetWriter.resume(tmp_path)


def test_two_writers_do_not_share_a_dataset(tmp_path: Path):
    writer = DatasetWriter.create(tmp_path / "dataset", SPEC)
    with pytest.raises(EtudeError, match="written by another process"):
        DatasetWriter.resume(tmp_path / "dataset")
    writer.finalize()
    with pytest.raises(EtudeError, match="closed"):
        writer.commit(encode(episode(0), 20))
    DatasetWriter.resume(tmp_path / "dataset").close()


class Killed(BaseException):
    """Nothing catches it: what the process would have done next does not happen."""


def stop_at(step: int, failure: Callable[[], BaseException], monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """From now on, fail at the given call that changes the disk; counts such calls."""
    counter = SimpleNamespace(calls=0)

    def failing[**P, R](function: Callable[P, R]) -> Callable[P, R]:
        def call(*args: P.args, **kwargs: P.kwargs) -> R:
            counter.calls += 1
            if counter.calls - 1 == step:
                raise failure()
            return function(*args, **kwargs)

        return call

    for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "mkdir")):
        monkeypatch.setattr(owner, name, failing(getattr(owner, name)))
    return counter


@pytest.mark.parametrize("stride", [9, pytest.param(1, marks=pytest.mark.slow)])
def test_killed_at_any_step_nothing_committed_is_lost(tmp_path: Path, stride: int):
    encoded = [encode(episode(seed), 20) for seed in range(3)]
    for step in range(0, 200, stride):
        root = tmp_path / f"{step}"
        writer = DatasetWriter.create(root, SPEC)
        saved = [writer.commit(encoded[0])]
        with pytest.MonkeyPatch.context() as patch:
            counter = stop_at(step, Killed, patch)
            try:
                saved += [writer.commit(e) for e in encoded[1:]]
                writer.finalize()
            except Killed:
                pass
        writer.close()
        found = recover(root)
        assert len(saved) <= found <= 3
        assert_whole(root, found, tmp_path)
        with DatasetWriter.resume(root) as resumed:
            for e in encoded[found:]:
                resumed.commit(e)
        assert_whole(root, 3, tmp_path)
        shutil.rmtree(root)
        if counter.calls <= step:
            break
    assert 30 < step < 190


@pytest.mark.parametrize("stride", [3, pytest.param(1, marks=pytest.mark.slow)])
def test_a_disk_full_at_any_step_leaves_the_dataset_as_it_was(tmp_path: Path, stride: int):
    encoded = [encode(episode(seed), 20) for seed in range(2)]
    for step in range(0, 100, stride):
        root = tmp_path / f"{step}"
        writer = DatasetWriter.create(root, SPEC)
        writer.commit(encoded[0])
        with pytest.MonkeyPatch.context() as patch:
            counter = stop_at(step, lambda: OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), patch)
            message = ""
            try:
                writer.commit(encoded[1])
            except StageFailedError as error:
                message = str(error)
        if counter.calls <= step:
            break
        for part in (str(root), "No space left on device", f"{writer.episodes} committed"):
            assert part in message
        if writer.episodes == 1:  # the same writer goes on when there is room again
            assert writer.commit(encoded[1]) == 1
        writer.close()
        recover(root)
        assert_whole(root, 2, tmp_path)
        shutil.rmtree(root)
    assert 10 < step < 90


def test_a_disk_that_is_really_full_is_one_line(tmp_path: Path):
    writer = DatasetWriter.create(tmp_path / "dataset", SPEC)
    writer.commit(encode(episode(0), 20))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))
    try:
        with pytest.raises(StageFailedError, match=r"episode 1 could not be written .*1 committed episodes are kept"):
            writer.commit(encode(episode(1), 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    writer.commit(encode(episode(1), 20))
    writer.finalize()
    assert_whole(tmp_path / "dataset", 2, tmp_path)


SAVES_FOR_EVER = """
import sys
from pathlib import Path
from itertools import count
from data.recordings import SPEC, episode
from etude.data import DatasetWriter, encode
root = Path(sys.argv[1])
writer = DatasetWriter.resume(root) if root.exists() else DatasetWriter.create(root, SPEC)
while True:
    print(writer.commit(encode(episode(writer.episodes), 20)), flush=True)
"""


def kill_while_saving(root: Path, after: int) -> int:
    """Save episodes in another process, kill it without warning; returns the last index it reported, or -1."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-c", SAVES_FOR_EVER, str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        reported = [int(process.stdout.readline()) for _ in range(after)]
        process.send_signal(signal.SIGKILL)
        reported += [int(line) for line in process.stdout if line.endswith("\n")]
    return reported[-1] if reported else -1


def test_an_episode_that_was_reported_saved_survives_kill_9(tmp_path: Path):
    last = kill_while_saving(tmp_path / "dataset", after=4)
    found = recover(tmp_path / "dataset")
    assert last < found <= last + 2
    assert_whole(tmp_path / "dataset", found, tmp_path)


@pytest.mark.slow
def test_episodes_survive_being_killed_again_and_again(tmp_path: Path):
    for round_ in range(12):
        last = kill_while_saving(tmp_path / "dataset", after=1 + round_ % 4)
        found = DatasetMeta.open(tmp_path / "dataset").total_episodes
        assert last < found
    assert_whole(tmp_path / "dataset", recover(tmp_path / "dataset"), tmp_path)
