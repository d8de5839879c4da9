"""In which numbers a training computes."""

import torch

from etude.training.config import Precision


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


def _has_bfloat16(device: str) -> bool:
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False))
