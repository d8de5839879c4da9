"""How far two episodes from one state are apart, over time, and where they part: functions of their traces."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ConfigError
from etude.evaluation.lockstep.trace import Trace

type Series = Float64[NDArray[np.float64], " T"]

STATE = "state"
"""Stands for a thing in worlds that tell no poses: the largest difference of any number of the state."""


@dataclass(frozen=True, kw_only=True)
class Tolerance:
    """Up to where two poses count as one.

    Attributes:
        m: Distance, > 0; where a world tells no poses, of the numbers of its state in their own units.
        rad: Angle, > 0.
    """

    m: float = 0.02
    rad: float = 0.2

    def __post_init__(self) -> None:
        for value in (self.m, self.rad):
            if not (value > 0 and isfinite(value)):
                raise ConfigError(f"a tolerance of {value:g} must be a positive number [m or rad].")


@dataclass(frozen=True, kw_only=True)
class Parting:
    """Where a thing leaves the tolerance.

    Attributes:
        thing: The gripper or object, or STATE.
        step: The first moment at which it is outside.
        for_good: The moment since which it stays outside; None if it is inside at the end.
        position_m: Distance at `step`.
        rotation_rad: Angle at `step`.
        during: The sub-task that the demonstration is after then; "" when it has reached all, or there are none.
    """

    thing: str
    step: int
    for_good: int | None
    position_m: float
    rotation_rad: float
    during: str


def position_errors(a: Trace, b: Trace) -> dict[str, Series]:
    """Thing -> its distance in the two episodes [m], while both last; in worlds without poses that of their states."""
    T = min(len(a.states), len(b.states))
    if not a.poses:
        return {STATE: np.abs(a.states[:T].astype(np.float64) - b.states[:T]).max(axis=1, initial=0.0)}
    return {thing: np.linalg.norm(a.poses[thing][:T, :3, 3] - b.poses[thing][:T, :3, 3], axis=1) for thing in a.poses}


def rotation_errors(a: Trace, b: Trace) -> dict[str, Series]:
    """Thing -> the angle between its rotations in the two episodes [rad], while both last."""
    T = min(len(a.states), len(b.states))
    return {thing: _angles(a.poses[thing][:T, :3, :3], b.poses[thing][:T, :3, :3]) for thing in a.poses}


def path_errors(demonstration: Trace, other: Trace) -> dict[str, Series]:
    """Thing -> its distance from the demonstration's path [m], whenever the demonstration was there; all moments.

    Where the plain distance grows and this one does not, the other does the same at another speed.
    """
    return {
        thing: _off_the_path(poses[:, :3, 3], other.poses[thing][:, :3, 3])
        for thing, poses in demonstration.poses.items()
    }


def state_errors(a: Trace, b: Trace, names: Sequence[str]) -> dict[str, Series]:
    """Unit -> the largest difference of the state's numbers in that unit, while both last.

    Args:
        a: One episode.
        b: The other.
        names: Of the S numbers; a name's ending tells its unit ("_m", "_rad"), others are "1".
    """
    T = min(len(a.states), len(b.states))
    differences = np.abs(a.states[:T].astype(np.float64) - b.states[:T])
    units = [_unit(name) for name in names]
    return {
        unit: differences[:, [i for i, own in enumerate(units) if own == unit]].max(axis=1)
        for unit in dict.fromkeys(units)
    }


def action_errors(a: Trace, b: Trace) -> Series:
    """Mean absolute difference of the actions at each step, in their units, while both last."""
    L = min(len(a.actions), len(b.actions))
    if L == 0:
        return np.zeros(0)
    return np.abs(a.actions[:L].astype(np.float64) - b.actions[:L]).mean(axis=1)


def partings(demonstration: Trace, other: Trace, tolerance: Tolerance, subtasks: Sequence[str]) -> list[Parting]:
    """Where each thing that leaves the tolerance does so, the first before the others.

    Args:
        demonstration: The episode to keep to.
        other: The episode that may leave it.
        tolerance: Up to where they are together.
        subtasks: Of the task, in order.
    """
    positions, rotations = position_errors(demonstration, other), rotation_errors(demonstration, other)
    found: list[Parting] = []
    for thing, position_m in positions.items():
        rotation_rad = rotations.get(thing, np.zeros_like(position_m))
        outside = (position_m > tolerance.m) | (rotation_rad > tolerance.rad)
        if outside.any():
            step = int(outside.argmax())
            inside = np.flatnonzero(~outside)
            parting = Parting(
                thing=thing,
                step=step,
                for_good=int(inside[-1]) + 1 if outside[-1] else None,
                position_m=float(position_m[step]),
                rotation_rad=float(rotation_rad[step]),
                during=pursued(demonstration.reached, step, subtasks),
            )
            found.append(parting)
    return sorted(found, key=lambda parting: parting.step)


def pursued(reached: Mapping[str, int | None], step: int, subtasks: Sequence[str]) -> str:
    """The first sub-task that is not reached yet at a step, or ""."""
    for name in subtasks:
        first = reached.get(name)
        if first is None or first > step:
            return name
    return ""


def _off_the_path(path: Float64[NDArray[np.float64], "P 3"], points: Float64[NDArray[np.float64], "T 3"]) -> Series:
    """The distance of each point from the nearest segment of a path [m]."""
    starts, steps = path[:-1], np.diff(path, axis=0)
    squares = np.maximum((steps**2).sum(axis=1), 1e-18)  # a thing at rest makes segments of no length
    along = ((points[:, None] - starts) * steps).sum(axis=2) / squares
    nearest = starts + np.clip(along, 0.0, 1.0)[..., None] * steps
    return np.linalg.norm(points[:, None] - nearest, axis=2).min(axis=1)


def _angles(a: Float64[NDArray[np.float64], "T 3 3"], b: Float64[NDArray[np.float64], "T 3 3"]) -> Series:
    # |A − B| = 2√2 sin(angle / 2) in the Frobenius norm: exact at 0, where an arc cosine of the trace is not.
    chord = np.linalg.norm(a - b, axis=(1, 2)) / (2 * np.sqrt(2))
    return 2 * np.arcsin(np.minimum(chord, 1.0))


def _unit(name: str) -> str:
    ending = name.rpartition("_")[2]
    return ending if "_" in name and ending in ("m", "rad", "deg") else "1"
