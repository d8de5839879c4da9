"""How long and how fast to train; torch-free, so that a command line may name it."""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from etude.core import ConfigError

type Precision = Literal["auto", "bfloat16", "float32"]


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of one training run.

    Attributes:
        steps: Optimiser steps in all.
        batch_size: Windows per step; the mixture must make batches of this size.
        learning_rate: Peak, after warm-up; falls to a hundredth along a cosine.
        weight_decay: AdamW's.
        warmup_steps: Steps over which the learning rate rises from zero.
        gradient_clip: Largest norm of a gradient.
        ema_decay: Of the averaged weights, which are the ones that are validated and saved.
        validate_every: Steps between validations; the last step always validates.
        checkpoint_every: Steps between durable states, from which a killed run continues.
        threads: Threads that torch computes with; the weights' last bits depend on it.
        seed: Decides noise, times and augmentation.
        precision: "auto" is bfloat16 where the processor computes in it, else float32.
    """

    steps: int = 3000
    batch_size: int = 64
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    warmup_steps: int = 100
    gradient_clip: float = 1.0
    ema_decay: float = 0.998
    validate_every: int = 250
    checkpoint_every: int = 100
    threads: int = 2
    seed: int = 0
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "validate_every", "checkpoint_every", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 1.")
        for name in ("warmup_steps", "weight_decay", "seed"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 0.")
        if not (self.learning_rate > 0 and self.gradient_clip > 0):
            raise ConfigError("learning_rate and gradient_clip must be positive.")
        if not 0 <= self.ema_decay < 1:
            raise ConfigError(f"ema_decay = {self.ema_decay} must be in [0, 1).")
        if self.precision not in get_args(Precision.__value__):
            raise ConfigError(f"precision = '{self.precision}' must be one of {get_args(Precision.__value__)}.")

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step, the first being 0."""
        if step < self.warmup_steps:
            return self.learning_rate * (step + 1) / self.warmup_steps
        done = (step - self.warmup_steps) / max(self.steps - self.warmup_steps, 1)
        return self.learning_rate * (0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * done)))

    def ema_decay_at(self, step: int) -> float:
        """Decay of the averaged weights, smaller at first, so that they soon forget how they were initialised."""
        return min(self.ema_decay, (1 + step) / (10 + step))
