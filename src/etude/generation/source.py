"""Source demonstrations: what is kept of a demonstration for new ones to be made from it."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float32, Float64
from numpy.typing import NDArray

from etude.core.se3 import Poses
from etude.generation.stitching import Motion

type Signal = Bool[NDArray[np.bool_], " T"]


@dataclass(frozen=True, kw_only=True)
class SourceDemonstration:
    """A demonstration frame by frame; everything at a frame is of the moment before its action.

    Attributes:
        episode: Its index in the dataset.
        actions: As executed, (T, A).
        objects: Object -> X_world_object, (T, 4, 4).
        grippers: Gripper -> X_world_gripper, (T, 4, 4).
        targets: Gripper -> the pose that the action asked for, (T, 4, 4).
        commands: Gripper -> the fingers' command in the action's own units, (T,).
        signals: Sub-task -> whether it was done, (T,).
    """

    episode: int
    actions: Float32[NDArray[np.float32], "T A"]
    objects: Mapping[str, Poses]
    grippers: Mapping[str, Poses]
    targets: Mapping[str, Poses]
    commands: Mapping[str, Float64[NDArray[np.float64], " T"]]
    signals: Mapping[str, Signal]

    @property
    def length(self) -> int:
        """Number of frames, T."""
        return len(self.actions)

    @cached_property
    def motions(self) -> Mapping[str, Motion]:
        """Gripper -> how it moved; the same for every attempt, and slow to tell."""
        return {gripper: Motion.of(path) for gripper, path in self.grippers.items()}

    def rise(self, signal: str) -> int | None:
        """The first frame at which a sub-task is done; None where it never is."""
        done = self.signals[signal]
        return int(np.argmax(done)) if done.any() else None
