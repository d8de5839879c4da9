"""A LeRobot v3 dataset written anew from the episodes that were found."""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from etude.core.files import write_json
from etude.data.layout import (
    DATA_PATH,
    FILES_PER_CHUNK,
    INFO,
    ROW_PATH,
    STATS,
    TASKS,
    VIDEO_PATH,
    row_statistics,
    statistics_row,
)
from etude.data.parquet import Row, encode_rows, encode_tasks
from etude.data.salvage.clips import Clip, file_place, frame_times
from etude.data.salvage.tables import Numbers, episode_tables, renumbered, table_statistics, write_tables
from etude.data.statistics import merge_statistics

type Progress = Callable[[int, int], None]
"""(episodes done, episodes in all)."""


def gather_videos(out: Path, key: str, info: Mapping[str, Any], clips: Mapping[int, Clip]) -> dict[int, Clip]:
    """Bring the videos of one camera into the new dataset: whole files as they are, single pictures encoded."""
    moved: dict[int, Clip] = {}
    names: dict[Path, Path] = {}
    for source in dict.fromkeys(clip.source for clip in clips.values()):
        own = source.parent.parent.name == key and source.suffix == ".mp4"
        place = file_place(source) if own else _next_place(names.values())
        names[source] = out / VIDEO_PATH.format(video_key=key, chunk_index=place[0], file_index=place[1])
        names[source].parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            _encode(source, names[source], info["fps"], info["features"][key].get("info"))
        else:
            shutil.copyfile(source, names[source])
    for episode, clip in clips.items():
        target = names[clip.source]
        begin_s = frame_times(target)[0] if clip.source.is_dir() else clip.begin_s
        moved[episode] = Clip(target, clip.first, begin_s)
    return moved


def _next_place(names: Iterable[Path]) -> tuple[int, int]:
    chunk, file = max((file_place(name) for name in names), default=(0, -1))
    return (chunk, file + 1) if file + 1 < FILES_PER_CHUNK else (chunk + 1, 0)


def _encode(pictures: Path, target: Path, fps: int, described: dict[str, Any] | None) -> None:
    """Encode single pictures as LeRobot was about to."""
    from lerobot.configs import RGBEncoderConfig
    from lerobot.datasets.video_utils import encode_video_frames

    encode_video_frames(pictures, target, fps, RGBEncoderConfig.from_video_info(described))


def write_data(
    out: Path,
    kept: list[int],
    numbers: Mapping[int, Numbers],
    features: Mapping[str, Any],
    on_progress: Progress,
) -> Iterator[Row]:
    """Write the data files of the episodes kept, and begin the row of each."""
    new = {old: index for index, old in enumerate(kept)}
    starts = np.cumsum([0, *(numbers[old].length for old in kept)]).tolist()
    rows: list[Row] = []

    def tables(source: Path, place: tuple[int, int]) -> Iterator[Any]:
        for old, table in episode_tables(source):
            if old not in new or numbers[old].file != source or (rows and rows[-1]["episode_index"] >= new[old]):
                continue
            index, length = new[old], numbers[old].length
            table = renumbered(table, episode=index, first_frame=starts[index])
            row: Row = {"episode_index": index, "tasks": [], "length": length}
            for prefix, (chunk, file) in (("data", place), ("meta/episodes", (0, 0))):
                row |= {f"{prefix}/chunk_index": chunk, f"{prefix}/file_index": file}
            row |= {"dataset_from_index": starts[index], "dataset_to_index": starts[index] + length}
            rows.append(row | statistics_row(table_statistics(table, features)))
            on_progress(len(rows), len(kept))
            yield table

    for file, source in enumerate(dict.fromkeys(numbers[old].file for old in kept)):
        place = divmod(file, FILES_PER_CHUNK)
        write_tables(out / DATA_PATH.format(chunk_index=place[0], file_index=place[1]), tables(source, place))
        yield from rows
        rows = []


def video_row(key: str, clip: Clip, length: int, fps: int) -> Row:
    """What a row of meta/episodes says of an episode's video."""
    chunk, file = file_place(clip.source)
    return {
        f"videos/{key}/chunk_index": chunk,
        f"videos/{key}/file_index": file,
        f"videos/{key}/from_timestamp": clip.begin_s,
        f"videos/{key}/to_timestamp": clip.begin_s + length / fps,
    }


def write_meta(out: Path, info: Mapping[str, Any], rows: list[Row], texts: list[str]) -> None:
    """Write the rows of the episodes, and what follows from them."""
    per_episode = [row_statistics(row) for row in rows]
    stats = {name: merge_statistics([s[name] for s in per_episode]) for name in per_episode[0]}
    path = out / ROW_PATH.format(chunk_index=0, file_index=0)
    path.parent.mkdir(parents=True)
    path.write_bytes(encode_rows(rows))
    (out / STATS).write_text(json.dumps({f: {k: v.tolist() for k, v in s.items()} for f, s in stats.items()}))
    (out / TASKS).write_bytes(encode_tasks(texts))
    totals = {"total_episodes": len(rows), "total_frames": sum(row["length"] for row in rows)}
    totals |= {"total_tasks": len(texts), "splits": {"train": f"0:{len(rows)}"}}
    paths = {"data_path": DATA_PATH, "video_path": VIDEO_PATH if info.get("video_path") else None}
    write_json(out / INFO, {**info, **totals, **paths, "features": _described(out, info["features"])})


def _described(out: Path, features: Mapping[str, Any]) -> dict[str, Any]:
    """The features, with what LeRobot says of videos where it was killed before it could."""
    from lerobot.datasets.video_utils import get_video_info

    described: dict[str, Any] = {}
    for name, feature in features.items():
        described[name] = feature
        if feature["dtype"] == "video" and not feature.get("info"):
            video = next((out / "videos" / name).glob("*/*.mp4"))
            described[name] = feature | {"info": get_video_info(video)}
    return described
