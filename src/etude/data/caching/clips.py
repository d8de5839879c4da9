"""The images of one camera as they lie in a dataset's files, file by file."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray

from etude.data.episode import data_file, read_images, video_file
from etude.data.metadata import DatasetMeta
from etude.data.video import decode_video, to_rgb


@dataclass(frozen=True, kw_only=True)
class Clip:
    """What a dataset uses of one file.

    Attributes:
        path: A video, or a data file with single images.
        column: Column of the images in a data file; "" for a video.
        ranges: First frame in the file and number of frames of each stretch that is used, in order.
        episodes: The dataset's episodes in it, each with the index of its first frame among those used.
    """

    path: Path
    column: str
    ranges: tuple[tuple[int, int], ...]
    episodes: tuple[tuple[int, int], ...]

    @property
    def frames(self) -> int:
        """How many frames are used."""
        return sum(count for _, count in self.ranges)


def find_clips(meta: DatasetMeta, camera: str) -> list[Clip]:
    """The files that hold a camera's images."""
    key = meta.camera_keys[camera]
    column = "" if meta.features[key].dtype == "video" else key
    files: dict[Path, list[tuple[int, int]]] = {}
    for episode in range(meta.total_episodes):
        if column:  # the pictures of an episode are found by its number
            files.setdefault(data_file(meta, episode), []).append((episode, episode))
        else:
            path, begin_s = video_file(meta, episode, camera)
            files.setdefault(path, []).append((round(begin_s * meta.fps), episode))
    clips: list[Clip] = []
    for path, placed in files.items():
        ranges, episodes, used = list[tuple[int, int]](), list[tuple[int, int]](), 0
        for first, episode in sorted(placed):
            ranges.append((first, meta.lengths[episode]))
            episodes.append((episode, used))
            used += meta.lengths[episode]
        clips.append(Clip(path=path, column=column, ranges=tuple(ranges), episodes=tuple(episodes)))
    return clips


def clip_images(
    clip: Clip, meta: DatasetMeta, camera: str, size: tuple[int, int]
) -> Iterator[UInt8[NDArray[np.uint8], "H W 3"]]:
    """The images used of a file, in order, resized (by area)."""
    if clip.column:
        for episode, _ in clip.episodes:
            for image in read_images(meta, episode, camera):
                yield _resized(image, size)
        return
    used = {first + t for first, count in clip.ranges for t in range(count)}
    for position, image in enumerate(decode_video(clip.path, size)):
        if position in used:
            yield image


def _resized(image: UInt8[NDArray[np.uint8], "H W 3"], size: tuple[int, int]) -> UInt8[NDArray[np.uint8], "h w 3"]:
    if image.shape[:2] == size:
        return image
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    return to_rgb(frame, size)
