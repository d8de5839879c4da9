"""Where a training computes, and in which numbers."""

import torch
from lerobot.processor import DeviceProcessorStep

from etude.core import ConfigError
from etude.policies.model import ChunkModel
from etude.training.config import Device, Precision


def resolve_device(device: Device) -> torch.device:
    """Choose between processor and GPU.

    Raises:
        ConfigError: A GPU is asked for, and PyTorch sees none.
    """
    seen = torch.cuda.is_available()
    if device == "cuda" and not seen:
        raise ConfigError("device = 'cuda': PyTorch sees no GPU here; choose 'cpu', or 'auto' for what there is.")
    return torch.device("cuda" if device == "cuda" or (device == "auto" and seen) else "cpu")


def resolve_precision(precision: Precision, device: str = "cpu") -> torch.dtype:
    """Choose the type that convolutions and matrix products compute in.

    bfloat16 pays only where there are instructions for it; elsewhere it is emulated and slower.

    Args:
        precision: What was asked for.
        device: "cpu" or "cuda".
    """
    if precision == "auto":
        return torch.bfloat16 if _has_bfloat16(device) else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


def computing_in(dtype: torch.dtype, device: torch.device) -> torch.autocast:
    """A context in which convolutions and matrix products compute in this type."""
    return torch.autocast(device.type, torch.bfloat16, enabled=dtype == torch.bfloat16)


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


def _has_bfloat16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False))
