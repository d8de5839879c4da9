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
    """Uniform actions in [−1, 1]: the floor that every policy must rise above.

    Attributes:
        action_size: A.
        horizon: Actions per chunk, H.
    """

    action_size: int
    horizon: int = 8
    object_state: bool = False

    def __post_init__(self) -> None:
        if min(self.action_size, self.horizon) < 1:
            raise ConfigError(f"a random policy needs sizes >= 1, got {self.action_size} and {self.horizon}.")

    def create(self) -> Policy:
        """Make the policy: it keeps nothing, so it is its own."""
        return self

    def begin(self, rng: np.random.Generator) -> Memory:
        """Remember the episode's stream."""
        return rng

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """Draw one chunk per observation, each (H, A) float32."""
        del observations
        return [rng.uniform(-1, 1, (self.horizon, self.action_size)).astype(np.float32) for rng in memories]
