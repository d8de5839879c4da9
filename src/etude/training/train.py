"""The training loop.

A step is a pure function of (seed, step, weights): its batch and its noise come from streams of their own. So a run
that is killed and resumed ends with the same weights, bit for bit (with the same number of threads).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from etude.core import ConfigError, RunExistsError, StageFailedError, derive_seed
from etude.core.files import write_json
from etude.data import WindowBatch
from etude.policies.model import ChunkModel
from etude.policies.threads import torch_threads
from etude.training.batches import Batches, prefetch, to_tensors
from etude.training.config import TrainConfig
from etude.training.precision import resolve_precision
from etude.training.state import Progress, load_state, save_state

type Report = Callable[[int, int, float], None]
"""(steps done, steps in all, training loss of the last one)."""


class DivergedError(StageFailedError):
    """The loss or its gradient stopped being a number.

    Attributes:
        step: The step, the first being 0.
        episodes: (source, episode) pairs of its batch.
    """

    def __init__(self, step: int, what: str, batch: WindowBatch, kept: str) -> None:
        self.step = step
        self.episodes = sorted(set(zip(batch.source.tolist(), batch.episode.tolist(), strict=True)))
        named = ", ".join(f"{source}:{episode}" for source, episode in self.episodes)
        super().__init__(
            f"training stopped at step {step}: {what}. Its batch held the episodes (source:episode) {named}. {kept}"
        )


@dataclass(frozen=True, kw_only=True)
class TrainResult:
    """What training left behind.

    Attributes:
        checkpoint: Folder of the best checkpoint (averaged weights, LeRobot layout).
        steps: Optimiser steps done.
        best_step: Steps done when the best checkpoint was made.
        best_loss: Its validation loss.
        losses: Training loss of every step.
        validations: (steps done, validation loss).
    """

    checkpoint: Path
    steps: int
    best_step: int
    best_loss: float
    losses: tuple[float, ...]
    validations: tuple[tuple[int, float], ...]


def train(
    model: ChunkModel,
    mixture: Batches,
    validation: Sequence[WindowBatch],
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    progress: Report | None = None,
) -> TrainResult:
    """Fit a model to demonstrations, leaving `checkpoint/`, `state/` and `curves.json` in `out`.

    Args:
        model: Fresh, or loaded to start warm; trained in place, its normaliser stays as it is.
        mixture: Makes the batch of every step.
        validation: Batches of held-out episodes, never trained on.
        config: Settings.
        out: Output folder.
        resume: Continue from the state in `out`, if there is one.
        progress: Told after every step.
    Raises:
        RunExistsError: `out` holds a training run and `resume` is false.
        MismatchError: The state to resume from was made with other settings.
        DivergedError: A loss or gradient was not finite; the last good checkpoint is kept.
    """
    if not validation:
        raise ConfigError("training needs at least one validation batch, to choose the best checkpoint by.")
    if not resume and any((out / name).exists() for name in ("checkpoint", "state")):
        raise RunExistsError(out)
    with torch_threads(config.threads):
        run = _Run(model, validation, config, out)
        if resume:
            run.restore()
        for step, batch in prefetch(mixture, range(run.progress.step, config.steps)):
            loss = run.step(step, batch)
            run.keep(step + 1)
            if progress:
                progress(step + 1, config.steps, loss)
        return run.finish()


class _Run:
    """The weights under training, their average, and the optimiser."""

    def __init__(self, model: ChunkModel, validation: Sequence[WindowBatch], config: TrainConfig, out: Path) -> None:
        self.model, self.validation, self.config, self.out = model, validation, config, out
        self.average = model.copy()
        self.average.module.eval()
        self.optimizer = _adamw(model.module, config)
        self.dtype = resolve_precision(config.precision)
        self.progress = Progress()

    def restore(self) -> None:
        """Take up the saved state; without one, start at the beginning."""
        if self._state_file.exists():
            self.progress = load_state(
                self._state_file, self.config, self.model.module, self.average.module, self.optimizer
            )

    def step(self, step: int, batch: WindowBatch) -> float:
        """Take one optimiser step; its loss."""
        if len(batch.state) != self.config.batch_size:
            raise ConfigError(f"batch_size = {self.config.batch_size}, but the mixture gives {len(batch.state)}.")
        module = self.model.module.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate_at(step)
        self.optimizer.zero_grad(set_to_none=True)
        loss = self._loss(self.model, batch, derive_seed(self.config.seed, "train", step))
        value = float(loss.detach())
        if not math.isfinite(value):
            raise DivergedError(step, f"the loss is {value}", batch, self._kept())
        loss.backward()
        norm = float(nn.utils.clip_grad_norm_(module.parameters(), self.config.gradient_clip))
        if not math.isfinite(norm):
            raise DivergedError(step, f"the gradient's norm is {norm}", batch, self._kept())
        self.optimizer.step()
        _average(self.average.module, module, self.config.ema_decay_at(step))
        self.progress.losses.append(value)
        return value

    def keep(self, done: int) -> None:
        """Validate and save, when it is time."""
        self.progress.step = done
        last = done == self.config.steps
        if last or done % self.config.validate_every == 0:
            self._validate(done)
        if last or done % self.config.checkpoint_every == 0:
            save_state(
                self._state_file, self.config, self.progress, self.model.module, self.average.module, self.optimizer
            )

    def finish(self) -> TrainResult:
        """Write the best checkpoint (again, in case the run was killed before its state knew of it) and the curves."""
        self.average.module.load_state_dict(self.progress.best)
        self.average.save(self._checkpoint)
        done = self.progress
        curves = {"training": _smoothed(done.losses), "validation": [list(point) for point in done.validations]}
        write_json(self.out / "curves.json", curves)
        return TrainResult(
            checkpoint=self._checkpoint,
            steps=done.step,
            best_step=done.best_step,
            best_loss=done.best_loss,
            losses=tuple(done.losses),
            validations=tuple(done.validations),
        )

    def _validate(self, done: int) -> None:
        with torch.inference_mode():
            losses = [
                float(self._loss(self.average, batch, derive_seed(self.config.seed, "validate", index)))
                for index, batch in enumerate(self.validation)
            ]
        loss = float(np.mean(losses))
        self.progress.validations.append((done, loss))
        if loss < self.progress.best_loss:
            self.progress.best_loss, self.progress.best_step = loss, done
            self.progress.best = {key: value.clone() for key, value in self.average.module.state_dict().items()}
            self.average.save(self._checkpoint)

    def _loss(self, model: ChunkModel, batch: WindowBatch, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=self.dtype == torch.bfloat16):
            return model.loss(to_tensors(batch), generator)

    def _kept(self) -> str:
        if self.progress.best:
            return f"The best checkpoint so far is kept in '{self._checkpoint}'."
        return "There was no checkpoint yet."

    @property
    def _checkpoint(self) -> Path:
        return self.out / "checkpoint"

    @property
    def _state_file(self) -> Path:
        return self.out / "state" / "training.safetensors"


def _smoothed(losses: Sequence[float], points: int = 200) -> list[list[float]]:
    """At most about `points` pairs (steps done, mean loss of the steps since the last pair)."""
    size = max(1, len(losses) // points)
    return [
        [min(start + size, len(losses)), float(np.mean(losses[start : start + size]))]
        for start in range(0, len(losses), size)
    ]


def _adamw(module: nn.Module, config: TrainConfig) -> torch.optim.AdamW:
    """AdamW that decays matrices and filters, not biases and norms."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


@torch.no_grad()
def _average(average: nn.Module, module: nn.Module, decay: float) -> None:
    """average ← decay · average + (1 − decay) · module, running statistics included; counters are copied."""
    theirs = module.state_dict()
    for key, value in average.state_dict().items():
        if value.is_floating_point():
            value.lerp_(theirs[key], 1 - decay)
        else:
            value.copy_(theirs[key])
