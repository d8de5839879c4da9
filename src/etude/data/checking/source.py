"""A dataset's metadata read as far as it can be: what is damaged becomes a finding, and the rest is still checked."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.core import EtudeError
from etude.core.files import read_json
from etude.data.checking.finding import Finding
from etude.data.layout import DATA_PATH, INFO, STATS, TASKS, VIDEO_PATH, row_statistics
from etude.data.metadata import DatasetMeta, read_info
from etude.data.parquet import Row, read_rows, task_texts
from etude.data.spec import Feature
from etude.data.statistics import Statistics
from etude.data.v21 import EPISODES, EPISODES_STATS, template
from etude.data.v21 import TASKS as LEGACY_TASKS

_ROWS = "meta/episodes/*/*.parquet"


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Where an episode's pictures of one camera are: a file, and the frames in it."""

    path: Path
    first: int
    length: int


@dataclass(frozen=True, kw_only=True)
class RawEpisode:
    """What the metadata says of an episode.

    Attributes:
        index: Its index.
        length: Frames, or None where nothing says.
        tasks: Its task texts.
        data: Its data file, relative to the dataset, or None where nothing says.
        clips: Camera -> where its video is.
        row: The row of meta/episodes, or what v2.1 has for it.
        statistics: Feature -> statistics of the episode.
    """

    index: int
    length: int | None
    tasks: tuple[str, ...]
    data: Path | None
    clips: Mapping[str, Clip]
    row: Row
    statistics: Mapping[str, Statistics]


@dataclass(frozen=True, kw_only=True)
class RawDataset:
    """A dataset that may be broken.

    Attributes:
        meta: Its features and names; without episodes.
        info: Content of info.json.
        episodes: Episode -> what the metadata says of it, in order.
        tasks: task_index -> text, or None where nothing can be read.
        statistics: Feature -> statistics of the whole set; empty where it keeps none (v2.1).
        findings: What was damaged.
    """

    meta: DatasetMeta
    info: Mapping[str, Any]
    episodes: Mapping[int, RawEpisode]
    tasks: Mapping[int, str] | None
    statistics: Mapping[str, Statistics]
    findings: Sequence[Finding]

    @property
    def root(self) -> Path:
        """The dataset's folder."""
        return self.meta.root


def open_raw(root: Path) -> RawDataset:
    """Read what a dataset says of itself.

    Raises:
        EtudeError: There is nothing like a dataset, or so little of one that nothing can be checked.
    """
    if not root.is_dir() or not any((root / name).is_dir() for name in ("meta", "data")):
        raise EtudeError(f"'{root}' is not a LeRobot dataset: a folder with 'meta' and 'data' is expected.")
    meta, info = _described(root)
    reader = _Reader(meta, info)
    episodes = reader.episodes()
    return RawDataset(
        meta=meta,
        info=info,
        episodes=episodes,
        tasks=reader.tasks(),
        statistics=reader.statistics(),
        findings=tuple(reader.findings),
    )


