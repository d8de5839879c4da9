"""Every frame of a dataset decoded once, into memory-mapped arrays that training reads at the speed of a copy.

A cache is named after the content of the dataset's files, so it never goes stale, and is shared by all runs and
processes of a machine. It is built under another name and renamed when whole; deleting it is always safe.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8
from numpy.typing import NDArray

from etude.core import EtudeError, StageFailedError
from etude.core.files import read_json, write_json
from etude.data.layout import frame_positions
from etude.data.metadata import DatasetMeta
from etude.data.parquet import read_columns
from etude.data.spec import ACTION, IMAGE, STATE
from etude.data.statistics import FeatureStatistics, image_statistics, merge_statistics, vector_statistics
from etude.data.video import decode_video

type Progress = Callable[[int, int], None]
"""(videos decoded, videos in all)."""

_ABANDONED_S = 24 * 3600
_FORMAT = 1  # Counts up when what a cache holds changes.
_COMPLETE = "cache.json"


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameCache:
    """A dataset as read-only arrays over its N frames and E episodes.

    Attributes:
        meta: The dataset.
        path: Folder of the decoded frames.
        images: Camera name -> (N, H, W, 3).
        state: Proprioception, (N, S).
        action: Actions, (N, A).
        starts: First frame of each episode, (E,).
        lengths: Frames of each episode, (E,).
    """

    meta: DatasetMeta
    path: Path
    images: Mapping[str, UInt8[NDArray[np.uint8], "N H W 3"]]
    state: Float32[NDArray[np.float32], "N S"]
    action: Float32[NDArray[np.float32], "N A"]
    starts: Int64[NDArray[np.int64], " E"]
    lengths: Int64[NDArray[np.int64], " E"]

    @staticmethod
    def open(
        root: Path,
        cache_dir: Path | None = None,
        *,
        image_size: tuple[int, int] | None = None,
        on_progress: Progress | None = None,
    ) -> "FrameCache":
        """Open the cache of a dataset; decode it first if nobody has yet.

        Args:
            root: A LeRobot v3 dataset, Etude's or another's, with videos or without images.
            cache_dir: Where caches are kept; by default `default_cache_dir()`.
            image_size: Height and width [px] to resize images to.
            on_progress: Called while decoding.

        Raises:
            EtudeError: Not such a dataset, or a damaged one.
            StageFailedError: No room for the decoded frames.
        """
        meta = DatasetMeta.open(root)
        if not meta.lengths:
            raise EtudeError(f"dataset '{root}' has no episodes.")
        path = (cache_dir or default_cache_dir()) / _content_key(meta, image_size)
        if not (path / _COMPLETE).exists():
            _build(meta, path, image_size, on_progress)
        return _load(meta, path)

    @property
    def size_bytes(self) -> int:
        """Disk space the cache takes."""
        return sum(file.stat().st_size for file in self.path.iterdir())

    def episode(self, index: int) -> slice:
        """The frames of one episode."""
        return slice(int(self.starts[index]), int(self.starts[index] + self.lengths[index]))


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
            parts.setdefault(IMAGE + camera, []).append(image_statistics(images, frames=256))
    return FeatureStatistics({name: merge_statistics(of_feature) for name, of_feature in parts.items()})


def _load(meta: DatasetMeta, path: Path) -> FrameCache:
    def array(name: str) -> NDArray[Any]:
        return np.asarray(np.load(path / f"{name}.npy", mmap_mode="r"))

    lengths = np.array(meta.lengths, dtype=np.int64)
    cameras: list[str] = read_json(path / _COMPLETE)["cameras"]
    return FrameCache(
        meta=meta,
        path=path,
        images=MappingProxyType({camera: array(IMAGE + camera) for camera in cameras}),
        state=array(STATE),
        action=array(ACTION),
        starts=_read_only(np.cumsum(lengths) - lengths),
        lengths=_read_only(lengths),
    )


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array


def _content_key(meta: DatasetMeta, image_size: tuple[int, int] | None) -> str:
    digest = hashlib.sha256(json.dumps([_FORMAT, image_size, meta.fps, meta.lengths]).encode())
    for path in _source_files(meta):
        digest.update(str(path.relative_to(meta.root)).encode())
        try:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        except OSError as error:
            raise EtudeError(f"dataset '{meta.root}' is incomplete: {error}.") from error
    return digest.hexdigest()[:32]


def _source_files(meta: DatasetMeta) -> list[Path]:
    """Data and video files that hold the episodes, each once, in order."""
    videos = [path for camera in meta.cameras for path, _ in _videos(meta, camera)]
    return [*_data_files(meta), *videos]


def _data_files(meta: DatasetMeta) -> list[Path]:
    places = {(row["data/chunk_index"], row["data/file_index"]) for row in meta.rows}
    return [meta.root / meta.data_path.format(chunk_index=chunk, file_index=file) for chunk, file in sorted(places)]


def _videos(meta: DatasetMeta, camera: str) -> Iterator[tuple[Path, list[tuple[int, int]]]]:
    if meta.features[IMAGE + camera].dtype != "video":
        raise EtudeError(f"dataset '{meta.root}' stores camera '{camera}' as single images; only videos can be read.")
    for (chunk, file), episodes in frame_positions(meta.rows, camera, meta.fps).items():
        name = meta.video_path.format(video_key=IMAGE + camera, chunk_index=chunk, file_index=file)
        yield meta.root / name, episodes


def _build(meta: DatasetMeta, path: Path, image_size: tuple[int, int] | None, on_progress: Progress | None) -> None:
    unfinished = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        unfinished.mkdir(parents=True)
        _remove_abandoned(path.parent)
        _write_numbers(meta, unfinished)
        _write_images(meta, unfinished, image_size, on_progress)
        write_json(unfinished / _COMPLETE, {"dataset": str(meta.root.resolve()), "cameras": list(meta.cameras)})
        try:
            unfinished.replace(path)
        except OSError:
            if not (path / _COMPLETE).exists():  # else another process was quicker, with the same result
                raise
    except OSError as error:
        raise StageFailedError(
            f"cannot decode dataset '{meta.root}' into '{path.parent}' ({error.strerror}); make room there, or set "
            "ETUDE_CACHE_DIR to a folder with more."
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _remove_abandoned(folder: Path) -> None:
    """Delete what killed processes left: gigabytes that nobody would find."""
    for path in folder.glob(".*.tmp"):
        if time.time() - path.stat().st_mtime > _ABANDONED_S:
            shutil.rmtree(path, ignore_errors=True)


def _write_numbers(meta: DatasetMeta, folder: Path) -> None:
    columns = read_columns(_data_files(meta), ("index", "episode_index", STATE, ACTION))
    # A writer that was killed may have left frames of an episode that never was.
    kept = np.flatnonzero(columns["episode_index"][:, 0] < meta.total_episodes)
    order = kept[np.argsort(columns["index"][kept, 0], kind="stable")]
    if not np.array_equal(columns["index"][order, 0], np.arange(meta.total_frames)):
        raise EtudeError(f"dataset '{meta.root}' holds other frames than its metadata says.")
    for name in (STATE, ACTION):
        np.save(folder / f"{name}.npy", columns[name][order].astype(np.float32))


def _write_images(
    meta: DatasetMeta, folder: Path, image_size: tuple[int, int] | None, on_progress: Progress | None
) -> None:
    jobs: list[tuple[Path, Path, list[tuple[int, int]], tuple[int, int], int]] = []
    for camera in meta.cameras:
        target, size = folder / f"{IMAGE}{camera}.npy", image_size or meta.image_shapes[camera][:2]
        header = _begin_array(target, (meta.total_frames, *size, 3))
        jobs += [(target, source, episodes, (size[0], size[1]), header) for source, episodes in _videos(meta, camera)]

    def run(job: tuple[Path, Path, list[tuple[int, int]], tuple[int, int], int]) -> None:
        target, source, episodes, size, header = job
        _decode_into(target, header, source, episodes, meta, size)

    # Decoding releases the interpreter's lock, so threads are enough.
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for done, _ in enumerate(pool.map(run, jobs), start=1):
            if on_progress is not None:
                on_progress(done, len(jobs))


def _begin_array(path: Path, shape: tuple[int, ...]) -> int:
    """Write the header of an .npy file of uint8; returns its size in bytes."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": tuple(int(n) for n in shape)}
        )
        return file.tell()


def _decode_into(
    target: Path, header: int, source: Path, episodes: list[tuple[int, int]], meta: DatasetMeta, size: tuple[int, int]
) -> None:
    """Decode one video file and write each frame to its place.

    Written, not memory-mapped: on a full disk a write raises, where storing to a map kills the process.
    """
    starts = np.cumsum((0, *meta.lengths))
    frame_bytes = size[0] * size[1] * 3
    destination = {
        first + t: int(starts[episode]) + t for first, episode in episodes for t in range(meta.lengths[episode])
    }
    written = 0
    with target.open("r+b") as file:
        for position, image in enumerate(decode_video(source, size)):
            frame = destination.get(position)
            if frame is not None:
                file.seek(header + frame * frame_bytes)
                file.write(np.ascontiguousarray(image).data)
                written += 1
    if written != len(destination):
        raise EtudeError(f"video '{source}' has {written} of the {len(destination)} frames that its episodes need.")
