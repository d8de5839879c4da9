"""Moving a model to where it computes."""

import torch
from lerobot.processor import DeviceProcessorStep

from etude.policies.model import ChunkModel


def place(model: ChunkModel, device: torch.device) -> None:
    """Move weights, and what prepares their inputs, to a device; in place.

    The normaliser's statistics follow the tensors they are applied to.
    """
    model.module.to(device)
    model.policy.config.device = device.type
    for step in model.preprocessor.steps:
        if isinstance(step, DeviceProcessorStep):
            mover: DeviceProcessorStep = step
            mover.device, mover.tensor_device = device.type, device
