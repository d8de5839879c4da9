"""Policies that look at the last few observations at once, as LeRobot's Diffusion Policy does by default.

They must see every control step, also those between two looks. With observed = 2 and execute = 4 (numbers are control
steps, the network is asked at |; at the beginning the first observation stands for those before it):

    step       0 1 2 3 4 5 6 7 8
    asked      |       |       |
    looks at   0,0     3,4     7,8
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from etude.core import ActionChunk, Memory, Observation, Vector
from etude.policies.execution.chunks import ChunkPolicy


@dataclass
class _Memory:
    inner: np.random.Generator
    seen: deque[Observation]
    left: deque[Vector] = field(default_factory=deque[Vector])  # actions of the last chunk, (A,) each


class LookingBack:
    """A policy that gives one action at a time, so that it is shown every observation.

    Args:
        policy: Predicts chunks from observations in a row.
        observed: How many it looks at.
        execute: Actions of each chunk that are executed.
    """

    def __init__(self, policy: ChunkPolicy, *, observed: int, execute: int) -> None:
        self._policy, self._observed, self._execute = policy, observed, execute

    def begin(self, rng: np.random.Generator) -> Memory:
        """Nothing is seen yet, and nothing runs."""
        return _Memory(self._policy.begin(rng), deque(maxlen=self._observed))

    def act(self, observations: Sequence[Observation], memories: Sequence[_Memory]) -> Sequence[ActionChunk]:
        """The next action of each, (1, A)."""
        for observation, memory in zip(observations, memories, strict=True):
            memory.seen.extend([observation] * (1 if memory.seen else self._observed))
        asking = [memory for memory in memories if not memory.left]
        chunks = self._policy.act_on([tuple(memory.seen) for memory in asking], [memory.inner for memory in asking])
        for memory, chunk in zip(asking, chunks, strict=True):
            memory.left.extend(chunk[: self._execute])
        return [memory.left.popleft()[None] for memory in memories]
