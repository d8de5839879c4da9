"""Action smoothing: a first-order low-pass between consecutive actions.

    smooth(t) = share · smooth(t − 1) + (1 − share) · action(t)

It takes the jerk out of the seams between chunks, at a price: whatever moves at constant speed lags
share / (1 − share) control steps behind (0.3: 0.4 steps; 0.8: 4 steps). All numbers of an action are treated alike,
grippers too, so they must be targets (positions), not switches.
"""

from dataclasses import dataclass

import numpy as np

from etude.core import ActionChunk, ConfigError, Policy, Vector
from etude.policies.execution.reworking import Reworking


@dataclass
class _Memory:
    last: Vector | None = None  # (A,), the last action that was given


class Smoothing(Reworking[_Memory]):
    """A policy whose actions do not jump. It must be the outermost: what it is given is what is executed.

    Args:
        policy: Gives the actions.
        share: How much of the last action stays, in [0, 1).
    """

    def __init__(self, policy: Policy, *, share: float) -> None:
        if not 0 <= share < 1:
            raise ConfigError(f"smooth = {share:g} must be in [0, 1): 0 changes nothing, 0.9 is very slow.")
        super().__init__(policy, _Memory)
        self._share = share

    def rework(self, memory: _Memory, chunk: ActionChunk) -> ActionChunk:
        """The same actions, smoothed."""
        smoothed: list[Vector] = []
        for action in chunk:
            memory.last = low_pass(memory.last, action, self._share)
            smoothed.append(memory.last)
        return np.stack(smoothed)


def low_pass(last: Vector | None, action: Vector, share: float) -> Vector:
    """One step of the filter, (A,) float32."""
    return np.asarray(action if last is None else share * last + (1 - share) * action, np.float32)
