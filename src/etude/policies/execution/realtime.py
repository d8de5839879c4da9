"""Asynchronous execution in real time: one robot, one action a control step, the network in a thread of its own.

The actions are exactly those of RecedingHorizon with the same overlap, as long as the network answers in time; when it
does not, the robot waits for it, and `late_s` says how long.
"""

import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Self

import numpy as np

from etude.core import ActionChunk, ConfigError, Observation, Policy, Vector
from etude.policies.execution.smoothing import low_pass


class BackgroundInference:
    """Actions for one episode; a context manager, whose thread ends with it.

    Args:
        policy: Predicts chunks of at least `execute + overlap` actions.
        rng: The episode's randomness.
        execute: Actions of each chunk that are executed.
        overlap: The last so many of them run while the next chunk is computed.
        smooth: Share of the last action that stays; see `etude.policies.execution.smoothing`.
    """

    def __init__(
        self, policy: Policy, rng: np.random.Generator, *, execute: int, overlap: int, smooth: float = 0.0
    ) -> None:
        if not 0 <= overlap < execute:
            raise ConfigError(f"overlap = {overlap} must be at least 0 and less than execute = {execute}.")
        self._policy, self._memory = policy, policy.begin(rng)
        self._execute, self._overlap, self._smooth = execute, overlap, smooth
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="inference")
        self._next: Future[ActionChunk] | None = None
        self._chunk: ActionChunk | None = None
        self._index, self._end = 0, execute
        self._last: Vector | None = None
        self.late_s = 0.0
        """How long the robot has waited for the network, after the first chunk."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=True, cancel_futures=True)

    def action(self, observe: Callable[[], Observation]) -> Vector:
        """The action of this control step, (A,).

        Args:
            observe: Gives the present observation; called only when the policy looks.
        """
        if self._chunk is None:
            self._chunk = self._predict(observe())
        if self._next is None and self._index == self._end - self._overlap:
            self._next = self._thread.submit(self._predict, observe())
        if self._index == self._end:
            assert self._next is not None
            begun = time.monotonic()
            self._chunk, self._next = self._next.result(), None
            self.late_s += time.monotonic() - begun
            self._index, self._end = self._overlap, self._overlap + self._execute
        self._last = low_pass(self._last, self._chunk[self._index], self._smooth)
        self._index += 1
        return self._last

    def _predict(self, observation: Observation) -> ActionChunk:
        (chunk,) = self._policy.act([observation], [self._memory])
        return chunk
