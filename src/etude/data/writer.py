"""Writes a LeRobot dataset episode by episode, such that a committed episode survives whatever happens next."""

import fcntl
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from etude.core import EtudeError, MismatchError, RunExistsError, StageFailedError
from etude.core.files import read_json, sync_directory, write_bytes, write_json
from etude.data.encoding import EncodedEpisode
from etude.data.layout import (
    DATA_PATH,
    INFO,
    SIDECAR,
    SIDECAR_INFO,
    SIDECAR_TYPES,
    STATS,
    STATS_PREFIX,
    TASKS,
    VIDEO_PATH,
    episode_row,
    episode_tasks,
    frame_columns,
    info_json,
    is_own,
    location,
    row_statistics,
    sidecar_row,
)
from etude.data.parquet import Row, encode_columns, encode_rows, encode_tasks
from etude.data.rows import add_row, discard_row, episode_rows, merge_rows, repair
from etude.data.spec import IMAGE, DatasetSpec
from etude.data.statistics import Statistics, merge_statistics

_LOCK = Path("meta/etude/.lock")


class DatasetWriter:
    """Appends episodes to a LeRobot v3 dataset; make one with `create` or `resume`.

    The frames of an episode become durable first, then its row in `meta/episodes`: with that it is in the dataset. The
    files that follow from the rows (totals, statistics, tasks, sidecar) are replaced after every episode, and rebuilt
    by `resume`, so a process may be killed at any moment.
    """

    def __init__(self, root: Path, spec: DatasetSpec) -> None:
        self.root, self.spec = root, spec
        self.frames = 0
        self._rows: list[Row] = []
        self._tasks: dict[str, int] = {}
        self._statistics: dict[str, Statistics] = {}
        self._lock = _lock(root)

    @staticmethod
    def create(root: Path, spec: DatasetSpec) -> "DatasetWriter":
        """Start an empty dataset.

        Raises:
            RunExistsError: `root` exists and is not empty.
        """
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
            raise RunExistsError(root, "choose another folder, or resume the dataset to add to it")
        # Made under another name: a dataset exists whole, if empty, or not at all.
        unfinished = root.with_name(f".{root.name}.{os.getpid()}.tmp")
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            write_json(unfinished / SIDECAR_INFO, spec.to_json())
            write_json(unfinished / INFO, info_json(spec, (), tasks=0))
            unfinished.replace(root)
            sync_directory(root.parent)
        except OSError as error:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise StageFailedError(f"cannot create dataset '{root}': {error.strerror}.") from error
        return DatasetWriter(root, spec)

    @staticmethod
    def resume(root: Path, spec: DatasetSpec | None = None) -> "DatasetWriter":
        """Continue a dataset that Etude wrote, also one whose writer was killed; what was not committed is removed.

        Args:
            root: The dataset.
            spec: What the new episodes will have; by default whatever the dataset has.

        Raises:
            MismatchError: The dataset holds something else; the message names what differs.
            EtudeError: Not a dataset of Etude's, or somebody else is writing it.
        """
        if not (root / SIDECAR_INFO).exists():
            raise EtudeError(
                f"'{root}' is not a dataset that Etude wrote ('{SIDECAR_INFO}' is missing): make one that can be added "
                f"to with `etude data convert {root} --out …`."
            )
        found = DatasetSpec.from_json(read_json(root / SIDECAR_INFO))
        if spec is not None:
            found.require_equal(spec, root)
        writer = DatasetWriter(root, found)
        try:
            repair(root)
            for row in episode_rows(root, statistics=True):
                if not is_own(row):  # what follows would take its files for remains of a crash
                    raise EtudeError(
                        f"episode {row['episode_index']} of '{root}' was not written by Etude: cannot resume."
                    )
                writer._remember(row)
            writer._remove_uncommitted()
            writer._write_derived()
        except BaseException:
            writer.close()
            raise
        return writer

    @property
    def episodes(self) -> int:
        """Episodes in the dataset."""
        return len(self._rows)

    @property
    def last_seed(self) -> int | None:
        """Seed of the last episode's case; None in an empty dataset, and where it is not known."""
        return sidecar_row(self._rows[-1])["seed"] if self._rows else None

    def commit(self, episode: EncodedEpisode) -> int:
        """Add an episode; on return it is safely on disk.

        Returns:
            Its index.

        Raises:
            MismatchError: The episode has other features than the dataset.
            StageFailedError: It could not be written (disk full, …); the dataset is as it was before.
        """
        self._check(episode)
        index = self.episodes
        new = [text for text in episode_tasks(episode) if text not in self._tasks]
        tasks = self._tasks | {text: len(self._tasks) + i for i, text in enumerate(new)}
        columns = frame_columns(episode, self.spec, index=index, first_frame=self.frames, tasks=tasks)
        row = episode_row(episode, self.spec, columns)
        files = {location(VIDEO_PATH, index, camera): video for camera, video in episode.videos.items()}
        pictures = {IMAGE + camera: files for camera, files in episode.pictures.items()}
        files[location(DATA_PATH, index)] = encode_columns(columns, pictures)
        try:
            for path, content in files.items():
                write_bytes(self.root / path, content)
            add_row(self.root, row)  # last: with it, the episode is in the dataset
        except OSError as error:
            discard_row(self.root, index)
            self._remove_uncommitted()
            raise self._failure(f"episode {index} could not be written", error) from error
        self._remember(row)
        self._write_derived()
        return index

    def finalize(self) -> None:
        """Merge the row files, make the derived files durable too, and let others write the dataset."""
        try:
            merge_rows(self.root)
            for path in (INFO, STATS, TASKS, SIDECAR):
                if (self.root / path).exists():
                    _sync(self.root / path)
            sync_directory(self.root / "meta")
            sync_directory((self.root / SIDECAR).parent)
        except OSError as error:
            raise self._failure("the last files could not be written", error) from error
        self.close()

    def close(self) -> None:
        """Let others write the dataset."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if kind is None:
            self.finalize()
        else:
            self.close()

    def _check(self, episode: EncodedEpisode) -> None:
        if self._lock is None:
            raise EtudeError(f"the writer of '{self.root}' is closed: resume the dataset to add to it.")
        expected, got = _description(self.spec), _description_of(episode, self.spec)
        differing = [f"{k} ({expected[k]} there, {got.get(k)} here)" for k in expected if expected[k] != got.get(k)]
        if differing:
            origin = f" '{episode.origin}'" if episode.origin else ""
            raise MismatchError(
                f"the episode{origin} does not fit dataset '{self.root}': it differs in {', '.join(differing)}."
            )

    def _remember(self, row: Row) -> None:
        self.frames += row["length"]
        # Statistics of thousands of episodes would be most of what is kept, and are merged here and on disk anyway.
        self._rows.append({name: value for name, value in row.items() if not name.startswith(STATS_PREFIX)})
        for task in row["tasks"]:
            self._tasks.setdefault(task, len(self._tasks))
        for feature, statistics in row_statistics(row).items():
            known = self._statistics.get(feature)
            self._statistics[feature] = merge_statistics([known, statistics]) if known is not None else statistics

    def _write_derived(self) -> None:
        info = info_json(self.spec, self._rows, tasks=len(self._tasks))
        stats = {f: {key: value.tolist() for key, value in s.items()} for f, s in self._statistics.items()}
        try:
            if self._rows:
                # Before the totals, which tell a reader to look for what the others say.
                _replace(self.root / STATS, json.dumps(stats).encode())
                _replace(self.root / TASKS, encode_tasks(list(self._tasks)))
                _replace(self.root / SIDECAR, encode_rows([sidecar_row(row) for row in self._rows], SIDECAR_TYPES))
            _replace(self.root / INFO, json.dumps(info).encode())
        except OSError as error:
            raise self._failure("the dataset's totals could not be written", error) from error

    def _remove_uncommitted(self) -> None:
        """Delete temporary files and the files of episodes that have no row."""
        committed = {location(DATA_PATH, i) for i in range(self.episodes)}
        cameras = self.spec.cameras if self.spec.storage == "video" else ()
        committed |= {location(VIDEO_PATH, i, camera) for i in range(self.episodes) for camera in cameras}
        for path in _files(self.root, ("data/*/*", "videos/*/*/*")):
            if path.relative_to(self.root) not in committed:
                path.unlink()
        for path in _files(self.root, ("meta/.*.tmp", "meta/etude/.*.tmp", "meta/episodes/*/.*.tmp")):
            path.unlink()

    def _failure(self, what: str, error: OSError) -> StageFailedError:
        return StageFailedError(
            f"dataset '{self.root}': {what} ({error.strerror}); its {self.episodes} committed episodes are kept. "
            "Make room and resume it."
        )


def _description(spec: DatasetSpec) -> dict[str, Any]:
    """What an episode must have, by the names that a message gives it."""
    expected: dict[str, Any] = {"fps": spec.fps, "state size": len(spec.state_names)}
    expected |= {"action size": len(spec.action_names), f"cameras kept as {spec.storage}": sorted(spec.cameras)}
    expected |= {f"image shape of '{camera}'": (*size, 3) for camera, size in spec.image_sizes.items()}
    expected |= {f"sub-task '{name}'": True for name in spec.subtasks}
    return expected | {f"shape of '{name}'": feature.shape for name, feature in spec.extras.items()}


def _description_of(episode: EncodedEpisode, spec: DatasetSpec) -> dict[str, Any]:
    """What an episode has of that."""
    kept = episode.videos if spec.storage == "video" else episode.pictures
    got: dict[str, Any] = {"fps": episode.fps, "state size": episode.state.shape[1]}
    got |= {"action size": episode.action.shape[1], f"cameras kept as {spec.storage}": sorted(kept)}
    got |= {f"image shape of '{camera}'": shape for camera, shape in episode.image_shapes.items()}
    got |= {f"sub-task '{name}'": name in episode.subtasks for name in spec.subtasks}
    shapes = {name: values.shape[1:] or (1,) for name, values in episode.extras.items()}
    return got | {f"shape of '{name}'": shape for name, shape in shapes.items()}


def recover(root: Path) -> int:
    """Bring a dataset whose writer was killed into order; returns how many episodes it holds."""
    with DatasetWriter.resume(root) as writer:
        return writer.episodes


def _files(root: Path, patterns: Iterable[str]) -> list[Path]:
    return [path for pattern in patterns for path in root.glob(pattern) if path.is_file()]


def _replace(path: Path, content: bytes) -> None:
    """Replace a file at once, without waiting for the disk: it can be rebuilt."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(content)
    temporary.replace(path)


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())


def _lock(root: Path) -> int:
    """Keep other processes from writing the dataset; the system lets go when this one ends."""
    descriptor = os.open(root / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise EtudeError(f"dataset '{root}' is being written by another process: wait for it to end.") from error
    return descriptor
