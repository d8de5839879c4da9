"""LeRobot v2.0 and v2.1 on disk, seen as v3: each episode a data file and a video per camera.

    meta/info.json  meta/tasks.jsonl  meta/episodes.jsonl  meta/episodes_stats.jsonl (v2.1)
    data/chunk-000/episode_000017.parquet
    videos/chunk-000/observation.images.front/episode_000017.mp4

Everything that reads a v3 dataset reads rows of meta/episodes and templates of file names; here both are made up.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from etude.core import EtudeError
from etude.data.parquet import Row
from etude.data.spec import Feature

VERSIONS = ("v2.0", "v2.1")
EPISODES, EPISODES_STATS, TASKS = Path("meta/episodes.jsonl"), Path("meta/episodes_stats.jsonl"), "meta/tasks.jsonl"


def template(given: str) -> str:
    """A template of v2.1's file names in v3's terms: a file per episode, numbered alike."""
    return given.replace("{episode_chunk", "{chunk_index").replace("{episode_index", "{file_index")


def legacy_rows(
    root: Path, info: Mapping[str, Any], features: Mapping[str, Feature], *, statistics: bool = False
) -> list[Row]:
    """The rows that meta/episodes of a v3 dataset would have.

    Args:
        root: The dataset.
        info: Content of its info.json.
        features: Its columns.
        statistics: Also the episodes' statistics, where the dataset has them.

    Raises:
        EtudeError: A file of metadata is missing or damaged, or episodes are missing between others.
    """
    episodes = {int(record["episode_index"]): record for record in _lines(root / EPISODES)}
    missing = [index for index in range(len(episodes)) if index not in episodes]
    if missing:
        raise EtudeError(f"dataset '{root}' is damaged: episode {missing[0]} is missing in '{EPISODES}'.")
    videos = [name for name, feature in features.items() if feature.dtype == "video"]
    rows: list[Row] = []
    first_frame, chunk_size, fps = 0, int(info.get("chunks_size", 1000)), float(info["fps"])
    for index in range(len(episodes)):
        length = int(episodes[index]["length"])
        row: Row = {"episode_index": index, "tasks": list(episodes[index].get("tasks") or ()), "length": length}
        for prefix in ("data", *(f"videos/{name}" for name in videos)):
            row |= {f"{prefix}/chunk_index": index // chunk_size, f"{prefix}/file_index": index}
        for name in videos:
            row |= {f"videos/{name}/from_timestamp": 0.0, f"videos/{name}/to_timestamp": length / fps}
        row |= {"dataset_from_index": first_frame, "dataset_to_index": first_frame + length}
        rows.append(row)
        first_frame += length
    return _with_statistics(root, rows) if statistics and (root / EPISODES_STATS).exists() else rows


def legacy_tasks(root: Path) -> list[str]:
    """The task texts by index."""
    records = {int(record["task_index"]): str(record["task"]) for record in _lines(root / TASKS)}
    return [records.get(index, "") for index in range(max(records, default=-1) + 1)]


def _with_statistics(root: Path, rows: list[Row]) -> list[Row]:
    of_episode = {int(record["episode_index"]): record["stats"] for record in _lines(root / EPISODES_STATS)}
    return [
        row
        | {
            f"stats/{feature}/{key}": value
            for feature, values in of_episode.get(row["episode_index"], {}).items()
            for key, value in values.items()
        }
        for row in rows
    ]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    number = 0
    try:
        with path.open() as file:
            for line in file:
                number += 1
                if line.strip():
                    yield json.loads(line)
    except FileNotFoundError as error:
        raise EtudeError(f"'{path}' does not exist: the dataset's metadata is incomplete; copy it anew.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise EtudeError(f"'{path}', line {number} is not valid JSON: {error}.") from error
