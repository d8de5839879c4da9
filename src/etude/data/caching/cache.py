"""Every frame of a dataset decoded once, into memory-mapped arrays that training reads at the speed of a copy.

What is decoded is named after the content of the file it comes from, so it never goes stale, and it is shared by all
datasets, runs and processes of a machine: a copy, a part or a union of datasets decodes only what is new.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from jaxtyping import Float32, Int64
from numpy.typing import NDArray

from etude.core import EtudeError, StageFailedError
from etude.data.caching.decoding import Plan, Progress, read_all
from etude.data.caching.frames import Frames
from etude.data.caching.store import Lease, Store
from etude.data.metadata import DatasetMeta
from etude.data.spec import ACTION, STATE
from etude.data.statistics import FeatureStatistics, image_statistics, merge_statistics, spread, vector_statistics

_SAMPLE = 256  # Images that statistics are taken from.


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameCache:
    """A dataset as read-only arrays over its N frames and E episodes.

    Attributes:
        meta: The dataset; its features tell the shapes of the images as they are here.
        images: Camera name -> (N, H, W, 3).
        recorded_sizes: Camera name -> height and width of its images in the dataset [px].
        state: Proprioception, (N, S).
        action: Actions, (N, A).
        starts: First frame of each episode, (E,).
        lengths: Frames of each episode, (E,).
        files: The files that all this lies in; nobody removes them while the lease is held.
        lease: What holds them.
    """

    meta: DatasetMeta
    images: Mapping[str, Frames]
    recorded_sizes: Mapping[str, tuple[int, int]]
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
        plan = Plan.of(meta, image_size)
        try:
            lease = store.lease(plan.stored(), lambda missing: plan.build(store, missing, progress), progress)
        except OSError as error:
            raise StageFailedError(
                f"cannot decode dataset '{root}' into '{store.folder}' ({error.strerror}); make room there, or set "
                "ETUDE_CACHE_DIR to a folder with more."
            ) from error
        return _load(plan, store, lease)

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
        return read_all(self.meta, [column])[column]


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
            sample = images.take(spread(len(images), _SAMPLE))
            key = cache.meta.camera_keys[camera]
            parts.setdefault(key, []).append(image_statistics(sample, frames=len(sample)))
    return FeatureStatistics({name: merge_statistics(of_feature) for name, of_feature in parts.items()})


def _load(plan: Plan, store: Store, lease: Lease) -> FrameCache:
    """All of it, memory-mapped."""
    meta = plan.meta
    lengths = np.array(meta.lengths, dtype=np.int64)
    starts = np.cumsum(lengths) - lengths

    def array(name: str) -> NDArray[Any]:
        return np.asarray(np.load(store.folder / name, mmap_mode="r"))

    def frames(camera: str) -> Frames:
        part, row = np.empty(meta.total_frames, np.int64), np.empty(meta.total_frames, np.int64)
        for index, (_, clip) in enumerate(plan.clips[camera]):
            for episode, at in clip.episodes:
                here = slice(int(starts[episode]), int(starts[episode] + lengths[episode]))
                part[here], row[here] = index, np.arange(at, at + lengths[episode])
        return Frames([array(name) for name, _ in plan.clips[camera]], part, row)

    features, recorded = dict(meta.features), dict[str, tuple[int, int]]()
    for camera, key in meta.camera_keys.items():
        recorded[camera] = (features[key].shape[0], features[key].shape[1])
        shape = (*plan.sizes[camera], 3)
        features[key] = replace(features[key], shape=shape, names=("height", "width", "channels"))
    return FrameCache(
        meta=replace(meta, features=MappingProxyType(features)),
        images=MappingProxyType({camera: frames(camera) for camera in meta.cameras}),
        recorded_sizes=MappingProxyType(recorded),
        state=array(plan.numbers[STATE]),
        action=array(plan.numbers[ACTION]),
        starts=_read_only(starts),
        lengths=_read_only(lengths),
        files=tuple(store.folder / name for name in plan.stored().files),
        lease=lease,
    )


def _silent(done: int, total: int) -> None:
    pass


def _read_only(array: NDArray[Any]) -> NDArray[Any]:
    array.flags.writeable = False
    return array
