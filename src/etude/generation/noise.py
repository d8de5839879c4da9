"""Noise on what the arms do: it is executed and stored, so that there are corrections to learn from."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import PoseControlled, Target

type Scale = Float64[NDArray[np.float64], " A"]

_PROBE = 0.1  # of half a number's range: enough to see what it moves
_MOVED = 1e-9


class Bounded(PoseControlled, Protocol):
    """A pose-controlled environment whose actions have bounds, as Gymnasium tells them."""

    @property
    def action_space(self) -> Any:
        """With `low` and `high`, (A,) each."""
        ...


def arm_scales(environment: Bounded) -> Mapping[str, Scale]:
    """How large noise of 1 is on every number of an action: half its range, and 0 but for what moves the arm.

    Found by asking what each number alone would change: fingers, and the other arms, are left in peace.

    Returns:
        Gripper -> (A,).
    """
    low, high = (np.asarray(bound, np.float64) for bound in action_bounds(environment))
    bounded = np.isfinite(low) & np.isfinite(high)
    middle = np.where(bounded, (low + high) / 2, 0.0)
    half = np.where(bounded, (high - low) / 2, 1.0)
    before = environment.asked(middle)
    scales = {gripper: np.zeros(len(low)) for gripper in before}
    for i in range(len(low)):
        probe = middle.copy()
        probe[i] += _PROBE * half[i]
        for gripper, target in environment.asked(probe).items():
            if _moves(before[gripper], target):
                scales[gripper][i] = half[i]
    return scales


def action_bounds(environment: Bounded) -> tuple[Scale, Scale]:
    """Smallest and largest action, (A,) each."""
    return environment.action_space.low, environment.action_space.high


def _moves(before: Target, after: Target) -> bool:
    return bool(np.abs(after.pose - before.pose).max() > _MOVED)
