"""A model whose loss is the same however its batch is divided, trained by as many processes as start this file.

Run as a script: `torchrun --nproc_per_node 2 steady.py OUT`.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

import torch
from torch import Tensor, nn
from training.demonstrations import CONFIG, HORIZON, Demonstrations

from etude.training.train import TrainResult, train

STEADY = replace(CONFIG, steps=8, batch_size=16)


class SteadyModel:
    """As much of a ChunkModel as training needs, without noise and without statistics of a batch."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module = nn.Sequential(nn.Linear(3, 16), nn.Tanh(), nn.Linear(16, 2 * HORIZON))
        self.policy, self.preprocessor = SimpleNamespace(config=SimpleNamespace()), SimpleNamespace(steps=[])

    def copy(self) -> Self:
        return deepcopy(self)

    def loss(self, batch: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        predicted = self.module(batch["observation.state"]).unflatten(1, (HORIZON, 2))
        return (predicted - batch["action"]).square().mean()

    def conclude(self, training: Iterable[Any], validation: Iterable[Any]) -> None: ...

    def save(self, path: Path) -> None:
        path.mkdir(parents=True, exist_ok=True)
        weights = {key: value.tolist() for key, value in self.module.state_dict().items()}
        (path / "weights.json").write_text(json.dumps(weights))


def fit_steadily(out: Path, **changes: Any) -> TrainResult:
    data = Demonstrations(episodes=30, batch_size=STEADY.batch_size)
    model: Any = SteadyModel()
    return train(model, data, [data.batch(10**6)], replace(STEADY, **changes), out, resume=True)


if __name__ == "__main__":
    fit_steadily(Path(sys.argv[1]))
