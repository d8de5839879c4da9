"""Every frame of a dataset decoded once, into memory-mapped arrays that training reads at the speed of a copy.

What is decoded is named after the content of the file it comes from, so it never goes stale, and it is shared by all
datasets, runs and processes of a machine: a copy, a part or a union of datasets decodes only what is new.
"""

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from etude.core import EtudeError, StageFailedError
from etude.data.clips import Clip, clip_images, find_clips
from etude.data.episode import data_file
from etude.data.frames import Frames
from etude.data.metadata import DatasetMeta
from etude.data.parquet import read_columns
from etude.data.spec import ACTION, STATE
from etude.data.statistics import FeatureStatistics, image_statistics, merge_statistics, vector_statistics
from etude.data.store import Lease, Store, Stored

type Progress = Callable[[int, int], None]
"""(files decoded, files in all)."""

_FORMAT = 2  # Counts up when what a cache holds changes.
_HEADER = 128  # Bytes before the numbers of an .npy file.
_SAMPLE = 256  # Images that statistics are taken from.


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameCache:
    """A dataset as read-only arrays over its N frames and E episodes.

    Attributes:
        meta: The dataset; its features tell the shapes of the images as they are here.
        images: Camera name -> (N, H, W, 3).
        state: Proprioception, (N, S).
        action: Actions, (N, A).
        starts: First frame of each episode, (E,).
        lengths: Frames of each episode, (E,).
        files: The files that all this lies in; nobody removes them while the lease is held.
        lease: What holds them.
    """

    meta: DatasetMeta
    images: Mapping[str, Frames]
    state: Float32[NDArray[np.float32], "N S"]
    action: Float32[NDArray[np.float32], "N A"]
    starts: Int64[NDArray[np.int64], " E"]
    lengths: Int64[NDArray[np.int64], " E"]
    files: tuple[Path, ...]
    lease: Lease

    @staticmethod
    def open(
        root: Path,
        cache_dir: Path | None = None,
        *,
        image_size: tuple[int, int] | None = None,
        on_progress: Progress | None = None,
    ) -> "FrameCache":
        """Open the cache of a dataset; decode it first if nobody has yet, or wait for the process that does.

        Args:
            root: A LeRobot dataset, v3 or v2.1, with videos, single images or neither.
            cache_dir: Where caches are kept; by default `default_cache_dir()`.
            image_size: Height and width [px] to resize images to.
            on_progress: Called while decoding, or waiting.

        Raises:
            EtudeError: Not such a dataset, or a damaged one.
            StageFailedError: No room for the decoded frames.
        """
        meta = DatasetMeta.open(root)
        if not meta.lengths:
            raise EtudeError(f"dataset '{root}' has no episodes.")
        progress = on_progress or _silent
        store = Store(cache_dir or default_cache_dir())
        plan = _Plan.of(meta, image_size)
        try:
            lease = store.lease(plan.stored(), lambda missing: plan.build(store, missing, progress), progress)
        except OSError as error:
            raise StageFailedError(
                f"cannot decode dataset '{root}' into '{store.folder}' ({error.strerror}); make room there, or set "
                "ETUDE_CACHE_DIR to a folder with more."
            ) from error
        return plan.load(store, lease)

    @property
    def size_bytes(self) -> int:
        """Disk space the cache takes."""
        return sum(file.stat().st_size for file in self.files)

    def episode(self, index: int) -> slice:
        """The frames of one episode."""
        return slice(int(self.starts[index]), int(self.starts[index] + self.lengths[index]))

    def numbers(self, column: str) -> NDArray[Any]:
        """Another numeric column, (N, n), read from the dataset's own files.

        Args:
            column: LeRobot's name of it.
        """
        return _numbers(self.meta, [column])[column]


def default_cache_dir() -> Path:
    """$ETUDE_CACHE_DIR/frames, or frames/ in Etude's folder in the user's cache."""
    own = os.environ.get("ETUDE_CACHE_DIR")
    shared = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return (Path(own) if own else shared / "etude") / "frames"


