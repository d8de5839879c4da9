"""A loadable dataset of what a killed LeRobot recording left on disk.

LeRobot 0.6.1 keeps Parquet files open until `finalize()`: whoever is killed before loses the footers of the data and of
meta/episodes, that is everything. But what was saved is there: the numbers of an episode as a row group of pages, its
images in a video, in one not yet appended, or as single pictures. An episode is recovered if its numbers and its images
of every camera are whole, with its numbers bit by bit as they were; the rest is told from them anew.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from etude.core import EtudeError
from etude.core.files import read_json, write_json
from etude.data.layout import (
    DATA_PATH,
    FILES_PER_CHUNK,
    INFO,
    ROW_PATH,
    STATS,
    STATS_PREFIX,
    TASKS,
    VIDEO_PATH,
    row_statistics,
)
from etude.data.parquet import Row, encode_rows, encode_tasks, read_rows
from etude.data.salvage.clips import Clip, file_place, find_clips, frame_times, unsaved_episodes
from etude.data.salvage.tables import (
    Numbers,
    episode_tables,
    find_numbers,
    readable_files,
    renumbered,
    sampled,
    table_statistics,
    write_tables,
)
from etude.data.statistics import Statistics, image_statistics, merge_statistics
from etude.data.video import decode_video

type Progress = Callable[[int, int], None]
"""(episodes done, episodes in all)."""


@dataclass(frozen=True, kw_only=True)
class Salvaged:
    """What was recovered.

    Attributes:
        episodes: Episodes in the new dataset.
        frames: Their frames.
        lost: Number of an episode that could not be recovered -> why.
    """

    episodes: int
    frames: int
    lost: Mapping[int, str]


def salvage(root: Path, out: Path, *, like: Path | None = None, on_progress: Progress | None = None) -> Salvaged:
    """Make a loadable dataset of what a killed LeRobot recording left; the recording itself is not changed.

    Args:
        root: Folder of the recording.
        out: An empty folder, to be filled.
        like: A dataset of the same robot and settings, to take info.json from where the crash destroyed it.
        on_progress: Called after every episode.

    Raises:
        EtudeError: No whole episode is there, or nothing tells what the dataset's features are.
    """
    info = _info(root, like)
    scratch = out / ".scratch"
    try:
        return _salvage(root, out, scratch, info, on_progress or (lambda done, total: None))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _salvage(root: Path, out: Path, scratch: Path, info: dict[str, Any], on_progress: Progress) -> Salvaged:
    features: Mapping[str, Any] = info["features"]
    rows = _readable_rows(root)
    numbers, lost = find_numbers(readable_files(root, features, scratch))
    lost |= {e: "its numbers never reached the disk" for e in unsaved_episodes(root) if e not in numbers}
    keys = [name for name, feature in features.items() if feature["dtype"] == "video"]
    lengths = {episode: numbers[episode].length for episode in sorted(numbers)}
    clips = {key: _gathered(out, key, info, find_clips(root, key, lengths, rows)) for key in keys}
    images = {key: _image_statistics(clips[key], lengths, rows, key) for key in keys}
    for key in keys:
        lost |= {e: f"its images of '{key}' are not whole" for e in lengths if e not in images[key]}
    kept = [episode for episode in lengths if episode not in lost]
    if not kept:
        raise EtudeError(
            f"no whole episode of '{root}' reached the disk: nothing can be recovered"
            + (f" (episode {min(lost)}: {lost[min(lost)]})." if lost else ".")
        )
    texts = _task_texts(root, numbers.values())
    new_rows = list[Row]()
    for row in _write_data(out, kept, numbers, features, on_progress):
        old = kept[row["episode_index"]]
        row |= {"tasks": [texts[task] for task in numbers[old].tasks]}
        for key in keys:
            row |= _video_row(key, clips[key][old], row["length"], info["fps"]) | _flat({key: images[key][old]})
        new_rows.append(row)
    _write_meta(out, info, new_rows, texts)
    return Salvaged(episodes=len(kept), frames=sum(lengths[e] for e in kept), lost=dict(sorted(lost.items())))


def _info(root: Path, like: Path | None) -> dict[str, Any]:
    """What info.json says, or that of a dataset like it where the crash cut it off."""
    if not root.is_dir():
        raise EtudeError(f"'{root}' is not a folder with a dataset.")
    try:
        info = _described_by(root / INFO)
    except EtudeError:
        if like is None:
            raise EtudeError(
                f"'{root / INFO}' is missing or was cut off: pass a dataset recorded with the same robot and settings "
                "as --like, to take it from there."
            ) from None
        info = _described_by(like / INFO)
    if info.get("codebase_version") != "v3.0":
        raise EtudeError(
            f"'{root}' is a dataset of LeRobot {info.get('codebase_version')}, which keeps every episode in files of "
            f"its own: use `etude data check {root} --repair`."
        )
    return info


def _described_by(path: Path) -> dict[str, Any]:
    info = read_json(path)
    if not (isinstance(info, dict) and isinstance(info.get("features"), dict) and info.get("fps")):  # pyright: ignore[reportUnknownMemberType]
        raise EtudeError(f"'{path}' does not say what the dataset holds.")
    return info  # pyright: ignore[reportUnknownVariableType]


def _readable_rows(root: Path) -> dict[int, Row]:
    """The rows of meta/episodes whose files were finished, by episode."""
    rows: dict[int, Row] = {}
    for path in sorted((root / "meta/episodes").glob("*/*.parquet")):
        try:
            rows |= {int(row["episode_index"]): row for row in read_rows([path])}
        except EtudeError:
            continue
    return rows


def _task_texts(root: Path, numbers: Iterable[Numbers]) -> list[str]:
    """The task texts by index; a number where the text was lost."""
    try:
        rows = read_rows([root / TASKS])
    except EtudeError:
        rows = []
    texts = {int(row["task_index"]): str(row.get("task", row.get("__index_level_0__"))) for row in rows}
    last = max((task for found in numbers for task in found.tasks), default=-1)
    return [texts.get(index, f"task {index}") for index in range(max(last, *texts, -1) + 1)]


def _gathered(out: Path, key: str, info: Mapping[str, Any], clips: Mapping[int, Clip]) -> dict[int, Clip]:
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


def _image_statistics(
    clips: Mapping[int, Clip], lengths: Mapping[int, int], rows: Mapping[int, Row], key: str
) -> dict[int, Statistics]:
    """Statistics of each episode's images of one camera; nothing of episodes whose images cannot be decoded."""
    found = {e: known[key] for e in clips if key in (known := row_statistics(rows.get(e, {})))}
    new = sorted((clip.source, clip.first, e) for e, clip in clips.items() if e not in found)
    for source, group in groupby(new, key=lambda item: item[0]):
        wanted = {first + int(t): e for _, first, e in group for t in sampled(lengths[e])}
        seen: dict[int, list[Any]] = {}
        try:
            for position, image in enumerate(decode_video(source)):
                if (episode := wanted.get(position)) is None:
                    continue
                seen.setdefault(episode, []).append(image)
                if len(seen[episode]) == len(sampled(lengths[episode])):
                    found[episode] = image_statistics(np.stack(seen.pop(episode)))
        except EtudeError:
            continue  # What could be decoded before counts.
    return found


def _write_data(
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
            rows.append(row | _flat(table_statistics(table, features)))
            on_progress(len(rows), len(kept))
            yield table

    for file, source in enumerate(dict.fromkeys(numbers[old].file for old in kept)):
        place = divmod(file, FILES_PER_CHUNK)
        write_tables(out / DATA_PATH.format(chunk_index=place[0], file_index=place[1]), tables(source, place))
        yield from rows
        rows = []


def _flat(statistics: Mapping[str, Statistics]) -> Row:
    return {f"{STATS_PREFIX}{name}/{key}": value.tolist() for name, s in statistics.items() for key, value in s.items()}


def _video_row(key: str, clip: Clip, length: int, fps: int) -> Row:
    chunk, file = file_place(clip.source)
    return {
        f"videos/{key}/chunk_index": chunk,
        f"videos/{key}/file_index": file,
        f"videos/{key}/from_timestamp": clip.begin_s,
        f"videos/{key}/to_timestamp": clip.begin_s + length / fps,
    }


def _write_meta(out: Path, info: Mapping[str, Any], rows: list[Row], texts: list[str]) -> None:
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
