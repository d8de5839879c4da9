"""A clean dataset of smooth motions seen by two cameras, and every fault that can be planted in it."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from etude.core import stream
from etude.data import DatasetSpec, DatasetWriter, RecordedEpisode, encode
from etude.data.video import decode_video, encode_video

FPS, FRAMES, EPISODES = 20, 60, 4
SPEC = DatasetSpec(
    fps=FPS,
    cameras=("front", "wrist"),
    image_size=(32, 48),
    state_names=("shoulder_rad", "elbow_rad", "gripper"),
    action_names=("shoulder_rad", "elbow_rad", "gripper"),
    subtasks=("grasp", "place"),
)
HIT = 1
"""The episode that faults are planted in."""


def recorded(seed: int, frames: int = FRAMES) -> RecordedEpisode:
    """A smooth reach with a gripper that closes once; the pictures move with the joints and have a camera's noise."""
    rng = stream(seed, "checked")
    phase, t = rng.uniform(0, 1), np.arange(frames) / FPS
    joints = np.stack([np.sin(t + phase), 0.5 * np.cos(1.3 * t + phase)], axis=1)
    closed = (np.arange(frames) > frames // 2)[:, None].astype(np.float64)
    state = np.hstack([joints + 1e-4 * rng.standard_normal(joints.shape), closed]).astype(np.float32)
    return RecordedEpisode(
        images={camera: _pictures(joints, rng) for camera in SPEC.cameras},
        state=state,
        action=np.vstack([state[1:], state[-1:]]),
        task="reach",
        subtasks={"grasp": np.arange(frames) > frames // 2, "place": np.arange(frames) > frames - 12},
        origin=f"made:{seed}",
    )


def write_clean(root: Path, spec: DatasetSpec = SPEC, episodes: int = EPISODES) -> None:
    """Write the dataset."""
    with DatasetWriter.create(root, spec) as writer:
        for seed in range(episodes):
            writer.commit(encode(recorded(seed), FPS, storage=spec.storage))


def _pictures(joints: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    rows, columns = np.mgrid[:32, :48]
    images = np.empty((len(joints), 32, 48, 3), np.uint8)
    for image, (shoulder, elbow) in zip(images, joints, strict=True):
        scene = 120 + 60 * np.sin(columns / 6 + 6 * shoulder) + 40 * np.cos(rows / 5 + 6 * elbow)
        image[:] = (scene[..., None] + rng.normal(0, 1, (32, 48, 3))).clip(0, 255)
    return images


@dataclass(frozen=True)
class Fault:
    """A fault and the finding that it must lead to.

    Attributes:
        plant: Puts it into a dataset.
        check: Name of the check that finds it.
        severity: How bad it is said to be.
        told: What the message says.
        first: First frame it is said to be at.
        whole: Whether it is of the dataset, not of episode `HIT`.
    """

    plant: Callable[[Path], None]
    check: str
    severity: str
    told: str
    first: int | None = None
    whole: bool = False


def data_file(root: Path, episode: int = HIT) -> Path:
    return root / f"data/chunk-000/file-{episode:03d}.parquet"


def video_file(root: Path, camera: str = "wrist", episode: int = HIT) -> Path:
    return root / f"videos/observation.images.{camera}/chunk-000/file-{episode:03d}.mp4"


def edit_column(root: Path, name: str, change: Callable[[np.ndarray], Any]) -> None:
    """Change a column of an episode's data file in place; a new array may be returned instead."""
    path = data_file(root)
    table = pq.read_table(path)
    column = table.column(name).combine_chunks()
    nested = pa.types.is_nested(column.type)
    flat = (column.flatten() if nested else column).to_numpy(zero_copy_only=False).copy()
    values = flat.reshape(len(table), -1) if nested else flat
    changed = change(values)
    values = values if changed is None else changed
    kept = pa.array(values.ravel(), column.type.value_type if nested else column.type)
    new = pa.FixedSizeListArray.from_arrays(kept, values.shape[1]) if nested else kept
    pq.write_table(table.set_column(table.column_names.index(name), name, new), path)


def edit_images(root: Path, change: Callable[[np.ndarray], np.ndarray | None]) -> None:
    path = video_file(root)
    images = np.stack(list(decode_video(path)))
    changed = change(images)
    path.write_bytes(encode_video(images if changed is None else changed, FPS))


def edit_json(path: Path, change: Callable[[Any], None]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def edit_rows(root: Path, change: Callable[[list[dict[str, Any]]], None]) -> None:
    path = root / "meta/episodes/chunk-000/file-000.parquet"
    rows = pq.read_table(path).to_pylist()
    change(rows)
    pq.write_table(pa.Table.from_pylist(rows), path)


def _put(rows: slice | int, value: Any, column: int | None = None) -> Callable[[np.ndarray], None]:
    def change(values: np.ndarray) -> None:
        values[rows if column is None else (rows, column)] = value

    return change


def _column(name: str, change: Callable[[np.ndarray], Any]) -> Callable[[Path], None]:
    return lambda root: edit_column(root, name, change)


def _images(change: Callable[[np.ndarray], np.ndarray | None]) -> Callable[[Path], None]:
    return lambda root: edit_images(root, change)


def _info(**values: Any) -> Callable[[Path], None]:
    return lambda root: edit_json(root / "meta/info.json", lambda info: info.update(values))


def _row(**values: Any) -> Callable[[Path], None]:
    return lambda root: edit_rows(root, lambda rows: rows[HIT].update(values))


def _freeze(first: int, last: int) -> Callable[[np.ndarray], None]:
    def change(images: np.ndarray) -> None:
        images[first : last + 1] = images[first]

    return change


def _later(frames: int) -> Callable[[np.ndarray], None]:
    def change(t: np.ndarray) -> None:
        t[30:] += frames / FPS

    return change


def _add_joint(values: np.ndarray) -> np.ndarray:
    return np.hstack([values, values[:, :1]])


def _skip(root: Path) -> None:
    """Five frames are lost, and nobody noticed: the numbers go on as if nothing had happened."""
    kept = np.r_[0:20, 25:FRAMES, FRAMES - 5 : FRAMES]
    for name in ("observation.state", "action"):
        edit_column(root, name, lambda values: values[kept])


def _drop_column(root: Path) -> None:
    table = pq.read_table(data_file(root))
    pq.write_table(table.drop_columns(["action"]), data_file(root))


def _truncate(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _statistics(name: str) -> Callable[[Path], None]:
    def change(stats: dict[str, Any]) -> None:
        stats[name]["mean"][0] += 1.0

    return lambda root: edit_json(root / "meta/stats.json", change)


def _shift_mean(rows: list[dict[str, Any]]) -> None:
    rows[HIT]["stats/action/max"][0] += 3.0


def _darken_statistics(rows: list[dict[str, Any]]) -> None:
    rows[HIT]["stats/observation.images.wrist/mean"] = [[[0.0]], [[0.0]], [[0.0]]]


STATE = "observation.state"
FAULTS: Mapping[str, Fault] = {
    "frozen camera": Fault(_images(_freeze(20, 44)), "frozen camera", "broken", "frames 20 to 44 (1.00 to 2.20 s)", 20),
    "frozen to the end": Fault(_images(_freeze(30, 59)), "frozen camera", "broken", "frozen for 1.50 s", 30),
    "black camera": Fault(_images(_put(slice(0, 60), 0)), "black camera", "broken", "frames 0 to 59", 0),
    "a black frame": Fault(
        _images(_put(33, 0)), "black camera", "warning", "'wrist' is black at frame 33 (1.65 s)", 33
    ),
    "one colour": Fault(_images(_put(slice(5, 25), 128)), "blank camera", "warning", "frames 5 to 24", 5),
    "duplicated frame": Fault(_images(_freeze(10, 11)), "duplicated frames", "warning", "frame 11 (0.55 s)", 11),
    "another scene": Fault(_images(lambda v: v.__setitem__(40, 255 - v[40])), "picture jumps", "warning", "40", 40),
    "short video": Fault(_images(lambda v: v[:50]), "video length", "broken", "has 50 of its 60 frames", 50),
    "long video": Fault(_images(lambda v: np.concatenate([v, v[:8]])), "video length", "warning", "8 frames too many"),
    "small video": Fault(_images(lambda v: v[:, :16, :16]), "features", "broken", "16×16"),
    "missing video": Fault(lambda root: video_file(root).unlink(), "missing file", "broken", "is missing"),
    "cut video": Fault(lambda root: _truncate(video_file(root)), "unreadable", "broken", "cannot be read"),
    "missing data": Fault(
        lambda root: data_file(root).unlink(), "missing file", "broken", "file-001.parquet' is missing"
    ),
    "cut data": Fault(lambda root: _truncate(data_file(root)), "unreadable", "broken", "cannot be read"),
    "extra video": Fault(
        lambda root: video_file(root, episode=17).write_bytes(b"x"), "extra files", "warning", "file-017", whole=True
    ),
    "timestamp gap": Fault(
        _column("timestamp", _later(3)), "timestamps", "broken", "3 frames dropped) at frame 30", 30
    ),
    "time runs back": Fault(_column("timestamp", _put(12, 0.1)), "timestamps", "broken", "backwards by 0.450 s", 12),
    "late clock": Fault(_column("timestamp", lambda t: t * 1.001), "timestamps", "warning", "LeRobot allows 0.0001 s"),
    "frames lost": Fault(_skip, "dropped frames", "warning", "about 5 frames seem to be missing before frame 20", 20),
    "state spike": Fault(_column(STATE, _put(25, 3.0, 1)), "jumps", "warning", "elbow_rad jumps by", 25),
    "action jump": Fault(_column("action", _put(slice(40, 60), 5.0, 0)), "jumps", "warning", "shoulder_rad jumps", 40),
    "far outside": Fault(
        _column(STATE, _put(slice(8, 10), -9.0, 0)), "joint limits", "warning", "is -9, outside what", 8
    ),
    "stuck joint": Fault(_column(STATE, _put(slice(0, 60), 0.2, 1)), "constant joints", "warning", "stays at 0.2"),
    "nan": Fault(_column("action", _put(7, np.nan, 2)), "not finite", "broken", "gripper is not a finite number", 7),
    "infinity": Fault(_column(STATE, _put(9, np.inf, 0)), "not finite", "broken", "frame 9 (0.45 s)", 9),
    "more joints": Fault(_column(STATE, _add_joint), "features", "broken", "has 4 numbers, the metadata says 3"),
    "missing column": Fault(_drop_column, "features", "broken", "no column 'action'"),
    "frame index": Fault(_column("frame_index", _put(5, 6)), "index columns", "broken", "is 6 at frame 5", 5),
    "global index": Fault(_column("index", _put(slice(0, 60), 0)), "index columns", "broken", "not 60", 0),
    "episode index": Fault(_column("episode_index", _put(3, 9)), "index columns", "broken", "is 9 at frame 3", 3),
    "unknown task": Fault(_column("task_index", _put(0, 7)), "index columns", "broken", "stands for no task"),
    "total episodes": Fault(_info(total_episodes=9), "totals", "broken", "is 9 in info.json", whole=True),
    "total frames": Fault(_info(total_frames=1), "totals", "broken", "'total_frames' is 1", whole=True),
    "total tasks": Fault(_info(total_tasks=3), "totals", "broken", "'total_tasks' is 3", whole=True),
    "splits": Fault(_info(splits={"train": "0:7"}), "totals", "broken", "up to episode 7", whole=True),
    "statistics": Fault(_statistics("action"), "statistics", "broken", "mean of number 0", whole=True),
    "own statistics": Fault(
        lambda root: edit_rows(root, _shift_mean), "statistics", "broken", "statistics of action do not match: max"
    ),
    "image statistics": Fault(
        lambda root: edit_rows(root, _darken_statistics), "statistics", "broken", "statistics of camera 'wrist'"
    ),
    "no statistics": Fault(
        lambda root: (root / "meta/stats.json").unlink(), "statistics", "broken", "stats.json' is missing", whole=True
    ),
    "no tasks": Fault(
        lambda root: (root / "meta/tasks.parquet").unlink(),
        "metadata",
        "broken",
        "tasks.parquet' is missing",
        whole=True,
    ),
    "length": Fault(_row(length=55), "length", "broken", "metadata says 55 frames, the data file has 60"),
    "no length": Fault(_row(length=None), "length", "broken", "says it has None frames"),
    "place": Fault(_row(dataset_from_index=7), "length", "broken", "at frames 7 to 120, not 60 to 120"),
    "missing row": Fault(
        lambda root: edit_rows(root, lambda rows: rows.pop(HIT)), "metadata", "broken", "row of episode 1", whole=True
    ),
    "no rows": Fault(
        lambda root: _truncate(root / "meta/episodes/chunk-000/file-000.parquet"),
        "unreadable",
        "broken",
        "cannot be read",
        whole=True,
    ),
}


def legacy(root: Path, new: Path) -> None:
    """The dataset as LeRobot v2.1 has it."""
    info = json.loads((root / "meta/info.json").read_text())
    rows = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    (new / "meta").mkdir(parents=True)
    for row in rows:
        index, stats = row["episode_index"], {}
        for name, value in row.items():
            if name.startswith("stats/"):
                feature, _, key = name.removeprefix("stats/").rpartition("/")
                stats.setdefault(feature, {})[key] = value
        record = {"episode_index": index, "tasks": row["tasks"], "length": row["length"]}
        _append(new / "meta/episodes.jsonl", record)
        _append(new / "meta/episodes_stats.jsonl", {"episode_index": index, "stats": stats})
        target = new / f"data/chunk-000/episode_{index:06d}.parquet"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data_file(root, index).read_bytes())
        for camera in SPEC.cameras:
            target = new / f"videos/chunk-000/observation.images.{camera}/episode_{index:06d}.mp4"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(video_file(root, camera, index).read_bytes())
    _append(new / "meta/tasks.jsonl", {"task_index": 0, "task": "reach"})
    info |= {
        "codebase_version": "v2.1",
        "total_videos": len(rows) * len(SPEC.cameras),
        "data_path": "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet",
        "video_path": "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4",
    }
    (new / "meta/info.json").write_text(json.dumps(info))


def _append(path: Path, record: dict[str, Any]) -> None:
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


IMAGES = replace(SPEC, storage="image")


def shared(root: Path, *, video_of: int) -> None:
    """A dataset whose two episodes share a data file and each camera's video, of which only some are in it."""
    write_clean(root, episodes=2)
    tables = [pq.read_table(data_file(root, episode)) for episode in range(2)]
    pq.write_table(pa.concat_tables(tables), data_file(root, 0))
    data_file(root, 1).unlink()
    for camera in SPEC.cameras:
        images = [np.stack(list(decode_video(video_file(root, camera, episode)))) for episode in range(video_of)]
        video_file(root, camera, 1).unlink()
        video_file(root, camera, 0).write_bytes(encode_video(np.concatenate(images), FPS))

    def change(rows: list[dict[str, Any]]) -> None:
        for name in [name for name in rows[1] if name.endswith("/file_index")]:
            rows[1][name] = 0
        for camera in SPEC.cameras:
            rows[1][f"videos/observation.images.{camera}/from_timestamp"] = FRAMES / FPS
            rows[1][f"videos/observation.images.{camera}/to_timestamp"] = 2 * FRAMES / FPS

    edit_rows(root, change)
