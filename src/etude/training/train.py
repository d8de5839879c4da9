"""The training loop.

A step is a pure function of (seed, step, weights): its batch and its noise come from streams of their own. So a run
that is killed and resumed ends with the same weights, bit for bit (with the same number of threads and processes).
"""

import math
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from etude.core import ConfigError, Rate, RunExistsError, StageFailedError, derive_seed
from etude.data import WindowBatch
from etude.policies.batches import to_tensors
from etude.policies.model import ChunkModel
from etude.policies.placing import place
from etude.policies.threads import torch_threads
from etude.training.batches import Batches, part_of, prefetch
from etude.training.checkpoints import CHECKPOINT, Checkpoints, weights_of
from etude.training.config import TrainConfig
from etude.training.history import Best, History, write_curves
from etude.training.interrupts import stop_at_once, wait_for_the_step
from etude.training.optimisers import average, make_optimiser
from etude.training.placing import computing_in, resolve_precision
from etude.training.state import load_state, save_state
from etude.training.team import Team, gather_team

type Report = Callable[[int, int, float], None]
"""(steps done, steps in all, training loss of the last one)."""
type Evaluate = Callable[[Path], Rate]
"""Checkpoint folder -> its success in rollouts; the same whenever it is asked."""
type Track = Callable[[int, Mapping[str, float]], None]
"""(steps done, {what was measured: its value})."""


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
        best_rate: Its success in rollouts, where they chose it.
        losses: Training loss of every step.
        validations: (steps done, validation loss).
        rates: (steps done, success in rollouts).
    """

    checkpoint: Path
    steps: int
    best_step: int
    best_loss: float
    losses: tuple[float, ...]
    validations: tuple[tuple[int, float], ...]
    best_rate: Rate | None = None
    rates: tuple[tuple[int, Rate], ...] = ()


def train(
    model: ChunkModel,
    mixture: Batches,
    validation: Sequence[WindowBatch],
    config: TrainConfig,
    out: Path,
    *,
    resume: bool = False,
    progress: Report | None = None,
    evaluate: Evaluate | None = None,
    track: Track | None = None,
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
        evaluate: Rolls a checkpoint out; where it is given, the best by its rate is kept in `checkpoint/`, and the
            best by validation in `checkpoints/by-validation/`.
        track: Told what is measured, as it is.
    Raises:
        RunExistsError: `out` holds a training run and `resume` is false.
        MismatchError: The state to resume from was made with other settings.
        DivergedError: A loss or gradient was not finite; the last good checkpoint is kept.
        KeyboardInterrupt: Ctrl-C or SIGTERM, after the step under way; resuming goes on behind it.
    """
    if not validation:
        raise ConfigError("training needs at least one validation batch, to choose the best checkpoint by.")
    if not resume and any((out / name).exists() for name in (CHECKPOINT, "state")):
        raise RunExistsError(out)
    team = gather_team(config.device)
    with torch_threads(config.threads), wait_for_the_step() as asked_to_stop:
        run = _Run(model, mixture, validation, config, out, team, evaluate=evaluate, track=track)
        if resume:
            run.restore()
        for step, batch in prefetch(mixture, range(run.history.step, config.steps)):
            loss = run.step(step, batch, stop=asked_to_stop())
            run.keep(step + 1)
            if progress:
                progress(step + 1, config.steps, loss)
            if run.stopped:
                run.save()
                raise KeyboardInterrupt
        result = run.finish()
    team.leave()
    return result


