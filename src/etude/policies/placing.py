"""Where a policy computes; torch-free at the top, so that a command line may name it."""

from typing import TYPE_CHECKING, Literal

from etude.core import ConfigError

if TYPE_CHECKING:
    import torch

    from etude.policies.model import ChunkModel

type Device = Literal["auto", "cpu", "cuda"]


def resolve_device(device: Device) -> "torch.device":
    """Choose between processor and GPU.

    Raises:
        ConfigError: A GPU is asked for, and PyTorch sees none.
    """
    import torch

    seen = torch.cuda.is_available()
    if device == "cuda" and not seen:
        raise ConfigError("device = 'cuda': PyTorch sees no GPU here; choose 'cpu', or 'auto' for what there is.")
    return torch.device("cuda" if device == "cuda" or (device == "auto" and seen) else "cpu")


def place(model: "ChunkModel", device: "torch.device") -> None:
    """Move weights, and what prepares their inputs, to a device; in place.

    The normaliser's statistics follow the tensors they are applied to.
    """
    from lerobot.processor import DeviceProcessorStep

    model.module.to(device)
    model.policy.config.device = device.type
    for step in model.preprocessor.steps:
        if isinstance(step, DeviceProcessorStep):
            mover: DeviceProcessorStep = step
            mover.device, mover.tensor_device = device.type, device
