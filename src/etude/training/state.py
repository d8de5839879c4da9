"""Everything that decides how a training run goes on, in one file that is whole or absent.

The file is a safetensors file: nothing in it is executed when it is read. Names in it:
module.* and ema.* (parameters and buffers), best.<criterion>.* (the averaged weights that were best),
optimizer.<parameter>.<moment>; its metadata holds the rest as JSON.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from etude.core import MismatchError, Rate
from etude.core.files import write_bytes
from etude.training.config import TrainConfig
from etude.training.history import Best, Criterion, History

CRITERIA: tuple[Criterion, ...] = ("validation", "rollout")


def save_state(
    path: Path,
    config: TrainConfig,
    history: History,
    module: nn.Module,
    ema: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Write the state durably, in place of the last one."""
    moments = {
        f"{index}.{name}": value
        for index, entry in optimizer.state_dict()["state"].items()
        for name, value in entry.items()
    }
    parts: dict[str, Mapping[str, Any]] = {
        "module": module.state_dict(),
        "ema": ema.state_dict(),
        "optimizer": {key: value for key, value in moments.items() if isinstance(value, Tensor)},
        **{f"best.{criterion}": best.weights for criterion, best in history.best.items()},
    }
    # clone() also undoes sharing of memory, which safetensors refuses.
    tensors = {f"{part}.{key}": value.detach().cpu().clone(memory_format=torch.contiguous_format)
               for part, values in parts.items() for key, value in values.items()}  # fmt: skip
    record = {
        "config": asdict(config),
        "step": history.step,
        "losses": history.losses,
        "validations": history.validations,
        "rates": [(step, rate.k, rate.n) for step, rate in history.rates],
        "best": {criterion: _best_record(best) for criterion, best in history.best.items()},
        "counters": {key: value for key, value in moments.items() if not isinstance(value, Tensor)},
    }
    write_bytes(path, save(tensors, metadata={"etude": json.dumps(record)}))


def load_state(
    path: Path, config: TrainConfig, module: nn.Module, ema: nn.Module, optimizer: torch.optim.Optimizer
) -> History:
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
    moments = _moments({**_part(tensors, "optimizer"), **record["counters"]}, parameters)
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return History(
        step=record["step"],
        losses=record["losses"],
        validations=[(step, loss) for step, loss in record["validations"]],
        rates=[(step, Rate(k, n)) for step, k, n in record["rates"]],
        best={c: _best(record["best"][c], _part(tensors, f"best.{c}")) for c in CRITERIA if c in record["best"]},
    )


def _best_record(best: Best) -> dict[str, Any]:
    return {"step": best.step, "loss": best.loss, "rate": best.rate and (best.rate.k, best.rate.n)}


def _best(record: Mapping[str, Any], weights: dict[str, Tensor]) -> Best:
    rate = record["rate"] and Rate(*record["rate"])
    return Best(step=record["step"], loss=record["loss"], weights=weights, rate=rate)


def _part(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def _moments(flat: Mapping[str, Any], parameters: Sequence[Tensor]) -> dict[int, dict[str, Any]]:
    """The optimiser's state, each moment laid out in memory as its parameter is: the fused step relies on it."""
    moments: dict[int, dict[str, Any]] = {}
    for key, value in flat.items():
        index, name = key.split(".")
        like = parameters[int(index)]
        if isinstance(value, Tensor) and value.shape == like.shape:
            value = torch.empty_like(like, dtype=value.dtype, device=value.device).copy_(value).detach()
        moments.setdefault(int(index), {})[name] = value
    return moments


def _check_config(saved: Mapping[str, Any], given: Mapping[str, Any], path: Path) -> None:
    differences = [
        f"{name} was {saved.get(name)}, is now {given.get(name)}"
        for name in sorted(saved.keys() | given.keys())
        if saved.get(name) != given.get(name)
    ]
    if differences:
        raise MismatchError(f"'{path}' was trained with another config: {'; '.join(differences)}.")