class _Run:
    """The weights under training, their average, and the optimiser."""

    def __init__(
        self,
        model: ChunkModel,
        mixture: Batches,
        validation: Sequence[WindowBatch],
        config: TrainConfig,
        out: Path,
        team: Team,
        *,
        evaluate: Evaluate | None,
        track: Track | None,
    ) -> None:
        self.model, self.mixture, self.validation = model, mixture, validation
        self.config, self.out, self.team = config, out, team
        self.evaluate, self.track = evaluate, track or _nobody
        self.parts = team.size * config.accumulate
        if config.batch_size % self.parts:
            raise ConfigError(
                f"batch_size = {config.batch_size} cannot be computed in {self.parts} equal parts "
                f"(processes {team.size} × accumulate {config.accumulate})."
            )
        self.checkpoints = Checkpoints(out, model.copy(), self._conclude, config.keep_last)
        place(model, team.device)
        self.average = model.copy()
        self.average.module.eval()
        self.optimizer = make_optimiser(model.module, config)
        self.dtype = resolve_precision(config.precision, team.device.type)
        self.history, self.stopped = History(), False

    def restore(self) -> None:
        """Take up the saved state; without one, start at the beginning."""
        if self._state_file.exists():
            self.history = load_state(
                self._state_file, self.config, self.model.module, self.average.module, self.optimizer
            )

    def step(self, step: int, batch: WindowBatch, *, stop: bool) -> float:
        """Take one optimiser step, the last one if any process is to stop; its loss."""
        if len(batch.state) != self.config.batch_size:
            raise ConfigError(f"batch_size = {self.config.batch_size}, but the mixture gives {len(batch.state)}.")
        module = self.model.module.train()
        rate = self.config.learning_rate_at(step)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        loss = self._gradient(step, batch, stop=stop)
        if not math.isfinite(loss):
            raise DivergedError(step, f"the loss is {loss}", batch, self._kept())
        norm = float(nn.utils.clip_grad_norm_(module.parameters(), self.config.gradient_clip or math.inf))
        if not math.isfinite(norm):
            raise DivergedError(step, f"the gradient's norm is {norm}", batch, self._kept())
        self.optimizer.step()
        average(self.average.module, module, self.config.ema_decay_at(step))
        self.history.losses.append(loss)
        self.track(step + 1, {"training loss": loss, "learning rate": rate})
        return loss

    def keep(self, done: int) -> None:
        """Validate, evaluate and save, when it is time."""
        self.history.step = done
        if self.team.rank > 0:
            return
        last = done == self.config.steps
        rolled_out = self.evaluate is not None and (last or done % self.config.evaluate_every == 0)
        validated = last or rolled_out or done % self.config.validate_every == 0
        if validated:
            self._validate(done, rolled_out=rolled_out)
        if last or rolled_out or done % self.config.checkpoint_every == 0:
            self.save()
        if validated:
            write_curves(self.out, self.history)

    def save(self) -> None:
        """Write what resuming needs."""
        if self.team.rank == 0:
            modules = self.model.module, self.average.module
            save_state(self._state_file, self.config, self.history, *modules, self.optimizer)

    def finish(self) -> TrainResult:
        """Write the best checkpoint (again, in case the run was killed before its state knew of it) and the curves."""
        done = self.history
        best = done.chosen()
        if self.team.rank == 0:
            assert best is not None  # the last step validates, and a loss that is not finite has stopped the run
            self.checkpoints.save(self.checkpoints.best, best.weights)
            write_curves(self.out, done)
        return TrainResult(
            checkpoint=self.checkpoints.best,
            steps=done.step,
            best_step=best.step if best else 0,
            best_loss=best.loss if best else math.nan,
            best_rate=best.rate if best else None,
            losses=tuple(done.losses),
            validations=tuple(done.validations),
            rates=tuple(done.rates),
        )

    def _gradient(self, step: int, batch: WindowBatch, *, stop: bool) -> float:
        """Leave the gradient of a batch in the parameters; the mean loss of its parts."""
        self.optimizer.zero_grad(set_to_none=True)
        total = torch.zeros((), device=self.team.device)
        stopped = torch.full_like(total, stop)
        for index in range(self.team.rank, self.parts, self.team.size):
            key = (index,) if self.parts > 1 else ()
            seed = derive_seed(self.config.seed, "train", step, *key)
            loss = self._loss(self.model, part_of(batch, index, self.parts), seed) / self.config.accumulate
            loss.backward()
            total += loss.detach()
        gradients = [p.grad for p in self.model.module.parameters() if p.grad is not None]
        self.team.average([total, stopped, *gradients])
        self.stopped = bool(stopped)
        return float(total)

    def _validate(self, done: int, *, rolled_out: bool) -> None:
        """Measure the averaged weights, and keep them where they are the best."""
        with torch.inference_mode():
            losses = [
                float(self._loss(self.average, batch, derive_seed(self.config.seed, "validate", index)))
                for index, batch in enumerate(self.validation)
            ]
        now = Best(step=done, loss=float(np.mean(losses)), weights=weights_of(self.average.module))
        self.history.validations.append((done, now.loss))
        self.track(done, {"validation loss": now.loss})
        self.checkpoints.save_step(done, now.weights)
        if now.beats(self.history.best.get("validation")):
            self.history.best["validation"] = now
            self.checkpoints.save(
                self.checkpoints.by_validation if self.evaluate else self.checkpoints.best, now.weights
            )
        if rolled_out:
            self._roll_out(now)

    def _roll_out(self, now: Best) -> None:
        """Measure the success of the averaged weights, and keep them where they are the best."""
        assert self.evaluate is not None
        # A name of its own for each: who runs the episodes may remember what it loaded from where.
        candidate = self.out / "state" / f"candidate-{now.step}"
        self.checkpoints.save(candidate, now.weights)
        with stop_at_once():
            rate = self.evaluate(candidate)
        shutil.rmtree(candidate)
        self.history.rates.append((now.step, rate))
        self.track(now.step, {"success": rate.value, "success, low": rate.low, "success, high": rate.high})
        rolled = Best(step=now.step, loss=now.loss, weights=now.weights, rate=rate)
        if rolled.beats(self.history.best.get("rollout")):
            self.history.best["rollout"] = rolled
            self.checkpoints.save(self.checkpoints.best, now.weights)

    def _conclude(self, model: ChunkModel) -> None:
        device = self.team.device
        place(model, device)
        model.conclude(
            (to_tensors(batch, device) for batch in self.mixture.sweep()),
            (to_tensors(batch, device) for batch in self.validation),
        )
        place(model, torch.device("cpu"))

    def _loss(self, model: ChunkModel, batch: WindowBatch, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        with computing_in(self.dtype, self.team.device):
            return model.loss(to_tensors(batch, self.team.device), generator)

    def _kept(self) -> str:
        if self.history.best:
            return f"The best checkpoint so far is kept in '{self.checkpoints.best}'."
        return "There was no checkpoint yet."

    @property
    def _state_file(self) -> Path:
        return self.out / "state" / "training.safetensors"


def _nobody(_step: int, _measured: Mapping[str, float]) -> None: ...
