"""The average of the weights over the last steps, which acts better than the last weights."""

import torch
from torch import nn


@torch.no_grad()
def average(averaged: nn.Module, module: nn.Module, decay: float) -> None:
    """averaged ← decay · averaged + (1 − decay) · module, running statistics included; counters are copied."""
    theirs = module.state_dict()
    for key, value in averaged.state_dict().items():
        if value.is_floating_point():
            value.lerp_(theirs[key], 1 - decay)
        else:
            value.copy_(theirs[key])
