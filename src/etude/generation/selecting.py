"""Which source demonstration a segment is taken from."""

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.generation.transforming import angle_rad, distance_m, same_poses

type Pose = Float64[NDArray[np.float64], "4 4"]
type Strategy = Literal["random", "nearest-object", "nearest-robot"]
STRATEGIES: tuple[str, ...] = get_args(Strategy.__value__)
"""Any; one whose object lay, or whose gripper was, at the segment's start much as here."""

_NEAREST = 3
"""Among so many nearest ones the choice is open, so that many attempts do not all come from one."""


def choose(distances: Sequence[float], rng: np.random.Generator) -> int:
    """One of the nearest, all of them alike likely: its index."""
    return int(rng.choice(np.argsort(distances, kind="stable")[:_NEAREST]))


def object_distance(there: Pose, here: Pose, turns: int = 1) -> float:
    """How differently an object lies: metres plus radians, over the turns that leave it as it is."""
    return distance_m(there, here) + min(angle_rad(there, same) for same in same_poses(here, turns))


def robot_distance(there: Pose, here: Pose) -> float:
    """How differently a gripper stands: metres plus radians."""
    return distance_m(there, here) + angle_rad(there, here)
