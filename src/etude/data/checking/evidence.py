"""What a dataset's files hold, episode by episode, read as far as they can be."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import sched_getaffinity
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etude.core import EtudeError
from etude.data.checking.columns import Columns, load
from etude.data.checking.finding import Finding, Severity
from etude.data.checking.looking import Seen, look_at_images, look_at_video
from etude.data.checking.source import Clip, RawDataset, RawEpisode

type Progress = Callable[[int, int], None]
"""(files looked at, files in all)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Evidence:
    """One episode as its files have it.

    Attributes:
        raw: What the metadata says of it.
        fps: Frames per second.
        rows: Which rows of its data file are its, (T,).
        numbers: Column -> (T, n).
        unusable: Column -> why it is no array.
        seen: Camera -> what it shows; cameras whose pictures are missing are not there.
        findings: Files that are missing or cannot be read.
    """

    raw: RawEpisode
    fps: int
    rows: NDArray[np.int64]
    numbers: Mapping[str, NDArray[Any]]
    unusable: Mapping[str, str]
    seen: Mapping[str, Seen]
    findings: Sequence[Finding]

    @property
    def frames(self) -> int:
        """Rows that the data file has of it, T."""
        return len(self.rows)

    @property
    def index(self) -> int:
        """The episode's index."""
        return self.raw.index

    def series(self, feature: str) -> NDArray[np.float64] | None:
        """A column as float64 (T, n), or None where there is none."""
        values = self.numbers.get(feature)
        return None if values is None or not len(values) else values.astype(np.float64)

    def column(self, name: str) -> NDArray[Any] | None:
        """A column of one number per frame, (T,), or None."""
        values = self.numbers.get(name)
        return values[:, 0] if values is not None and values.ndim == 2 and values.shape[1] == 1 else None

    def finding(self, check: str, severity: Severity, message: str, **place: Any) -> Finding:
        """A finding of this episode."""
        return Finding(check=check, severity=severity, message=message, episode=self.index, **place)


def gather(raw: RawDataset, *, pictures: bool, on_progress: Progress | None = None) -> Iterator[Evidence]:
    """Read every episode.

    Args:
        raw: The dataset.
        pictures: Look at the pictures, rather than only count them.
        on_progress: Called after every video file.
    """
    videos = _look(raw, pictures, on_progress)
    opened: tuple[Path | None, Columns | str] = (None, "")
    shared = _shared(raw)
    for episode in raw.episodes.values():
        findings: list[Finding] = []
        if episode.data != opened[0] or opened[0] is None:
            opened = (episode.data, _load(raw.root, episode.data))
        columns = opened[1]
        if isinstance(columns, str):
            findings.append(_fault("missing file" if "missing" in columns else "unreadable", columns, episode.index))
            columns = Columns(rows=0, numbers={}, pictures={}, unusable={})
        chosen = _rows(columns, episode, shared=episode.data in shared)
        seen = dict(videos.get(episode.index, {}))
        for camera, key in raw.meta.camera_keys.items():
            if key in columns.pictures:
                images = [columns.pictures[key][i] for i in np.flatnonzero(chosen)]
                seen[camera] = look_at_images(images, decode=pictures)
        for camera, clip in episode.clips.items():
            if camera not in seen:
                findings.append(_fault("missing file", f"video '{clip.path}' is missing", episode.index, camera))
        yield Evidence(
            raw=episode,
            fps=raw.meta.fps,
            rows=np.flatnonzero(chosen),
            numbers={name: values[chosen] for name, values in columns.numbers.items()},
            unusable=columns.unusable,
            seen=seen,
            findings=findings,
        )


def foreign_frames(raw: RawDataset) -> dict[int, int]:
    """Episodes that data files hold frames of and the metadata does not know -> frames."""
    found: dict[int, int] = {}
    for path in sorted({e.data for e in raw.episodes.values() if e.data is not None} & _shared(raw)):
        columns = _load(raw.root, path)
        indices = None if isinstance(columns, str) else columns.numbers.get("episode_index")
        if indices is not None:
            unknown, counts = np.unique(indices[~np.isin(indices, list(raw.episodes))], return_counts=True)
            found |= {int(index): found.get(int(index), 0) + int(n) for index, n in zip(unknown, counts, strict=True)}
    return found


def _look(raw: RawDataset, pictures: bool, on_progress: Progress | None) -> dict[int, dict[str, Seen]]:
    files: dict[tuple[str, Path], dict[int, Clip]] = {}
    for episode in raw.episodes.values():
        for camera, clip in episode.clips.items():
            if (raw.root / clip.path).is_file():
                files.setdefault((camera, clip.path), {})[episode.index] = clip
    seen: dict[int, dict[str, Seen]] = {}

    def run(job: tuple[tuple[str, Path], dict[int, Clip]]) -> tuple[str, dict[int, Seen]]:
        (camera, path), clips = job
        return camera, look_at_video(raw.root / path, clips, raw.meta.fps, decode=pictures)

    # Decoding releases the interpreter's lock, so threads are enough.
    with ThreadPoolExecutor(len(sched_getaffinity(0))) as pool:
        for done, (camera, found) in enumerate(pool.map(run, files.items()), start=1):
            for index, shown in found.items():
                seen.setdefault(index, {})[camera] = shown
            if on_progress is not None:
                on_progress(done, len(files))
    return seen


def _load(root: Path, path: Path | None) -> Columns | str:
    """The columns of a data file, or why there are none."""
    if path is None:
        return "its metadata does not say where its data file is"
    if not (root / path).is_file():
        return f"data file '{path}' is missing"
    try:
        return load(root / path)
    except EtudeError as error:
        return f"data file '{path}' cannot be read:{str(error).partition('cannot be read:')[2].rstrip('.')}"


def _shared(raw: RawDataset) -> set[Path]:
    """Data files that hold several episodes."""
    paths = [episode.data for episode in raw.episodes.values() if episode.data is not None]
    return {path for path in paths if paths.count(path) > 1} if len(set(paths)) < len(paths) else set()


def _rows(columns: Columns, episode: RawEpisode, *, shared: bool) -> NDArray[np.bool_]:
    """Which rows of its data file are an episode's: all, unless it shares the file with others."""
    indices = columns.numbers.get("episode_index")
    if not shared or indices is None:
        return np.full(columns.rows, not shared)
    return np.asarray(indices[:, 0] == episode.index)


def _fault(check: str, message: str, episode: int, camera: str = "") -> Finding:
    return Finding(check=check, severity="broken", message=message, episode=episode, camera=camera)
