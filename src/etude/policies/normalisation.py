"""What makes observations and actions of order one, the same for every policy."""

from collections.abc import Mapping
from typing import Any

import torch

from etude.core import MismatchError, ShapeError
from etude.policies.features import ACTION_KEY, IMAGE_PREFIX, STATE_KEY, Features

STD_FLOOR = 1e-2
"""No deviation is taken for smaller than this (in the feature's own unit): what hardly moved in the demonstrations
must not be blown up when it does move."""

type Statistics = Mapping[str, Mapping[str, Any]]
"""Feature by LeRobot's name -> {"mean", "std", …}, each of the feature's size."""


def with_floor(statistics: Statistics) -> dict[str, dict[str, Any]]:
    """Copy statistics, with no deviation below STD_FLOOR."""
    return {
        key: {name: _std_floor(value) if name == "std" else value for name, value in values.items()}
        for key, values in statistics.items()
    }


def _std_floor(std: Any) -> torch.Tensor:
    return torch.as_tensor(std, dtype=torch.float32).clamp(min=STD_FLOOR)


def for_features(statistics: Statistics, features: Features) -> dict[str, dict[str, Any]]:
    """Pick the statistics of state and action; images get fixed ones, which no data can spoil.

    Raises:
        MismatchError: A feature or its mean or deviation is missing.
        ShapeError: A statistic has another size than its feature, or is not finite.
    """
    sizes = {STATE_KEY: features.state_size, ACTION_KEY: features.action_size}
    picked = {key: _vectors(key, size, statistics) for key, size in sizes.items() if size}
    for camera in features.cameras:
        picked[IMAGE_PREFIX + camera] = {name: torch.full((3, 1, 1), value) for name, value in _PIXELS.items()}
    return with_floor(picked)


_PIXELS = {"mean": 0.5, "std": 0.25, "min": 0.0, "max": 1.0, "q01": 0.0, "q10": 0.1, "q90": 0.9, "q99": 1.0}
_NEEDED = ("mean", "std")
_RANGES = ("min", "max", "q01", "q10", "q90", "q99")
"""Taken where they are known: some of LeRobot's policies scale by them."""


def _vectors(key: str, size: int, statistics: Statistics) -> dict[str, torch.Tensor]:
    values = statistics.get(key, {})
    missing = [name for name in _NEEDED if name not in values]
    if missing:
        raise MismatchError(f"the statistics lack '{missing[0]}' of '{key}'; they have {', '.join(statistics)}.")
    picked: dict[str, torch.Tensor] = {}
    for name in (*_NEEDED, *_RANGES):
        if name in values:
            tensor = torch.as_tensor(values[name], dtype=torch.float32)
            if tensor.shape != (size,) or not bool(tensor.isfinite().all()):
                raise ShapeError(f"{name} of '{key}'", f"({size},) finite", f"{tuple(tensor.shape)} {tensor.tolist()}")
            picked[name] = tensor
    return picked
