"""Receding horizon: execute the beginning of a chunk, look again, execute the beginning of the next.

With an overlap the next chunk is computed while this one still runs, as a robot must do whose network takes longer
than a control step. With execute = 4 and overlap = 1 (numbers are indices in their chunk, | is a look):

    chunk 0   | 0 1 2 3
    chunk 1         | · 1 2 3 4          · is where chunk 0 ran on while chunk 1 was computed
    chunk 2                 | · 1 2 3 4
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etude.core import ActionChunk, ConfigError, Memory, Observation, Policy


@dataclass
class _Memory:
    inner: Memory
    rest: ActionChunk | None = None  # what still runs of the last chunk, (overlap, A)


class RecedingHorizon:
    """A policy that executes a part of each chunk.

    Args:
        policy: Predicts the chunks, at least `execute + overlap` actions long.
        execute: Actions of each chunk that are executed.
        overlap: The last so many of them run while the next chunk is computed, which is used from this index on.
    """

    def __init__(self, policy: Policy, *, execute: int, overlap: int = 0) -> None:
        if not 0 <= overlap < execute:
            raise ConfigError(f"overlap = {overlap} must be at least 0 and less than execute = {execute}.")
        self._policy, self._execute, self._overlap = policy, execute, overlap

    def begin(self, rng: np.random.Generator) -> Memory:
        """Nothing runs yet."""
        return _Memory(self._policy.begin(rng))

    def act(self, observations: Sequence[Observation], memories: Sequence[_Memory]) -> Sequence[ActionChunk]:
        """What runs from this look to the next: (execute, A), the first time (execute − overlap, A)."""
        chunks = self._policy.act(observations, [memory.inner for memory in memories])
        return [self._advance(memory, chunk) for memory, chunk in zip(memories, chunks, strict=True)]

    def _advance(self, memory: _Memory, chunk: ActionChunk) -> ActionChunk:
        if memory.rest is None:
            now = chunk[: self._execute - self._overlap]
            memory.rest = chunk[self._execute - self._overlap : self._execute]
        else:
            now = np.concatenate([memory.rest, chunk[self._overlap : self._execute]])
            memory.rest = chunk[self._execute : self._execute + self._overlap]
        return now.copy()
