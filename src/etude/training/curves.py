"""Curves as numbers in a file of the run's folder; nothing else is needed to look at them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from etude.core.files import write_json
from etude.training.progress import Progress

CURVES = "curves.json"


def write_curves(out: Path, progress: Progress) -> None:
    """Write curves.json.

    training: [steps done, mean loss of the steps since the last pair]; validation: [steps done, loss];
    success, where the policy was rolled out: [steps done, successes, episodes, ends of the 95 % interval].
    """
    curves: dict[str, Any] = {
        "training": _smoothed(progress.losses),
        "validation": [list(point) for point in progress.validations],
    }
    if progress.rates:
        curves["success"] = [[step, rate.k, rate.n, rate.low, rate.high] for step, rate in progress.rates]
    write_json(out / CURVES, curves)


def _smoothed(losses: Sequence[float], points: int = 200) -> list[list[float]]:
    """At most about `points` pairs (steps done, mean loss of the steps since the last pair)."""
    size = max(1, len(losses) // points)
    return [
        [min(start + size, len(losses)), float(np.mean(losses[start : start + size]))]
        for start in range(0, len(losses), size)
    ]
