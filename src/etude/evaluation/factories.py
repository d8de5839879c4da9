"""Policies that need no training, as factories: the task's own expert, and chance."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etude.core import ActionChunk, ConfigError, Memory, Observation, Policy, Task


@dataclass(frozen=True)
class Expert:
    """The scripted expert of a task, which sees the objects' poses."""

    task: Task
    object_state: bool = True

    def create(self) -> Policy:
        """Make the expert."""
        return self.task.expert()


@dataclass(frozen=True)
class RandomPolicy:
    """Uniform actions: the floor that every policy must rise above.

    Attributes:
        low: Smallest value of each number of an action, A of them.
        high: Largest value of each.
        horizon: Actions per chunk, H.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]
    horizon: int = 8
    object_state: bool = False

    def __post_init__(self) -> None:
        if self.horizon < 1 or not self.low or len(self.low) != len(self.high):
            raise ConfigError(
                f"a random policy needs as many lows as highs and a horizon >= 1, got {len(self.low)}, "
                f"{len(self.high)} and {self.horizon}."
            )

    @staticmethod
    def of(task: Task) -> "RandomPolicy":
        """Over all actions of a task; numbers without bounds stay in [−1, 1]."""
        low, high = task.action_bounds
        return RandomPolicy(
            tuple(np.where(np.isfinite(low), low, -1.0).tolist()),
            tuple(np.where(np.isfinite(high), high, 1.0).tolist()),
        )

    def create(self) -> Policy:
        """Make the policy: it keeps nothing, so it is its own."""
        return self

    def begin(self, rng: np.random.Generator) -> Memory:
        """Remember the episode's stream."""
        return rng

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """Draw one chunk per observation, each (H, A) float32."""
        del observations
        shape = (self.horizon, len(self.low))
        return [rng.uniform(self.low, self.high, shape).astype(np.float32) for rng in memories]
