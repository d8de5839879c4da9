"""Statistics of features as LeRobot keeps them: per episode, merged into those of a dataset.

Statistics of one feature are a mapping from min, max, mean, std, q01, q10, q50, q90 and q99 to arrays of the feature's
shape ((3, 1, 1) for images, scaled to [0, 1]), and from count to (1,).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Num, UInt8
from numpy.typing import NDArray

type Statistics = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class FeatureStatistics:
    """Statistics of several features, for normalisers.

    Attributes:
        features: LeRobot's name of a feature -> its statistics.
    """

    features: Mapping[str, Statistics]

    def __getitem__(self, feature: str) -> Statistics:
        """Statistics of one feature."""
        return self.features[feature]


def spread(length: int, count: int) -> NDArray[np.int64]:
    """At most `count` of `length` indices, evenly spread from the first to the last."""
    return np.unique(np.linspace(0, length - 1, count).round().astype(np.int64))


_QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}


def vector_statistics(values: Num[NDArray[Any], "T n"]) -> Statistics:
    """Statistics over the frames of one episode, each of shape (n,)."""
    x = values.astype(np.float64)
    quantiles = np.quantile(x, list(_QUANTILES.values()), axis=0)
    return {
        "min": x.min(axis=0),
        "max": x.max(axis=0),
        "mean": x.mean(axis=0),
        "std": x.std(axis=0),
        "count": np.array([len(x)]),
        **dict(zip(_QUANTILES, quantiles, strict=True)),
    }


def image_statistics(images: UInt8[NDArray[np.uint8], "T H W 3"], frames: int = 16) -> Statistics:
    """Statistics of the pixels of at most `frames` images spread evenly, each of shape (3, 1, 1), in [0, 1]."""
    chosen = spread(len(images), frames)
    sample = images[chosen]
    # With 256 values a histogram holds everything, and counting is much cheaper than sorting.
    histogram = np.stack([np.bincount(sample[..., c].ravel(), minlength=256) for c in range(3)])  # (3, 256)
    per_channel = [_histogram_statistics(counts) for counts in histogram]
    merged = {key: np.array([s[key] for s in per_channel]).reshape(3, 1, 1) for key in per_channel[0]}
    return {**merged, "count": np.array([len(chosen)])}


def _histogram_statistics(counts: Num[NDArray[Any], "256"]) -> dict[str, float]:
    levels = np.arange(256) / 255.0
    share = counts / counts.sum()
    present = np.flatnonzero(counts)
    mean = float(share @ levels)
    cumulative = np.cumsum(share)
    return {
        "min": float(levels[present[0]]),
        "max": float(levels[present[-1]]),
        "mean": mean,
        "std": float(np.sqrt(share @ (levels - mean) ** 2)),
        **{key: float(levels[min(255, np.searchsorted(cumulative, q))]) for key, q in _QUANTILES.items()},
    }


def merge_statistics(parts: Sequence[Statistics]) -> Statistics:
    """Statistics of the union of several sets of frames; quantiles are averaged, as LeRobot does."""
    counts = np.stack([part["count"] for part in parts]).astype(np.float64)  # (P, 1)
    shape = (len(parts),) + (1,) * parts[0]["mean"].ndim
    share = (counts / counts.sum()).reshape(shape)
    mean = _weighted(share, [p["mean"] for p in parts])
    spread = [p["std"] ** 2 + (p["mean"] - mean) ** 2 for p in parts]
    return {
        "min": np.min([p["min"] for p in parts], axis=0),
        "max": np.max([p["max"] for p in parts], axis=0),
        "mean": mean,
        "std": np.sqrt(_weighted(share, spread)),
        "count": np.array([int(counts.sum())]),
        **{q: _weighted(share, [p[q] for p in parts]) for q in _QUANTILES if all(q in p for p in parts)},
    }


def _weighted(weights: NDArray[Any], values: Sequence[NDArray[Any]]) -> NDArray[Any]:
    return (weights * np.stack(values)).sum(axis=0)
