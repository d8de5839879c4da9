"""How long and how fast to train; torch-free, so that a command line may name it."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from etude.core import ConfigError
from etude.policies.placing import Device

type Precision = Literal["auto", "bfloat16", "float32"]
type OptimizerName = Literal["adamw", "adam", "sgd", "adam8bit"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of one training run.

    Attributes:
        steps: Optimiser steps in all.
        batch_size: Windows per step, in all processes together; the mixture must make batches of this size.
        accumulate: Parts that a process computes its share of a batch in, one after another, to save memory.
        optimizer: "adamw", "adam", "sgd" (Nesterov's momentum, 0.9) or "adam8bit" (moments in 8 bits, on a GPU).
        learning_rate: Peak, after warm-up; falls to a hundredth along a cosine.
        weight_decay: Of matrices and filters, not of biases and norms.
        warmup_steps: Steps over which the learning rate rises from zero.
        gradient_clip: Largest norm of a gradient; 0 lets every gradient pass.
        ema_decay: Of the averaged weights, which are the ones that are validated and saved; 0 keeps no average.
        validate_every: Steps between validations; the last step always validates.
        evaluate_every: Steps between rollouts of the policy, where there are any; the last step always evaluates.
        checkpoint_every: Steps between durable states, from which a killed run continues.
        keep_last: How many of the checkpoints that were validated are kept besides the best.
        threads: Threads that torch computes with; the weights' last bits depend on it.
        seed: Decides noise, times and augmentation.
        precision: "auto" is bfloat16 where the processor or GPU computes in it, else float32.
        device: "auto" is a GPU where there is one, else the processor.
    """

    steps: int = 3000
    batch_size: int = 64
    accumulate: int = 1
    optimizer: OptimizerName = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup_steps: int = 100
    gradient_clip: float = 1.0
    ema_decay: float = 0.998
    validate_every: int = 250
    evaluate_every: int = 500
    checkpoint_every: int = 100
    keep_last: int = 0
    threads: int = 2
    seed: int = 0
    precision: Precision = "auto"
    device: Device = "cpu"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "validate_every", "evaluate_every", "checkpoint_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 1.")
        for name in ("warmup_steps", "weight_decay", "seed", "gradient_clip", "keep_last"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 0.")
        if self.threads < 1:
            raise ConfigError(f"threads = {self.threads} must be at least 1.")
        if not 0 < self.learning_rate < math.inf:
            raise ConfigError(f"learning_rate = {self.learning_rate} must be positive.")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"ema_decay = {self.ema_decay} must be in [0, 1).")
        if self.batch_size % self.accumulate:
            raise ConfigError(f"batch_size = {self.batch_size} cannot be computed in {self.accumulate} equal parts.")
        for name, choices in (("precision", Precision), ("device", Device), ("optimizer", OptimizerName)):
            if getattr(self, name) not in get_args(choices.__value__):
                raise ConfigError(f"{name} = '{getattr(self, name)}' must be one of {get_args(choices.__value__)}.")

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, the first being 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def ema_decay_at(self, step: int) -> float:
        """Decay of the averaged weights, smaller at first, so that they soon forget how they were initialised."""
        return min(self.ema_decay, (1 + step) / (10 + step))
