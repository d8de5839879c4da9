"""Temporal ensembling: every action is an average over the chunks that predicted it.

    action(t) = Σ_i w_i · chunk_i(t) / Σ_i w_i        w_i = exp(−m · i),   i = 0 the oldest chunk that reaches t

Source: Zhao et al. 2023, "Learning fine-grained bimanual manipulation with low-cost hardware", Sec. IV-B, who look at
every step. Here the policy may look less often; then fewer chunks meet at a step.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from etude.core import ActionChunk, Policy
from etude.policies.execution.reworking import Reworking


@dataclass
class _Memory:
    looks: int = 0
    now: int = 0  # control step of the last look
    chunks: list[tuple[int, ActionChunk]] = field(default_factory=list[tuple[int, ActionChunk]])  # (step, chunk)


class TemporalEnsemble(Reworking[_Memory]):
    """A policy whose chunks agree with its earlier ones.

    Args:
        policy: Predicts chunks.
        decay: m: 0 weighs all chunks alike, more trusts the older ones, less than 0 the newer ones.
        every: Control steps between looks.
        first: Control steps between the first look and the second; by default the same.
    """

    def __init__(self, policy: Policy, *, decay: float, every: int, first: int | None = None) -> None:
        super().__init__(policy, _Memory)
        self._decay, self._every = decay, every
        self._first = every if first is None else first

    def rework(self, memory: _Memory, chunk: ActionChunk) -> ActionChunk:
        """The chunk averaged with the earlier ones, (H, A)."""
        memory.now += 0 if memory.looks == 0 else self._first if memory.looks == 1 else self._every
        memory.looks += 1
        reaching = [(start, old) for start, old in memory.chunks if start + len(old) > memory.now]
        memory.chunks = [*reaching, (memory.now, chunk)]
        return ensemble([old[memory.now - start :] for start, old in memory.chunks], self._decay)


def ensemble(predictions: Sequence[ActionChunk], decay: float) -> ActionChunk:
    """Average what several chunks say about the steps from now on.

    Args:
        predictions: Oldest first, (h, A) each; the last is the longest.
        decay: m.
    Returns:
        As long as the last, (H, A) float32.
    """
    total = np.zeros(predictions[-1].shape)
    weight, older = np.zeros(len(total)), np.zeros(len(total))
    for prediction in predictions:
        reach = len(prediction)
        share = np.exp(-decay * older[:reach])
        total[:reach] += share[:, None] * prediction
        weight[:reach] += share
        older[:reach] += 1
    return (total / weight[:, None]).astype(np.float32)
