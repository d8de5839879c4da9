"""Everything that decides how a training run goes on, in one file that is whole or absent.

The file is a safetensors file: nothing in it is executed when it is read. Names in it:
module.* and ema.* (parameters and buffers), best.* (the averaged weights that validated best),
optimizer.<parameter>.<moment>; its metadata holds the rest as JSON.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from etude.core import MismatchError
from etude.core.files import write_bytes
from etude.training.config import TrainConfig


@dataclass
class Progress:
    """How far a run is.

    Attributes:
        step: Optimiser steps done.
        losses: Training loss of every step.
        validations: (steps done, validation loss), one for each validation.
        best_loss: Lowest validation loss so far.
        best_step: Steps done when it was reached.
        best: The averaged weights it was reached with.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list[float])
    validations: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    best_loss: float = float("inf")
    best_step: int = 0
    best: dict[str, Tensor] = field(default_factory=dict[str, Tensor])


def save_state(
    path: Path, config: TrainConfig, progress: Progress, module: nn.Module, ema: nn.Module, optimizer: torch.optim.AdamW
) -> None:
    """Write the state durably, in place of the last one."""
    moments = {
        f"{index}.{name}": value
        for index, entry in optimizer.state_dict()["state"].items()
        for name, value in entry.items()
    }
    parts = {"module": module.state_dict(), "ema": ema.state_dict(), "best": progress.best, "optimizer": moments}
    # clone() also undoes sharing of memory, which safetensors refuses.
    tensors = {f"{part}.{key}": value.clone(memory_format=torch.contiguous_format)
               for part, values in parts.items() for key, value in values.items()}  # fmt: skip
    record = {
        "config": asdict(config),
        "step": progress.step,
        "losses": progress.losses,
        "validations": progress.validations,
        "best_loss": progress.best_loss,
        "best_step": progress.best_step,
    }
    write_bytes(path, save(tensors, metadata={"etude": json.dumps(record)}))


def load_state(
    path: Path, config: TrainConfig, module: nn.Module, ema: nn.Module, optimizer: torch.optim.AdamW
) -> Progress:
    """Put a saved state into module, ema and optimizer.

    Raises:
        MismatchError: The file is damaged, or belongs to another config or another model; the message says how.
    """
    try:
        with safe_open(path, framework="pt") as file:
            record = json.loads(file.metadata()["etude"])
            tensors: dict[str, Tensor] = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise MismatchError(f"'{path}' is not a training state: {error}.") from error
    _check_config(record["config"], asdict(config), path)
    try:
        module.load_state_dict(_part(tensors, "module"))
        ema.load_state_dict(_part(tensors, "ema"))
    except RuntimeError as error:
        raise MismatchError(f"'{path}' belongs to another model: {' '.join(str(error).split())}") from error
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments = _moments(_part(tensors, "optimizer"), parameters)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return Progress(
        step=record["step"],
        losses=record["losses"],
        validations=[(step, loss) for step, loss in record["validations"]],
        best_loss=record["best_loss"],
        best_step=record["best_step"],
        best=_part(tensors, "best"),
    )


def _part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def _moments(flat: Mapping[str, Tensor], parameters: Sequence[Tensor]) -> dict[int, dict[str, Tensor]]:
    """The optimiser's state, each moment laid out in memory as its parameter is: the fused step relies on it."""
    moments: dict[int, dict[str, Tensor]] = {}
    for key, value in flat.items():
        index, name = key.split(".")
        like = parameters[int(index)]
        laid_out = torch.empty_like(like).copy_(value) if value.shape == like.shape else value
        moments.setdefault(int(index), {})[name] = laid_out.detach()
    return moments


def _check_config(saved: Mapping[str, Any], given: Mapping[str, Any], path: Path) -> None:
    differences = [
        f"{name} was {saved.get(name)}, is now {given.get(name)}"
        for name in sorted(saved.keys() | given.keys())
        if saved.get(name) != given.get(name)
    ]
    if differences:
        raise MismatchError(f"'{path}' was trained with another config: {'; '.join(differences)}.")
