"""How far a training is: what it measured, as curves in a file of its folder, and the best weights so far."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from torch import Tensor

from etude.core import Rate
from etude.core.files import write_json

CURVES = "curves.json"

type Criterion = Literal["validation", "rollout"]


@dataclass(frozen=True, kw_only=True)
class Best:
    """The averaged weights that were best by one criterion.

    Attributes:
        step: Steps done when it was reached.
        loss: Their validation loss.
        weights: What they were, on the processor.
        rate: Their success in rollouts, where that is the criterion.
    """

    step: int
    loss: float
    weights: dict[str, Tensor]
    rate: Rate | None = None

    def beats(self, other: "Best | None") -> bool:
        """Whether it is better: by more success where both have rollouts, else and at equal success by a lower loss."""
        if other is None:
            return self.loss < float("inf") or self.rate is not None
        if self.rate is not None and other.rate is not None and self.rate.value != other.rate.value:
            return self.rate.value > other.rate.value
        return self.loss < other.loss


@dataclass
class History:
    """How far a run is.

    Attributes:
        step: Optimiser steps done.
        losses: Training loss of every step.
        validations: (steps done, validation loss), one for each validation.
        rates: (steps done, success in rollouts), one for each evaluation.
        best: The best weights by each criterion.
    """

    step: int = 0
    losses: list[float] = field(default_factory=list[float])
    validations: list[tuple[int, float]] = field(default_factory=list[tuple[int, float]])
    rates: list[tuple[int, Rate]] = field(default_factory=list[tuple[int, Rate]])
    best: dict[Criterion, Best] = field(default_factory=dict[Criterion, Best])

    def chosen(self) -> Best | None:
        """The best by rollouts where there were any, else the best by validation."""
        return self.best.get("rollout") or self.best.get("validation")


def write_curves(out: Path, history: History) -> None:
    """Write curves.json.

    training: [steps done, mean loss of the steps since the last pair]; validation: [steps done, loss];
    success, where the policy was rolled out: [steps done, successes, episodes, ends of the 95 % interval].
    """
    curves: dict[str, Any] = {
        "training": _smoothed(history.losses),
        "validation": [list(point) for point in history.validations],
    }
    if history.rates:
        curves["success"] = [[step, rate.k, rate.n, rate.low, rate.high] for step, rate in history.rates]
    write_json(out / CURVES, curves)


def _smoothed(losses: Sequence[float], points: int = 200) -> list[list[float]]:
    """At most about `points` pairs (steps done, mean loss of the steps since the last pair)."""
    size = max(1, len(losses) // points)
    return [
        [min(start + size, len(losses)), float(np.mean(losses[start : start + size]))]
        for start in range(0, len(losses), size)
    ]
