"""What a policy takes here and now: parameters, memory, and time to train and to act."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import torch
from torch import Tensor

from etude.data import FeatureStatistics, WindowBatch
from etude.policies.batches import to_tensors
from etude.policies.checkpoint import build_policy
from etude.policies.features import ACTION_KEY, STATE_KEY, Features
from etude.policies.model import ChunkModel
from etude.policies.placing import place, resolve_device
from etude.policies.threads import torch_threads
from etude.training.advising import Advice, advise_batch_size
from etude.training.config import TrainConfig
from etude.training.optimisers import make_optimiser
from etude.training.placing import computing_in, resolve_precision

_BUDGET_S, _TIMES = 1.5, (2, 10)
"""Each figure is the median of as many repeats as fit into this time, at least and at most so many."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a policy takes.

    Attributes:
        memory: Bytes it takes to train, however many windows a step has, and for each window.
        act_s: Seconds to predict a chunk for one observation.
        train_s: Seconds of a training step, per window.
    """

    memory: Advice
    act_s: float
    train_s: float


def untrained(name: str, features: Features, rng: np.random.Generator, *, backbone: str = "") -> ChunkModel:
    """A policy with its default settings, for data of mean 0 and deviation 1.

    Args:
        name: Of the policy.
        features: What it sees and does.
        rng: Draws its weights.
        backbone: Of policies that have a choice; "" is their default.
    """
    numbers = {STATE_KEY: features.state_size, ACTION_KEY: features.action_size}
    statistics = FeatureStatistics({key: {"mean": np.zeros(n), "std": np.ones(n)} for key, n in numbers.items()})
    options: dict[str, Any] = {"backbone": backbone} if backbone else {}
    return build_policy(name, features, statistics, rng, **options)


def measure(model: ChunkModel, config: TrainConfig) -> Cost:
    """Train a policy on noise for a few steps, which spoils it, and time it.

    Args:
        model: The policy.
        config: Batch size, optimiser, device, threads and precision.
    """
    rng, device = np.random.default_rng(0), resolve_device(config.device)
    with torch_threads(config.threads):
        memory = advise_batch_size(model, lambda size: noise(model, size, rng), config)
        place(model, device)
        batch = to_tensors(noise(model, config.batch_size, rng), device)
        train_s = _seconds(_training_step(model, batch, config)) / config.batch_size
        model.conclude([batch], [batch])
        one = to_tensors(noise(model, 1, rng), device)
        act_s = _seconds(lambda: model.predict(one, torch.zeros_like(one[ACTION_KEY])).cpu())
    return Cost(memory=memory, act_s=act_s, train_s=train_s)


def noise(model: ChunkModel, size: int, rng: np.random.Generator) -> WindowBatch:
    """Windows of nothing in particular that a policy can be trained on."""
    features, horizon = model.features, model.horizon
    sizes = features.image_sizes.items()
    return WindowBatch(
        images={camera: rng.integers(0, 256, (size, *shape, 3), np.uint8) for camera, shape in sizes},
        state=rng.standard_normal((size, features.state_size), np.float32),
        action=rng.standard_normal((size, horizon, features.action_size), np.float32),
        is_pad=np.zeros((size, horizon), np.bool_),
        source=np.zeros(size, np.int64),
        episode=np.arange(size),
        frame=np.zeros(size, np.int64),
    )


def _training_step(model: ChunkModel, batch: dict[str, Tensor], config: TrainConfig) -> Callable[[], float]:
    device = resolve_device(config.device)
    dtype = resolve_precision(config.precision, device.type)
    optimiser, generator = make_optimiser(model.module.train(), config), torch.Generator().manual_seed(0)

    def step() -> float:
        with computing_in(dtype, device):
            loss = model.loss(batch, generator)
        loss.backward()
        optimiser.step()
        optimiser.zero_grad(set_to_none=True)
        return float(loss.detach())  # on a GPU, waits until it is there

    return step


def _seconds(work: Callable[[], object]) -> float:
    """Median time of a few repeats, after one that is not counted."""
    work()
    taken: list[float] = []
    least, most = _TIMES
    while len(taken) < least or (len(taken) < most and sum(taken) < _BUDGET_S):
        begin = time.perf_counter()
        work()
        taken.append(time.perf_counter() - begin)
    return median(taken)
