"""How many windows a step can have in the memory there is, by trying a few."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from etude.data import WindowBatch
from etude.policies.batches import to_tensors
from etude.policies.model import ChunkModel
from etude.policies.placing import place, resolve_device
from etude.training.config import TrainConfig
from etude.training.placing import computing_in, resolve_precision

LARGEST = 256
"""No more is advised, whatever the memory: it seldom learns more in an hour."""
_SHARE = 0.7
"""Of the free memory; the rest is for what was not measured."""
_TRIED = (4, 12)
_COPIES = 6
"""Of the weights: they, their gradients, two moments, their average, the best so far."""


@dataclass(frozen=True, kw_only=True)
class Advice:
    """A batch size, and what it rests on.

    Attributes:
        batch_size: Windows per step, a power of two.
        per_window: Bytes that one more window takes.
        fixed: Bytes that are needed whatever the batch size.
        free: Bytes that were free.
        device: "cpu" or "cuda".
    """

    batch_size: int
    per_window: int
    fixed: int
    free: int
    device: str

    def __str__(self) -> str:
        of = "of the GPU" if self.device == "cuda" else "of this machine"
        return (
            f"batch size {self.batch_size}: a window takes {_mb(self.per_window)}, measured with {_TRIED[0]} and "
            f"{_TRIED[1]} of them; weights, gradients and moments {_mb(self.fixed)}; {_mb(self.free)} {of} are free"
        )


def advise_batch_size(model: ChunkModel, batches: Callable[[int], WindowBatch], config: TrainConfig) -> Advice:
    """Measure what windows take, and advise as many as fit; the model stays as it is.

    On a GPU the peak of a step is measured; elsewhere the bytes that its forward pass keeps for the backward pass.

    Args:
        model: The policy.
        batches: Batch size -> some batch of it.
        config: Where and in which numbers it will be trained; its batch size is not used.
    """
    device = resolve_device(config.device)
    trial = model.copy()
    place(trial, device)
    trial.module.train()
    dtype = resolve_precision(config.precision, device.type)
    small, large = (_bytes_of_step(trial, batches(size), device, dtype) for size in _TRIED)
    per_window = max((large - small) // (_TRIED[1] - _TRIED[0]), 1)
    fixed = _COPIES * sum(p.nbytes for p in trial.module.parameters())
    free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else free_memory()
    fitting = max(int(_SHARE * free) - fixed, 0) // per_window * config.accumulate
    size = max(1 << max(min(fitting, LARGEST).bit_length() - 1, 0), config.accumulate)
    return Advice(batch_size=size, per_window=per_window, fixed=fixed, free=free, device=device.type)


def _bytes_of_step(model: ChunkModel, batch: WindowBatch, device: torch.device, dtype: torch.dtype) -> int:
    """Bytes that a step takes besides the weights."""
    kept: dict[int, int] = {}

    def note(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    with (
        torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor),
        computing_in(dtype, device),
    ):
        loss = model.loss(to_tensors(batch, device), torch.Generator().manual_seed(0))
    held = sum(kept.values())  # before the backward pass lets go of them
    loss.backward()
    model.module.zero_grad(set_to_none=True)
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else held


def free_memory() -> int:
    """Bytes that this process may still take: the machine's, or less where a container limits it."""
    pages = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    meminfo = Path("/proc/meminfo")
    if meminfo.exists():
        lines = dict(line.split(":") for line in meminfo.read_text().splitlines())
        pages = int(lines["MemAvailable"].split()[0]) * 1024
    limit, used = Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory.current")
    if limit.exists() and used.exists() and limit.read_text().strip().isdigit():
        return min(pages, max(int(limit.read_text()) - int(used.read_text()), 0))
    return pages


def _mb(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"
