"""Scores as shares: what each demonstration weighs among all, and how many the choice then rests on."""

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ConfigError


def relative_scores(scores: Float64[NDArray[np.float64], " N"]) -> Float64[NDArray[np.float64], " N"]:
    """Scores, (N,), in units of their median, for gradients shrink as a policy learns; below 0 they count as 0.

    Where more than half are 0 the mean takes the median's place; where all are, they are all 1.

    Raises:
        ConfigError: A score that is not a number.
    """
    scores = np.asarray(scores, np.float64)
    if not np.isfinite(scores).all():
        raise ConfigError(f"{int((~np.isfinite(scores)).sum())} of {len(scores)} scores are not finite numbers.")
    clipped = np.maximum(scores, 0.0)
    unit = float(np.median(clipped)) or float(clipped.mean()) if len(clipped) else 1.0
    return clipped / unit if unit else np.ones(len(clipped))


def effective_sample_size(probabilities: Float64[NDArray[np.float64], " N"]) -> float:
    """How many demonstrations a choice really rests on: 1 / ΣP², between 1 and N."""
    return float(1 / np.square(probabilities).sum())
