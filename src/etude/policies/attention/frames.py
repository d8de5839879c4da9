"""Frames of a recorded episode as a policy is given them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from etude.data import DatasetMeta, read_images, read_numbers
from etude.policies.features import ACTION_KEY, IMAGE_PREFIX, PAD_KEY, STATE_KEY, Features


def frames_of(
    meta: DatasetMeta, episode: int, frames: Sequence[int], features: Features, offsets: Sequence[int]
) -> dict[str, Tensor]:
    """Some frames of an episode with the chunks that were demonstrated there.

    Args:
        meta: The dataset.
        episode: Index of the episode.
        frames: Indices in it, ascending.
        features: What the policy is given; images of another size are resized, as a cache would.
        offsets: Steps from a frame to the H actions that the policy is trained on there.
    Returns:
        Images (N, 3, height, width) uint8, state (N, S), action (N, H, A) and action_is_pad (N, H).
    Raises:
        MismatchError: The dataset lacks a camera, or its states or actions are of another size.
    """
    given = Features.from_shapes({name: feature.shape for name, feature in meta.features.items()})
    resized = {camera: features.image_sizes.get(camera, size) for camera, size in given.image_sizes.items()}
    features.check(replace(given, image_size=resized), f"dataset '{meta.root}'")
    names = [ACTION_KEY, *([STATE_KEY] if features.state_size else [])]
    numbers = {name: values.astype(np.float32) for name, values in read_numbers(meta, episode, names).items()}
    steps, last = np.array(frames)[:, None] + np.array(offsets), meta.lengths[episode] - 1
    batch = {
        ACTION_KEY: torch.from_numpy(numbers[ACTION_KEY][steps.clip(0, last)]),
        PAD_KEY: torch.from_numpy((steps < 0) | (steps > last)),
    }
    if features.state_size:
        batch[STATE_KEY] = torch.from_numpy(numbers[STATE_KEY][list(frames)])
    for camera, size in features.image_sizes.items():
        batch[IMAGE_PREFIX + camera] = _images(meta, episode, frames, camera, size)
    return batch


def _images(meta: DatasetMeta, episode: int, frames: Sequence[int], camera: str, size: tuple[int, int]) -> Tensor:
    """(N, 3, height, width) uint8."""
    wanted = set(frames)
    images = [image for index, image in enumerate(read_images(meta, episode, camera)) if index in wanted]
    stacked = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2)
    if tuple(stacked.shape[-2:]) == tuple(size):
        return stacked
    return F.interpolate(stacked.to(torch.float32), size, mode="area").round().to(torch.uint8)
