"""What a list of outcomes says: rates with intervals, overall, by sub-task and by failure."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etude.core import Outcome, Rate, cvar

TAIL = 0.1
"""Share of the cases, the worst ones, that `Summary.tail_progress` averages."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The numbers of one evaluation.

    Attributes:
        success: Share of cases that succeeded.
        subtasks: Sub-task -> share of cases that ever reached it.
        stages: Last stage -> share of cases that ended in it ("" before the first).
        failure_modes: Failure mode -> share of all cases.
        mean_progress: In [0, 1].
        tail_progress: Mean progress of the worst tenth of the cases (CVaR).
        mean_length: Control steps.
        mean_return: Sum of rewards.
        mean_smoothness: Spectral arc length, <= 0, nearer 0 the smoother; None where it was never measured.
    """

    success: Rate
    subtasks: dict[str, Rate]
    stages: dict[str, Rate]
    failure_modes: dict[str, Rate]
    mean_progress: float
    tail_progress: float
    mean_length: float
    mean_return: float
    mean_smoothness: float | None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values: every rate as {"k", "n", "low", "high"}."""
        groups = {name: getattr(self, name) for name in ("subtasks", "stages", "failure_modes")}
        return {
            "success": self.success.to_json(),
            **{name: {key: rate.to_json() for key, rate in rates.items()} for name, rates in groups.items()},
            "mean_progress": self.mean_progress,
            "tail_progress": self.tail_progress,
            "mean_length": self.mean_length,
            "mean_return": self.mean_return,
            "mean_smoothness": self.mean_smoothness,
        }


def summarise(outcomes: Sequence[Outcome]) -> Summary:
    """Count. Without outcomes the rates are 0/0 and the means NaN."""
    n = len(outcomes)
    names = sorted({name for o in outcomes for name in o.subtasks})
    progress = np.array([o.progress for o in outcomes])
    smoothness = [o.smoothness for o in outcomes if o.smoothness is not None]
    return Summary(
        success=Rate.of([o.success for o in outcomes]),
        subtasks={name: Rate.of([o.subtasks.get(name, False) for o in outcomes]) for name in names},
        stages=_shares(outcomes, lambda o: o.stage),
        failure_modes=_shares([o for o in outcomes if not o.success], lambda o: o.failure_mode, n),
        mean_progress=float(progress.mean()) if n else float("nan"),
        tail_progress=cvar(progress, TAIL) if n else float("nan"),
        mean_length=float(np.mean([o.length for o in outcomes])) if n else float("nan"),
        mean_return=float(np.mean([o.total_reward for o in outcomes])) if n else float("nan"),
        mean_smoothness=float(np.mean(smoothness)) if smoothness else None,
    )


def _shares(outcomes: Sequence[Outcome], key: Callable[[Outcome], str], n: int | None = None) -> dict[str, Rate]:
    counts = Counter(key(outcome) for outcome in outcomes)
    return {name: Rate(counts[name], len(outcomes) if n is None else n) for name in sorted(counts)}
