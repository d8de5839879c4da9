"""The processes that train together: each computes parts of every batch, and all take the same step.

`accelerate launch -m etude train …` starts them; what each does is decided here, from the environment they get.
"""

import os
from collections.abc import Sequence
from datetime import timedelta
from importlib import import_module
from typing import Any, Protocol

import torch
from torch import Tensor

from etude.core import MissingDependencyError
from etude.policies.placing import Device, resolve_device

_WAIT = timedelta(hours=6)
"""How long the others wait while the first rolls the policy out."""


class Team(Protocol):
    """Who trains.

    Attributes:
        rank: Number of this process; the first, 0, validates and writes.
        size: How many there are.
        device: Where this one computes.
    """

    rank: int
    size: int
    device: torch.device

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Put into every process's tensors their mean over the processes."""
        ...

    def leave(self) -> None:
        """Be done, all at once."""
        ...


class Alone:
    """One process."""

    rank, size = 0, 1

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Nothing to average."""

    def leave(self) -> None:
        """Nobody to wait for."""


class Together:
    """Several processes, by Accelerate."""

    def __init__(self, device: Device) -> None:
        try:
            library = import_module("accelerate")
        except ImportError as error:
            raise MissingDependencyError(
                "training in several processes needs Accelerate: install etude[multi-gpu]."
            ) from error
        wait = library.InitProcessGroupKwargs(timeout=_WAIT)
        on_processor = resolve_device(device).type == "cpu"
        self._accelerator: Any = library.Accelerator(cpu=on_processor, kwargs_handlers=[wait])
        self.rank: int = self._accelerator.process_index
        self.size: int = self._accelerator.num_processes
        self.device: torch.device = self._accelerator.device

    def average(self, tensors: Sequence[Tensor]) -> None:
        """Send all tensors as one, because each message costs more than its bytes."""
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        mean: Tensor = self._accelerator.reduce(flat, reduction="mean")
        for tensor, part in zip(tensors, mean.split([tensor.numel() for tensor in tensors]), strict=True):
            tensor.copy_(part.view(tensor.shape))

    def leave(self) -> None:
        """Wait for all, then end the process group."""
        self._accelerator.wait_for_everyone()
        self._accelerator.end_training()


def team_size() -> int:
    """How many processes were started to train together."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_first() -> bool:
    """Whether this process speaks and writes for all."""
    return int(os.environ.get("RANK", "0")) == 0


def gather_team(device: Device) -> Team:
    """This process, or those that were started with it."""
    return Together(device) if team_size() > 1 else Alone(resolve_device(device))