def statistics(*caches: FrameCache, pixels: bool = True) -> FeatureStatistics:
    """Statistics over all frames of some datasets, for normalisers.

    Args:
        caches: Datasets of equal features.
        pixels: Also of the images (a sample of them).
    """
    parts: dict[str, list[Mapping[str, NDArray[Any]]]] = {}
    for cache in caches:
        parts.setdefault(STATE, []).append(vector_statistics(cache.state))
        parts.setdefault(ACTION, []).append(vector_statistics(cache.action))
        for camera, images in cache.images.items() if pixels else ():
            sample = images.take(np.unique(np.linspace(0, len(images) - 1, _SAMPLE).round().astype(np.int64)))
            key = cache.meta.camera_keys[camera]
            parts.setdefault(key, []).append(image_statistics(sample, frames=len(sample)))
    return FeatureStatistics({name: merge_statistics(of_feature) for name, of_feature in parts.items()})


@dataclass(frozen=True, kw_only=True)
class _Plan:
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
    def of(meta: DatasetMeta, image_size: tuple[int, int] | None) -> "_Plan":
        digests: dict[Path, str] = {}

        def name(paths: Sequence[Path], *what: object) -> str:
            for path in paths:
                digests[path] = digests.get(path) or _digest(path)
            told = json.dumps([_FORMAT, *(digests[path] for path in paths), *what])
            return f"{hashlib.sha256(told.encode()).hexdigest()[:32]}.npy"

        sizes = {camera: image_size or (shape[0], shape[1]) for camera, shape in meta.image_shapes.items()}
        clips = {
            camera: [(name([c.path], c.column, c.ranges, sizes[camera]), c) for c in find_clips(meta, camera)]
            for camera in meta.cameras
        }
        files = _data_files(meta)
        numbers = {column: name(files, column, meta.lengths) for column in (STATE, ACTION)}
        return _Plan(meta=meta, sizes=sizes, clips=clips, numbers=numbers)

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
            for column, array in _numbers(self.meta, [STATE, ACTION]).items():
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

    def load(self, store: Store, lease: Lease) -> FrameCache:
        """All of it, memory-mapped."""
        meta = self.meta
        lengths = np.array(meta.lengths, dtype=np.int64)
        starts = np.cumsum(lengths) - lengths

        def array(name: str) -> NDArray[Any]:
            return np.asarray(np.load(store.folder / name, mmap_mode="r"))

        def frames(camera: str) -> Frames:
            part, row = np.empty(meta.total_frames, np.int64), np.empty(meta.total_frames, np.int64)
            for index, (_, clip) in enumerate(self.clips[camera]):
                for episode, at in clip.episodes:
                    here = slice(int(starts[episode]), int(starts[episode] + lengths[episode]))
                    part[here], row[here] = index, np.arange(at, at + lengths[episode])
            return Frames([array(name) for name, _ in self.clips[camera]], part, row)

        features = dict(meta.features)
        for camera, key in meta.camera_keys.items():
            shape = (*self.sizes[camera], 3)
            features[key] = replace(features[key], shape=shape, names=("height", "width", "channels"))
        return FrameCache(
            meta=replace(meta, features=MappingProxyType(features)),
            images=MappingProxyType({camera: frames(camera) for camera in meta.cameras}),
            state=array(self.numbers[STATE]),
            action=array(self.numbers[ACTION]),
            starts=_read_only(starts),
            lengths=_read_only(lengths),
            files=tuple(store.folder / name for name in self.stored().files),
            lease=lease,
        )


def _silent(done: int, total: int) -> None:
    pass


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise EtudeError(f"a file of the dataset is missing: {error}; copy the dataset anew.") from error


def _data_files(meta: DatasetMeta) -> list[Path]:
    return list(dict.fromkeys(data_file(meta, episode) for episode in range(meta.total_episodes)))


def _numbers(meta: DatasetMeta, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """Numeric columns of all frames, (N, n)."""
    columns = read_columns(_data_files(meta), ("frame_index", "episode_index", *names))
    episode, frame = columns["episode_index"][:, 0], columns["frame_index"][:, 0]
    # A writer that was killed may have left frames of an episode that never was.
    kept = np.flatnonzero(episode < meta.total_episodes)
    order = kept[np.lexsort((frame[kept], episode[kept]))]
    if not np.array_equal(episode[order], np.repeat(np.arange(meta.total_episodes), meta.lengths)):
        raise EtudeError(f"dataset '{meta.root}' holds other frames than its metadata says.")
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
        for image in clip_images(clip, meta, camera, size):
            file.write(np.ascontiguousarray(image).data)
            written += 1
    if written != clip.frames:
        raise EtudeError(f"video '{clip.path}' has {written} of the {clip.frames} frames that its episodes need.")
