"""What the wrappers around a chunk policy share: each changes chunks by what it remembers of the episode."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import numpy as np

from etude.core import ActionChunk, Memory, Observation, Policy


class Reworking[M](ABC):
    """A policy that changes the chunks of another, one episode at a time.

    Args:
        policy: Predicts the chunks.
        start: What is remembered when an episode begins.
    """

    def __init__(self, policy: Policy, start: Callable[[], M]) -> None:
        self._policy, self._start = policy, start

    def begin(self, rng: np.random.Generator) -> Memory:
        """The memory of the policy within, and one's own."""
        return self._policy.begin(rng), self._start()

    def act(self, observations: Sequence[Observation], memories: Sequence[tuple[Memory, M]]) -> Sequence[ActionChunk]:
        """The chunks of the policy within, reworked."""
        chunks = self._policy.act(observations, [inner for inner, _ in memories])
        return [self.rework(memory, chunk) for (_, memory), chunk in zip(memories, chunks, strict=True)]

    @abstractmethod
    def rework(self, memory: M, chunk: ActionChunk) -> ActionChunk:
        """What becomes of the episode's next chunk, (H, A); the memory is changed, the chunk is not."""
