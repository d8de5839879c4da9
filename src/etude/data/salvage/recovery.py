"""A loadable dataset of what a killed LeRobot recording left on disk.

LeRobot 0.6.1 keeps Parquet files open until `finalize()`: whoever is killed before loses the footers of the data and of
meta/episodes, that is everything. But what was saved is there: the numbers of an episode as a row group of pages, its
images in a video, in one not yet appended, or as single pictures. An episode is recovered if its numbers and its images
of every camera are whole, with its numbers bit by bit as they were; the rest is told from them anew.
"""

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from etude.core import EtudeError
from etude.core.files import read_json
from etude.data.layout import INFO, TASKS, row_statistics, statistics_row
from etude.data.parquet import Row, read_rows, task_texts
from etude.data.salvage.clips import Clip, find_clips, unsaved_episodes
from etude.data.salvage.rebuilding import Progress, gather_videos, video_row, write_data, write_meta
from etude.data.salvage.tables import Numbers, find_numbers, readable_files, sampled
from etude.data.statistics import Statistics, image_statistics
from etude.data.video import decode_video


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
    clips = {key: gather_videos(out, key, info, find_clips(root, key, lengths, rows)) for key in keys}
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
    for row in write_data(out, kept, numbers, features, on_progress):
        old = kept[row["episode_index"]]
        row |= {"tasks": [texts[task] for task in numbers[old].tasks]}
        for key in keys:
            row |= video_row(key, clips[key][old], row["length"], info["fps"]) | statistics_row({key: images[key][old]})
        new_rows.append(row)
    write_meta(out, info, new_rows, texts)
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
                "as --like, to take it from there; one episode recorded anew is enough."
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
    texts = task_texts(rows)
    last = max((task for found in numbers for task in found.tasks), default=-1)
    return [texts.get(index, f"task {index}") for index in range(max(last, *texts, -1) + 1)]


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
