"""What makes observations and actions of order one, the same for every policy."""

from collections.abc import Mapping
from typing import Any

import torch

from etude.core import MismatchError, ShapeError
from etude.policies.features import ACTION_KEY, IMAGE_PREFIX, STATE_KEY, Features

STD_FLOOR = 1e-2
"""No deviation is taken for smaller than this (in the feature's own unit): what hardly moved in the demonstrations
must not be blown up when it does move."""

NORMALISATION = {"VISUAL": "IDENTITY", "STATE": "MEAN_STD", "ACTION": "MEAN_STD"}
"""Kind of feature -> LeRobot's name for how Etude's own policies normalise it. Images are scaled inside the network, so
that their statistics never matter."""

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


def for_features(
    statistics: Statistics, features: Features, modes: Mapping[str, str] | None = None
) -> dict[str, dict[str, Any]]:
    """Pick the statistics of state and action; images get fixed ones, which no data can spoil.

    Args:
        statistics: Of the data.
        features: What the policy sees and does.
        modes: "STATE" and "ACTION" -> LeRobot's name for how they are normalised; by default "MEAN_STD".
    Raises:
        MismatchError: A feature is missing, or what it is normalised by.
        ShapeError: A statistic has another size than its feature, or is not finite.
    """
    sizes = {"STATE": (STATE_KEY, features.state_size), "ACTION": (ACTION_KEY, features.action_size)}
    picked = {
        key: _vectors(key, size, statistics, _NEEDED[(modes or {}).get(kind, "MEAN_STD")])
        for kind, (key, size) in sizes.items()
        if size
    }
    for camera in features.cameras:
        picked[IMAGE_PREFIX + camera] = {name: torch.full((3, 1, 1), value) for name, value in _PIXELS.items()}
    return with_floor(picked)


_PIXELS = {"mean": 0.5, "std": 0.25, "min": 0.0, "max": 1.0, "q01": 0.0, "q10": 0.1, "q90": 0.9, "q99": 1.0}
_NEEDED = {
    "MEAN_STD": ("mean", "std"),
    "MIN_MAX": ("min", "max"),
    "QUANTILES": ("q01", "q99"),
    "QUANTILE10": ("q10", "q90"),
    "IDENTITY": (),
}


def _vectors(key: str, size: int, statistics: Statistics, needed: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """All statistics of a feature that LeRobot may scale by, those it will scale by being required."""
    values = statistics.get(key, {})
    missing = [name for name in needed if name not in values]
    if missing:
        raise MismatchError(
            f"the statistics lack '{missing[0]}' of '{key}'; they have {', '.join(values) or ', '.join(statistics)}."
        )
    picked: dict[str, torch.Tensor] = {}
    for name in sorted(_PIXELS.keys() & values.keys()):
        tensor = torch.as_tensor(values[name], dtype=torch.float32)
        if tensor.shape != (size,) or not bool(tensor.isfinite().all()):
            raise ShapeError(f"{name} of '{key}'", f"({size},) finite", f"{tuple(tensor.shape)} {tensor.tolist()}")
        picked[name] = tensor
    return picked
