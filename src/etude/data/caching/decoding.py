"""What a dataset's frames are decoded into: arrays, each named after the content of the files that it is made from."""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etude.core import EtudeError
from etude.data.caching.clips import Clip, clip_images, find_clips
from etude.data.caching.store import Store, Stored
from etude.data.episode import about_episodes, data_file
from etude.data.metadata import DatasetMeta
from etude.data.parquet import read_columns
from etude.data.spec import ACTION, STATE

type Progress = Callable[[int, int], None]
"""(files decoded, files in all)."""

_FORMAT = 2  # Counts up when what an array holds changes.
_HEADER = 128  # Bytes before the numbers of an .npy file.


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What of a dataset is kept under which names.

    Attributes:
        meta: The dataset.
        sizes: Camera name -> height and width [px].
        clips: Camera name -> (name of an array, the images in it) of each file.
        numbers: "state" and "action" -> name of an array.
    """

    meta: DatasetMeta
    sizes: Mapping[str, tuple[int, int]]
    clips: Mapping[str, Sequence[tuple[str, Clip]]]
    numbers: Mapping[str, str]

    @staticmethod
    def of(meta: DatasetMeta, image_size: tuple[int, int] | None) -> "Plan":
        """The plan of a dataset, with all images of one size or of their own."""
        digests: dict[Path, str] = {}

        def name(files: Mapping[Path, Sequence[int]], *what: object) -> str:
            for path, episodes in files.items():
                if path not in digests:
                    with about_episodes(meta, episodes):
                        digests[path] = _digest(path)
            told = json.dumps([_FORMAT, *(digests[path] for path in files), *what])
            return f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.npy"

        sizes = {camera: image_size or (shape[0], shape[1]) for camera, shape in meta.image_shapes.items()}
        clips = {
            camera: [
                (name({c.path: [e for e, _ in c.episodes]}, c.column, c.ranges, sizes[camera]), c)
                for c in find_clips(meta, camera)
            ]
            for camera in meta.cameras
        }
        files = _data_files(meta)
        numbers = {column: name(files, column, meta.lengths) for column in (STATE, ACTION)}
        return Plan(meta=meta, sizes=sizes, clips=clips, numbers=numbers)

    def stored(self) -> Stored:
        """The record of it all."""
        meta, files = self.meta, dict[str, int]()
        for camera, (height, width) in self.sizes.items():
            for name, clip in self.clips[camera]:
                files[name] = _HEADER + clip.frames * height * width * 3
        for column, name in self.numbers.items():
            files[name] = _HEADER + 4 * meta.total_frames * meta.features[column].shape[0]
        key = hashlib.sha256(json.dumps([sorted(files), list(self.sizes), meta.lengths]).encode()).hexdigest()[:32]
        return Stored(
            key=key,
            dataset=str(meta.root.resolve()),
            frames=meta.total_frames,
            image_sizes=dict(self.sizes),
            files=files,
        )

    def build(self, store: Store, missing: Sequence[str], progress: Progress) -> None:
        """Make the arrays that are missing."""
        if set(missing) & set(self.numbers.values()):
            for column, array in read_all(self.meta, [STATE, ACTION]).items():
                with store.writing(self.numbers[column]) as path, path.open("wb") as file:
                    np.save(file, array.astype(np.float32))
        jobs = {name: (camera, clip) for camera, clips in self.clips.items() for name, clip in clips if name in missing}

        def run(name: str) -> None:
            camera, clip = jobs[name]
            with store.writing(name) as path:
                _write_images(path, clip, self.meta, camera, self.sizes[camera])

        # Decoding releases the interpreter's lock, so threads are enough.
        with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
            for done, _ in enumerate(pool.map(run, jobs), start=1):
                progress(done, len(jobs))


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EtudeError(f"'{path}' cannot be read: {error.strerror}; copy the dataset anew.") from error


def _data_files(meta: DatasetMeta) -> dict[Path, list[int]]:
    """The data files and the episodes in each."""
    files: dict[Path, list[int]] = {}
    for episode in range(meta.total_episodes):
        files.setdefault(data_file(meta, episode), []).append(episode)
    return files


def read_all(meta: DatasetMeta, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Numeric columns of all frames, each (N, n).

    Raises:
        EtudeError: The dataset lacks a column, or holds other frames than its metadata says.
    """
    wanted, parts = ("frame_index", "episode_index", *names), list[dict[str, NDArray[Any]]]()
    for path, episodes in _data_files(meta).items():
        with about_episodes(meta, episodes):
            parts.append(read_columns([path], wanted))
    columns = {name: np.concatenate([part[name] for part in parts]) for name in wanted}
    episode, frame = columns["episode_index"][:, 0], columns["frame_index"][:, 0]
    # A writer that was killed may have left frames of an episode that never was.
    kept = np.flatnonzero(episode < meta.total_episodes)
    order = kept[np.lexsort((frame[kept], episode[kept]))]
    if not np.array_equal(episode[order], np.repeat(np.arange(meta.total_episodes), meta.lengths)):
        raise EtudeError(
            f"dataset '{meta.root}' holds other frames than its metadata says: `etude data check {meta.root}` tells "
            "which, and repairs what can be repaired."
        )
    return {name: columns[name][order] for name in names}


def _write_images(path: Path, clip: Clip, meta: DatasetMeta, camera: str, size: tuple[int, int]) -> None:
    """Decode one file and write its images, one at a time.

    Written, not memory-mapped: on a full disk a write raises, where storing to a map kills the process.
    """
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (clip.frames, *size, 3)}
        )
        written = 0
        try:
            for image in clip_images(clip, meta, camera, size):
                file.write(np.ascontiguousarray(image).data)
                written += 1
            if written != clip.frames:
                raise EtudeError(f"'{clip.path}' has {written} of {clip.frames} frames: copy the file anew.")
        except EtudeError as error:
            broken = [episode for episode, at in clip.episodes if at + meta.lengths[episode] > written]
            with about_episodes(meta, broken):
                raise error
