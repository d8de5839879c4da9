"""Which numbers a processor multiplies fastest."""

import torch

from etude.training.config import Precision


def resolve_precision(precision: Precision) -> torch.dtype:
    """Choose the type that convolutions and matrix products compute in.

    bfloat16 pays only where the processor has instructions for it; elsewhere it is emulated and slower.
    """
    if precision == "auto":
        capabilities = torch.cpu.get_capabilities()
        fast = capabilities.get("avx512_bf16", False) or capabilities.get("amx_bf16", False)
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32
