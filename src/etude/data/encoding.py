"""A recorded episode made small: what workers send back to the process that writes the dataset."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy.typing import NDArray
from PIL import Image

from etude.core import Outcome
from etude.data.recording import RecordedEpisode
from etude.data.spec import Storage
from etude.data.statistics import Statistics, image_statistics
from etude.data.video import encode_video


@dataclass(frozen=True, kw_only=True)
class EncodedEpisode:
    """An episode ready to be committed; picklable.

    Attributes:
        fps: Frames per second of the videos.
        videos: Camera name -> MP4 file; empty where images are kept one by one.
        pictures: Camera name -> T PNG or JPEG files; empty where images are kept as videos.
        codecs: Camera name -> codec and pixel format of its video, where it is not what `encode` makes.
        image_shapes: Camera name -> (H, W, 3).
        image_statistics: Camera name -> statistics of the pixels, channels first, in [0, 1].
        state: Proprioception, (T, S) float32.
        action: Executed actions, (T, A) float32.
        subtasks: Sub-task -> whether it was done at each frame, (T,).
        task: The task in words.
        outcome: What became of it, with its (θ, seed); None where that is not known.
        generator: Who made it.
        source_episode: Index of the demonstration it was made from, or -1.
        extras: Further numeric columns by LeRobot's names, (T, …).
        frame_tasks: The task at each frame where it changes on the way, T texts; else empty.
        origin: Where it was read from, or "".
    """

    fps: int
    videos: Mapping[str, bytes]
    image_shapes: Mapping[str, tuple[int, int, int]]
    image_statistics: Mapping[str, Statistics]
    state: Float32[NDArray[np.float32], "T S"]
    action: Float32[NDArray[np.float32], "T A"]
    subtasks: Mapping[str, Bool[NDArray[np.bool_], " T"]]
    task: str
    outcome: Outcome | None
    generator: str
    source_episode: int
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])
    frame_tasks: tuple[str, ...] = ()
    origin: str = ""
    pictures: Mapping[str, Sequence[bytes]] = field(default_factory=dict[str, Sequence[bytes]])
    codecs: Mapping[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.state)


def encode(episode: RecordedEpisode, fps: int, *, storage: Storage = "video") -> EncodedEpisode:
    """Encode an episode's images; the same bytes for the same episode.

    Args:
        episode: The episode.
        fps: Frames per second.
        storage: As one video per camera, or as PNG files, which lose nothing.

    Raises:
        ShapeError: Images of odd height or width, as video.
    """
    as_video = storage == "video"
    return EncodedEpisode(
        fps=fps,
        videos={camera: encode_video(images, fps) for camera, images in episode.images.items() if as_video},
        pictures={
            camera: [encode_picture(image) for image in images]
            for camera, images in episode.images.items()
            if not as_video
        },
        image_shapes={camera: (images.shape[1], images.shape[2], 3) for camera, images in episode.images.items()},
        image_statistics={camera: image_statistics(images) for camera, images in episode.images.items()},
        state=episode.state,
        action=episode.action,
        subtasks=episode.subtasks,
        task=episode.task,
        outcome=episode.outcome,
        generator=episode.generator,
        source_episode=episode.source_episode,
        extras=episode.extras,
        frame_tasks=episode.frame_tasks,
        origin=episode.origin,
    )


def encode_picture(image: UInt8[NDArray[np.uint8], "H W 3"]) -> bytes:
    """An image as a PNG file."""
    buffer = BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=1)  # the default takes five times as long for 5 % less
    return buffer.getvalue()
