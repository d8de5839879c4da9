"""The checkpoints that a training keeps in its folder."""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from torch import Tensor, nn

from etude.policies.model import ChunkModel

CHECKPOINT, BY_VALIDATION = "checkpoint", Path("checkpoints") / "by-validation"
_STEP = re.compile(r"step-\d+")


def weights_of(module: nn.Module) -> dict[str, Tensor]:
    """A copy of all parameters and buffers, on the processor."""
    return {key: value.detach().to("cpu", copy=True) for key, value in module.state_dict().items()}


class Checkpoints:
    """Where checkpoints go.

    checkpoint/ holds the best by what was asked; where that is rollouts, checkpoints/by-validation/ holds the best by
    validation; checkpoints/step-… are the last ones.

    Args:
        out: The training's folder.
        model: What is saved, with other weights each time: a model on the processor that nobody else changes.
        conclude: What a policy does once its weights are there, such as filling a memory.
        keep_last: How many of the last ones are kept.
    """

    def __init__(self, out: Path, model: ChunkModel, conclude: Callable[[ChunkModel], None], keep_last: int) -> None:
        self._out, self._model, self._conclude, self._keep_last = out, model, conclude, keep_last

    @property
    def best(self) -> Path:
        """The best by what was asked."""
        return self._out / CHECKPOINT

    @property
    def by_validation(self) -> Path:
        """The best by validation, beside the best by rollouts."""
        return self._out / BY_VALIDATION

    def save(self, path: Path, weights: Mapping[str, Tensor]) -> None:
        """Write a checkpoint in LeRobot's layout."""
        model = self._model.copy()
        model.module.load_state_dict(weights)
        self._conclude(model)
        model.save(path)

    def save_step(self, step: int, weights: Mapping[str, Tensor]) -> None:
        """Keep this checkpoint and the few before it."""
        if self._keep_last == 0:
            return
        folder = self._out / "checkpoints"
        self.save(folder / f"step-{step:07d}", weights)
        for old in sorted(path for path in folder.iterdir() if _STEP.fullmatch(path.name))[: -self._keep_last]:
            shutil.rmtree(old)
