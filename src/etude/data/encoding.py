"""A recorded episode made small: what workers send back to the process that writes the dataset."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32
from numpy.typing import NDArray

from etude.core import Outcome
from etude.data.recording import RecordedEpisode
from etude.data.statistics import Statistics, image_statistics
from etude.data.video import encode_video


@dataclass(frozen=True, kw_only=True)
class EncodedEpisode:
    """An episode ready to be committed; picklable.

    Attributes:
        fps: Frames per second of the videos.
        videos: Camera name -> MP4 file.
        image_shapes: Camera name -> (H, W, 3).
        image_statistics: Camera name -> statistics of the pixels, channels first, in [0, 1].
        state: Proprioception, (T, S) float32.
        action: Executed actions, (T, A) float32.
        subtasks: Sub-task -> whether it was done at each frame, (T,).
        task: The task in words.
        outcome: What became of it, with its (θ, seed).
        generator: Who made it.
        source_episode: Index of the demonstration it was made from, or -1.
    """

    fps: int
    videos: Mapping[str, bytes]
    image_shapes: Mapping[str, tuple[int, int, int]]
    image_statistics: Mapping[str, Statistics]
    state: Float32[NDArray[np.float32], "T S"]
    action: Float32[NDArray[np.float32], "T A"]
    subtasks: Mapping[str, Bool[NDArray[np.bool_], " T"]]
    task: str
    outcome: Outcome
    generator: str
    source_episode: int

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.state)


def encode(episode: RecordedEpisode, fps: int) -> EncodedEpisode:
    """Encode an episode's images as video; the same bytes for the same episode.

    Raises:
        ShapeError: Images of odd height or width.
    """
    return EncodedEpisode(
        fps=fps,
        videos={camera: encode_video(images, fps) for camera, images in episode.images.items()},
        image_shapes={camera: (images.shape[1], images.shape[2], 3) for camera, images in episode.images.items()},
        image_statistics={camera: image_statistics(images) for camera, images in episode.images.items()},
        state=episode.state,
        action=episode.action,
        subtasks=episode.subtasks,
        task=episode.task,
        outcome=episode.outcome,
        generator=episode.generator,
        source_episode=episode.source_episode,
    )
