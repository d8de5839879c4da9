"""LeRobot v3 on disk: where files lie, and the row that stands for one episode in `meta/episodes`.

Etude writes one data file, one video per camera and one row file per episode, all with the episode's number:

    data/chunk-000/file-017.parquet
    videos/observation.images.front/chunk-000/file-017.mp4
    meta/episodes/chunk-000/file-017.parquet      the row; once it exists, the episode is in the dataset

Everything else in `meta` follows from the rows and is rewritten from them: info.json, stats.json, tasks.parquet and the
sidecar etude/episodes.parquet, whose columns the rows carry under "etude/". When a writer is done, the row files are
merged into one.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etude.core import Case, Outcome, Perturbation
from etude.data.encoding import EncodedEpisode
from etude.data.parquet import Row
from etude.data.spec import ACTION, IMAGE, STATE, SUBTASKS, DatasetSpec, Feature
from etude.data.statistics import Statistics, vector_statistics
from etude.data.video import CODEC, PIXEL_FORMAT

FILES_PER_CHUNK = 1000
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
ROW_PATH = "meta/episodes/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
INFO, STATS, TASKS = Path("meta/info.json"), Path("meta/stats.json"), Path("meta/tasks.parquet")
SIDECAR, SIDECAR_INFO = Path("meta/etude/episodes.parquet"), Path("meta/etude/info.json")
STATS_PREFIX = "stats/"
_SIDECAR_PREFIX = "etude/"
_CODEBASE_VERSION = "v3.0"


def location(template: str, episode: int, camera: str = "") -> Path:
    """Where a file of an episode lies, relative to the dataset's root."""
    chunk, file = divmod(episode, FILES_PER_CHUNK)
    return Path(template.format(chunk_index=chunk, file_index=file, video_key=IMAGE + camera))


def frame_columns(
    episode: EncodedEpisode, spec: DatasetSpec, *, index: int, first_frame: int, tasks: Mapping[str, int]
) -> dict[str, NDArray[Any]]:
    """The columns of an episode's data file.

    Args:
        episode: The episode.
        spec: What the dataset holds.
        index: The episode's index.
        first_frame: Frames in the dataset before it.
        tasks: Task text -> its index, at least of the episode's.

    Returns:
        Feature -> (T, n, …), or (T,) where n = 1: LeRobot stores one number as a plain column, several as a list.
    """
    task_index = [tasks[text] for text in episode.frame_tasks or [episode.task] * episode.length]
    frames = np.arange(episode.length)
    columns: dict[str, NDArray[Any]] = {
        STATE: episode.state,
        ACTION: episode.action,
        "timestamp": frames / spec.fps,
        "frame_index": frames,
        "episode_index": np.full_like(frames, index),
        "index": first_frame + frames,
        "task_index": np.array(task_index),
        **episode.extras,
    }
    if spec.subtasks:
        columns[SUBTASKS] = np.stack([episode.subtasks[name] for name in spec.subtasks], axis=1)
    features = {name: feature for name, feature in spec.features.items() if name in columns}
    return {
        name: columns[name].astype(f.dtype, copy=False).reshape(episode.length, *(f.shape if f.shape != (1,) else ()))
        for name, f in features.items()
    }


def episode_row(episode: EncodedEpisode, spec: DatasetSpec, columns: Mapping[str, NDArray[Any]]) -> Row:
    """The row of an episode: where its frames are, its statistics, and what the sidecar says of it."""
    index, first_frame = int(columns["episode_index"][0]), int(columns["index"][0])
    chunk, file = divmod(index, FILES_PER_CHUNK)
    row: Row = {"episode_index": index, "tasks": episode_tasks(episode), "length": episode.length}
    for prefix in ("data", *(f"videos/{IMAGE}{camera}" for camera in episode.videos), "meta/episodes"):
        row |= {f"{prefix}/chunk_index": chunk, f"{prefix}/file_index": file}
    for camera in episode.videos:
        row[f"videos/{IMAGE}{camera}/from_timestamp"] = 0.0
        row[f"videos/{IMAGE}{camera}/to_timestamp"] = episode.length / spec.fps
    row |= {"dataset_from_index": first_frame, "dataset_to_index": first_frame + episode.length}
    statistics = {IMAGE + camera: episode.image_statistics[camera] for camera in spec.cameras}
    statistics |= {name: vector_statistics(c if c.ndim > 1 else c[:, None]) for name, c in columns.items()}
    row |= statistics_row(statistics)
    return row | {_SIDECAR_PREFIX + key: value for key, value in _sidecar_row(episode).items()}


def episode_tasks(episode: EncodedEpisode) -> list[str]:
    """The task texts of an episode, in the order in which they come up."""
    return list(dict.fromkeys(episode.frame_tasks or [episode.task]))


SIDECAR_TYPES = {
    "theta": "string",
    "seed": "int64",
    "source_episode": "int64",
    "generator": "string",
    "success": "bool",
    "progress": "double",
    "stage": "string",
    "failure_mode": "string",
    "total_reward": "double",
    "subtasks": "string",
    "origin": "string",
    "codecs": "string",
}
"""Columns of the sidecar -> Arrow types: what is not known of an episode is None."""

ROW_TYPES = {_SIDECAR_PREFIX + name: kind for name, kind in SIDECAR_TYPES.items()}
"""The same as columns of meta/episodes."""


