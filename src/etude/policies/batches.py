"""From windows of demonstrations to tensors under LeRobot's keys."""

import torch
from torch import Tensor

from etude.data import WindowBatch
from etude.policies.features import ACTION_KEY, IMAGE_PREFIX, PAD_KEY, STATE_KEY


def to_tensors(batch: WindowBatch, device: torch.device | str = "cpu") -> dict[str, Tensor]:
    """A batch under LeRobot's keys; images (B, 3, height, width) stay uint8 with channels last in memory."""
    images = {
        IMAGE_PREFIX + name: torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2)
        for name, pixels in batch.images.items()
    }
    return {
        **images,
        STATE_KEY: torch.from_numpy(batch.state).to(device),
        ACTION_KEY: torch.from_numpy(batch.action).to(device),
        PAD_KEY: torch.from_numpy(batch.is_pad).to(device),
    }
