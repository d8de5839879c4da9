"""What takes the steps: the optimisers, by name, and the average of the weights over the last steps."""

from importlib import import_module
from typing import Any

import torch
from torch import nn

from etude.core import MissingDependencyError
from etude.training.config import TrainConfig

MOMENTUM = 0.9


def make_optimiser(module: nn.Module, config: TrainConfig) -> torch.optim.Optimizer:
    """Make the optimiser of the parameters that are learned; it decays matrices and filters, not biases and norms.

    Raises:
        MissingDependencyError: adam8bit without its library.
    """
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    match config.optimizer:
        case "adamw":
            return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)
        case "adam":
            return torch.optim.Adam(groups, lr=config.learning_rate, fused=True)
        case "sgd":
            return torch.optim.SGD(groups, lr=config.learning_rate, momentum=MOMENTUM, nesterov=True)
        case "adam8bit":
            return _adam8bit(groups, config.learning_rate)


@torch.no_grad()
def average(averaged: nn.Module, module: nn.Module, decay: float) -> None:
    """averaged ← decay · averaged + (1 − decay) · module, running statistics included; counters are copied.

    The average acts better than the last weights.
    """
    theirs = module.state_dict()
    for key, value in averaged.state_dict().items():
        if value.is_floating_point():
            value.lerp_(theirs[key], 1 - decay)
        else:
            value.copy_(theirs[key])


def _adam8bit(groups: list[dict[str, Any]], learning_rate: float) -> torch.optim.Optimizer:
    try:
        library = import_module("bitsandbytes.optim")
    except ImportError as error:
        raise MissingDependencyError(
            "optimizer 'adam8bit' needs bitsandbytes: install etude[8bit], or choose adamw."
        ) from error
    return library.Adam8bit(groups, lr=learning_rate)
