"""Whether statistics that a dataset keeps are those of its numbers."""

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray

from etude.data.statistics import Statistics

OFF = 0.02
"""Share of the standard deviation that a statistic may be off; float32 sums and running updates are off by less."""


def compare_statistics(stored: Statistics, values: Float[NDArray[np.float64], "T n"]) -> str:
    """What differs between stored statistics and those of some numbers, in words; "" where nothing does.

    Quantiles are not compared: datasets keep estimates of them, each in its own way.
    """
    std = values.std(axis=0)
    found = {"min": values.min(axis=0), "max": values.max(axis=0), "mean": values.mean(axis=0), "std": std}
    slack = OFF * std + 1e-4 * np.abs(found["mean"]) + 1e-6
    for name, true in found.items():
        kept = np.asarray(stored.get(name, true), np.float64).ravel()
        if kept.shape != true.shape:
            return f"{name} has {kept.size} numbers, the data {true.size}"
        off = ~(np.abs(kept - true) <= slack)
        if off.any():
            j = int(np.argmax(np.abs(np.nan_to_num(kept, nan=np.inf) - true) / slack))
            return f"{name} of number {j} is {true[j]:.4g}, and {kept[j]:.4g} is kept"
    count = int(np.asarray(stored.get("count", len(values))).ravel()[0])
    return "" if count == len(values) else f"they are of {count} frames, and there are {len(values)}"
