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
    """Pick mean and deviation of state and action; images get fixed ones, which no data can spoil.

    Raises:
        MismatchError: A feature or its mean or deviation is missing.
        ShapeError: A statistic has another size than its feature.
    """
    picked: dict[str, dict[str, Any]] = {}
    for key, size in ((STATE_KEY, features.state_size), (ACTION_KEY, features.action_size)):
        values = statistics.get(key, {})
        for name in ("mean", "std"):
            if name not in values:
                raise MismatchError(f"the statistics lack '{name}' of '{key}'; they have {', '.join(statistics)}.")
            tensor = torch.as_tensor(values[name], dtype=torch.float32)
            if tensor.shape != (size,) or not bool(tensor.isfinite().all()):
                raise ShapeError(f"{name} of '{key}'", f"({size},) finite", f"{tuple(tensor.shape)} {tensor.tolist()}")
            picked.setdefault(key, {})[name] = tensor
    for camera in features.cameras:
        picked[IMAGE_PREFIX + camera] = {"mean": torch.full((3, 1, 1), 0.5), "std": torch.full((3, 1, 1), 0.25)}
    return with_floor(picked)