def _described(root: Path) -> tuple[DatasetMeta, dict[str, Any]]:
    """Everything else is read by what info.json says, so this must be readable."""
    info = read_info(root)
    try:
        features = {name: Feature.from_json(record) for name, record in info["features"].items()}
        fps, version = int(info["fps"]), str(info["codebase_version"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise EtudeError(f"'{root / INFO}' is damaged or incomplete ({error!r}): copy the dataset anew.") from error
    if version not in ("v3.0", "v2.1", "v2.0") or fps <= 0:
        raise EtudeError(
            f"'{root / INFO}' says {version!r} at {fps} fps; valid are v3.0, v2.1 and v2.0 at 1 fps or more."
        )
    data, video = str(info.get("data_path") or DATA_PATH), str(info.get("video_path") or VIDEO_PATH)
    return DatasetMeta(
        root=root,
        fps=fps,
        features=features,
        lengths=(),
        task="",
        space_hash="",
        rows=(),
        data_path=template(data),
        video_path=template(video),
        version=version,
    ), info


class _Reader:
    def __init__(self, meta: DatasetMeta, info: Mapping[str, Any]) -> None:
        self._meta, self._info = meta, info
        self._current = meta.version == "v3.0"
        self.findings: list[Finding] = []

    def episodes(self) -> dict[int, RawEpisode]:
        rows = self._rows() if self._current else self._legacy_rows()
        episodes: dict[int, RawEpisode] = {}
        for row in rows:
            index = row.get("episode_index")
            if not isinstance(index, int) or index < 0:
                self._broken("metadata", f"a row of the episodes' metadata has episode_index {index!r}")
            elif index in episodes:
                self._broken("metadata", f"episode {index} is twice in the episodes' metadata")
            else:
                episodes[index] = self._episode(index, row)
        missing = sorted(set(range(max(episodes, default=-1) + 1)) - set(episodes))
        if missing:
            self._broken("metadata", f"the row of episode {_some(missing)} is missing in the episodes' metadata")
        if not rows:
            self._broken("metadata", "the episodes' metadata is missing or empty; `etude data recover` may help")
        return dict(sorted(episodes.items()))

    def tasks(self) -> dict[int, str] | None:
        name = str(TASKS) if self._current else LEGACY_TASKS
        if not (self._meta.root / name).exists():
            self._broken("metadata", f"'{name}' is missing")
            return None
        rows = self._parquet(Path(name)) if self._current else self._lines(Path(name))
        return task_texts(rows or ())

    def statistics(self) -> dict[str, Statistics]:
        if not self._current:
            return {}
        if not (self._meta.root / STATS).exists():
            self._broken("statistics", f"'{STATS}' is missing")
            return {}
        try:
            return row_statistics(
                {f"stats/{feature}/{key}": value for feature, of in read_json(self._meta.root / STATS).items()
                 for key, value in of.items()}
            )  # fmt: skip
        except (EtudeError, AttributeError, ValueError) as error:
            self._broken("statistics", f"'{STATS}' cannot be read: {_reason(error)}")
            return {}

    def _rows(self) -> list[Row]:
        files = sorted(path.relative_to(self._meta.root) for path in self._meta.root.glob(_ROWS))
        return [row for path in files for row in self._parquet(path) or ()]

    def _legacy_rows(self) -> list[Row]:
        of_episode = {row.get("episode_index"): row.get("stats") or {} for row in self._lines(EPISODES_STATS)}
        rows: list[Row] = []
        for row in self._lines(EPISODES):
            index, length = row.get("episode_index"), row.get("length")
            chunk = int(index) // int(self._info.get("chunks_size") or 1000) if isinstance(index, int) else None
            for prefix in ("data", *(f"videos/{key}" for key in self._meta.camera_keys.values())):
                row |= {f"{prefix}/chunk_index": chunk, f"{prefix}/file_index": index, f"{prefix}/from_timestamp": 0.0}
                row[f"{prefix}/to_timestamp"] = length / self._meta.fps if isinstance(length, int) else None
            stats = of_episode.get(index, {})
            row |= {f"stats/{name}/{key}": value for name, of in stats.items() for key, value in of.items()}
            rows.append(row)
        return rows

    def _episode(self, index: int, row: Row) -> RawEpisode:
        length = row.get("length")
        clips: dict[str, Clip] = {}
        for camera, key in self._meta.camera_keys.items():
            if self._meta.features[key].dtype != "video":
                continue
            begin, end = row.get(f"videos/{key}/from_timestamp"), row.get(f"videos/{key}/to_timestamp")
            path = self._place(self._meta.video_path, f"videos/{key}", row, key)
            if path is None or begin is None or end is None:
                self._broken("metadata", f"its metadata does not say where the video of camera '{camera}' is", index)
                continue
            frames = round((end - begin) * self._meta.fps)
            clips[camera] = Clip(path=path, first=round(begin * self._meta.fps), length=frames)
        try:
            statistics = row_statistics({name: value for name, value in row.items() if value is not None})
        except ValueError as error:
            self._broken("statistics", f"its statistics cannot be read: {_reason(error)}", index)
            statistics = {}
        return RawEpisode(
            index=index,
            length=length if isinstance(length, int) else None,
            tasks=tuple(map(str, row.get("tasks") or ())),
            data=self._place(self._meta.data_path, "data", row),
            clips=clips,
            row=row,
            statistics=statistics,
        )

    def _place(self, name: str, prefix: str, row: Row, key: str = "") -> Path | None:
        chunk, file = row.get(f"{prefix}/chunk_index"), row.get(f"{prefix}/file_index")
        if not isinstance(chunk, int) or not isinstance(file, int):
            return None
        return Path(name.format(chunk_index=chunk, file_index=file, video_key=key))

    def _parquet(self, path: Path) -> list[Row] | None:
        try:
            return read_rows([self._meta.root / path])
        except EtudeError as error:
            self._broken("unreadable", f"'{path}' cannot be read: {_reason(error)}")
            return None

    def _lines(self, path: Path) -> list[Row]:
        rows: list[Row] = []
        try:
            lines = (self._meta.root / path).read_text().splitlines()
        except (OSError, UnicodeDecodeError):
            if path != EPISODES_STATS or self._meta.version == "v2.1":
                self._broken("metadata", f"'{path}' is missing or unreadable")
            return rows
        for number, line in enumerate(lines, start=1):
            try:
                rows += [json.loads(line)] if line.strip() else []
            except json.JSONDecodeError as error:
                self._broken("unreadable", f"'{path}', line {number} is not valid JSON: {error}")
        return [row for row in rows if isinstance(row, dict)]  # pyright: ignore[reportUnnecessaryIsInstance]

    def _broken(self, check: str, message: str, episode: int | None = None) -> None:
        self.findings.append(Finding(check=check, severity="broken", message=message, episode=episode))


def _reason(error: Exception) -> str:
    return str(error).splitlines()[0].rpartition(" cannot be read: ")[2].removesuffix("; copy the file anew.")


def _some(indices: Sequence[int], most: int = 5) -> str:
    return ", ".join(map(str, indices[:most])) + (f" and {len(indices) - most} more" if len(indices) > most else "")
