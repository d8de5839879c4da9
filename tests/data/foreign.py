"""Datasets that others wrote: LeRobot v2.1 by its layout, LeRobot v3 by LeRobot's own writer."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from data.recordings import moving_images

from etude.core import stream
from etude.data import RecordedEpisode
from etude.data.statistics import image_statistics, vector_statistics
from etude.data.video import encode_video

IMAGE_KEY = "observation.images.front"
SIZE = (64, 96)


def recorded(seed: int, frames: int, tasks: Sequence[str] = ("push",)) -> RecordedEpisode:
    """An episode with a further column, whose task changes on the way where there are two."""
    rng = stream(seed, "foreign")
    texts = [tasks[min(t // 2, len(tasks) - 1)] for t in range(frames)]
    return RecordedEpisode(
        images={"front": moving_images(frames, rng, SIZE)},
        state=rng.standard_normal((frames, 3)).astype(np.float32),
        action=rng.standard_normal((frames, 2)).astype(np.float32),
        extras={"observation.velocity": rng.standard_normal((frames, 3)).astype(np.float32)},
        task=texts[0],
        frame_tasks=tuple(texts) if len(set(texts)) > 1 else (),
    )


def features(storage: str) -> dict[str, dict[str, Any]]:
    """The columns, as LeRobot is told them."""
    return {
        "observation.state": {"dtype": "float32", "shape": (3,), "names": ["a", "b", "c"]},
        "action": {"dtype": "float32", "shape": (2,), "names": ["p", "q"]},
        "observation.velocity": {"dtype": "float32", "shape": (3,), "names": None},
        IMAGE_KEY: {"dtype": storage, "shape": (*SIZE, 3), "names": ["height", "width", "channels"]},
    }


def write_with_lerobot(root: Path, episodes: Sequence[RecordedEpisode], storage: str) -> None:
    """Several episodes to a file, AV1 or PNG."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset.create(
        "some/set", fps=10, features=features(storage), root=root, use_videos=storage == "video"
    )
    for episode in episodes:
        for t in range(episode.length):
            frame: dict[str, Any] = {"observation.state": episode.state[t], "action": episode.action[t]}
            frame["observation.velocity"] = episode.extras["observation.velocity"][t]
            frame |= {IMAGE_KEY: episode.images["front"][t], "task": (episode.frame_tasks or [episode.task] * 99)[t]}
            dataset.add_frame(frame)
        dataset.save_episode()
    dataset.finalize()


def write_v21(root: Path, episodes: Sequence[RecordedEpisode]) -> None:
    """A file per episode, and metadata in JSON lines."""
    tasks = list(dict.fromkeys(t for e in episodes for t in e.frame_tasks or (e.task,)))
    indices = {name: {"dtype": "int64", "shape": [1], "names": None} for name in _INDICES}
    info = {
        "codebase_version": "v2.1",
        "robot_type": "toy",
        "fps": 10,
        "chunks_size": 1000,
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
        "features": {**features("video"), "timestamp": {"dtype": "float32", "shape": [1], "names": None}, **indices},
    }
    _write(root / "meta/info.json", json.dumps(info).encode())
    _write_lines(root / "meta/tasks.jsonl", [{"task_index": i, "task": text} for i, text in enumerate(tasks)])
    records, stats, first = [], [], 0
    for index, e in enumerate(episodes):
        texts = list(e.frame_tasks or (e.task,) * e.length)
        records.append({"episode_index": index, "tasks": list(dict.fromkeys(texts)), "length": e.length})
        numbers = {"observation.state": e.state, "action": e.action, **e.extras}
        values = {name: vector_statistics(array) for name, array in numbers.items()}
        values[IMAGE_KEY] = image_statistics(e.images["front"])
        plain = {name: {k: v.tolist() for k, v in s.items() if k[0] != "q"} for name, s in values.items()}
        stats.append({"episode_index": index, "stats": plain})
        columns = {name: list(array) for name, array in numbers.items()} | {"timestamp": np.arange(e.length) / 10}
        columns |= {"frame_index": np.arange(e.length), "episode_index": np.full(e.length, index)}
        columns |= {"index": first + np.arange(e.length), "task_index": [tasks.index(text) for text in texts]}
        path = root / f"data/chunk-000/episode_{index:06d}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns), path)
        video = root / f"videos/chunk-000/{IMAGE_KEY}/episode_{index:06d}.mp4"
        _write(video, encode_video(e.images["front"], 10))
        first += e.length
    _write_lines(root / "meta/episodes.jsonl", records)
    _write_lines(root / "meta/episodes_stats.jsonl", stats)


_INDICES = ("frame_index", "episode_index", "index", "task_index")


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _write_lines(path: Path, records: Sequence[dict[str, Any]]) -> None:
    _write(path, "".join(json.dumps(record) + "\n" for record in records).encode())