def _sidecar_row(episode: EncodedEpisode) -> Row:
    made = {"source_episode": episode.source_episode, "generator": episode.generator, "origin": episode.origin}
    made["codecs"] = json.dumps({camera: list(codec) for camera, codec in episode.codecs.items()}, sort_keys=True)
    outcome = episode.outcome
    if outcome is None:
        return dict.fromkeys(SIDECAR_TYPES) | made
    return made | {
        "theta": json.dumps(dict(outcome.case.theta.values), sort_keys=True),
        "seed": outcome.case.seed,
        "success": outcome.success,
        "progress": outcome.progress,
        "stage": outcome.stage,
        "failure_mode": outcome.failure_mode,
        "total_reward": outcome.total_reward,
        "subtasks": json.dumps(dict(outcome.subtasks), sort_keys=True),
    }


def sidecar_outcome(sidecar: Row) -> Outcome | None:
    """The outcome that a row of the sidecar tells of, or None."""
    if sidecar.get("theta") is None:
        return None
    names = ("success", "progress", "stage", "failure_mode", "total_reward", "length")
    return Outcome(
        case=Case(Perturbation(json.loads(sidecar["theta"])), sidecar["seed"]),
        subtasks=json.loads(sidecar["subtasks"]),
        **{name: sidecar[name] for name in names},
    )


def row_codecs(row: Row) -> dict[str, tuple[str, str]]:
    """Camera -> codec and pixel format of an episode's videos, where they are not Etude's own."""
    codecs = json.loads(row.get(f"{_SIDECAR_PREFIX}codecs") or "{}")
    return {camera: (str(codec), str(pixels)) for camera, (codec, pixels) in codecs.items()}


def statistics_row(statistics: Mapping[str, Statistics]) -> Row:
    """What a row says of some features' statistics; the inverse of row_statistics."""
    return {f"{STATS_PREFIX}{name}/{key}": value.tolist() for name, s in statistics.items() for key, value in s.items()}


def row_statistics(row: Row) -> dict[str, Statistics]:
    """The statistics in a row, by feature."""
    statistics: dict[str, dict[str, NDArray[Any]]] = {}
    for name, value in row.items():
        if name.startswith(STATS_PREFIX) and value is not None:
            feature, _, key = name.removeprefix(STATS_PREFIX).rpartition("/")
            statistics.setdefault(feature, {})[key] = np.array(value)
    return dict(statistics)


def sidecar_row(row: Row) -> Row:
    """What the sidecar says of a row's episode; empty for datasets that Etude did not write."""
    own = {k.removeprefix(_SIDECAR_PREFIX): v for k, v in row.items() if k.startswith(_SIDECAR_PREFIX)}
    if own.get("generator") is None:  # also where LeRobot added an episode to a dataset of ours
        return {}
    return {"episode_index": row["episode_index"], "length": row["length"], **dict.fromkeys(SIDECAR_TYPES), **own}


def is_own(row: Row) -> bool:
    """Whether Etude's writer made this row: it has the sidecar's columns, and its files are where we look for them."""
    place = divmod(row["episode_index"], FILES_PER_CHUNK)
    prefixes = [name.removesuffix("/file_index") for name in row if name.endswith("/file_index")]
    files = [(row[f"{p}/chunk_index"], row[f"{p}/file_index"]) for p in prefixes if p != "meta/episodes"]
    return row.get(f"{_SIDECAR_PREFIX}generator") is not None and set(files) == {place}


def info_json(spec: DatasetSpec, rows: Sequence[Row], *, tasks: int) -> dict[str, Any]:
    """The content of meta/info.json.

    Args:
        spec: What the dataset holds.
        rows: Its episodes.
        tasks: How many task texts it has.
    """
    features = {name: _feature_json(feature) for name, feature in spec.features.items()}
    for camera in spec.cameras if spec.storage == "video" else ():
        features[IMAGE + camera]["info"] = _video_json(spec, camera, rows)
    return {
        "codebase_version": _CODEBASE_VERSION,
        "fps": spec.fps,
        "features": features,
        "total_episodes": len(rows),
        "total_frames": sum(row["length"] for row in rows),
        "total_tasks": tasks,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if spec.cameras and spec.storage == "video" else None,
        "robot_type": spec.robot_type or None,
        "splits": {"train": f"0:{len(rows)}"},
    }


def _feature_json(feature: Feature) -> dict[str, Any]:
    return {"dtype": feature.dtype, "shape": list(feature.shape), "names": list(feature.names) or None}


def _video_json(spec: DatasetSpec, camera: str, rows: Sequence[Row]) -> dict[str, Any]:
    height, width = spec.image_sizes[camera]
    own = (CODEC, PIXEL_FORMAT)
    codecs = list(dict.fromkeys(row_codecs(row).get(camera, own) for row in rows)) or [own]
    # Copied videos keep their codecs, so a merged dataset may have several; LeRobot finds out from each file.
    codec, pixels = ("+".join(dict.fromkeys(parts)) for parts in zip(*codecs, strict=True))
    stream = {"height": height, "width": width, "codec": codec, "pix_fmt": pixels, "fps": spec.fps, "channels": 3}
    return {f"video.{key}": value for key, value in stream.items()} | {"has_audio": False, "is_depth_map": False}
