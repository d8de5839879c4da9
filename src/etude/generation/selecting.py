"""Which source demonstration a segment is taken from."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import numpy as np

from etude.core import Segment
from etude.core.se3 import Pose
from etude.generation.source import SourceDemonstration
from etude.generation.transforming import angle_rad, distance_m, same_poses

type Strategy = Literal["random", "nearest-object", "nearest-robot"]
STRATEGIES: tuple[str, ...] = get_args(Strategy.__value__)
"""Any; one whose object lay, or whose gripper was, at the segment's start much as here."""

_NEAREST = 3
"""Among so many nearest ones the choice is open, so that many attempts do not all come from one."""


def select(
    strategy: Strategy,
    starts: Sequence[tuple[SourceDemonstration, int]],
    gripper: str,
    segment: Segment,
    info: Mapping[str, Any],
    rng: np.random.Generator,
) -> SourceDemonstration:
    """The demonstration that a segment is taken from.

    Args:
        strategy: How it is chosen; by its object, a segment that has none is taken from any.
        starts: The demonstrations, each with the frame at which the segment begins in it.
        gripper: Whose segment it is.
        segment: Which.
        info: The environment's, of this moment.
        rng: Of the attempt.
    """
    if strategy == "nearest-object" and segment.object:
        here = info["object_poses"][segment.object]
        far = [object_distance(s.objects[segment.object][t], here, segment.turns) for s, t in starts]
    elif strategy == "nearest-robot":
        here = info["gripper_poses"][gripper]
        far = [robot_distance(s.grippers[gripper][t], here) for s, t in starts]
    else:
        return starts[int(rng.integers(len(starts)))][0]
    return starts[choose(far, rng)][0]


def choose(distances: Sequence[float], rng: np.random.Generator) -> int:
    """One of the nearest, all of them alike likely: its index."""
    return int(rng.choice(np.argsort(distances, kind="stable")[:_NEAREST]))


def object_distance(there: Pose, here: Pose, turns: int = 1) -> float:
    """How differently an object lies: metres plus radians, over the turns that leave it as it is."""
    return distance_m(there, here) + min(angle_rad(there, same) for same in same_poses(here, turns))


def robot_distance(there: Pose, here: Pose) -> float:
    """How differently a gripper stands: metres plus radians."""
    return distance_m(there, here) + angle_rad(there, here)
