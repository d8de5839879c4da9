"""What passes between an environment and a policy, and what is left when an episode is over."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, UInt8
from numpy.typing import NDArray

from etude.core.space import Perturbation

type Image = UInt8[NDArray[np.uint8], "height width 3"]
type Vector = Float[NDArray[np.floating], " size"]
type ActionChunk = Float[NDArray[np.floating], "H A"]


@dataclass(frozen=True, kw_only=True)
class Observation:
    """What a policy sees at one control step.

    Attributes:
        images: Camera name -> (H, W, 3) uint8. May draw an image when it is asked for, and only until the next step.
        state: Proprioception, (S,) float32.
        task: The task in words.
        object_state: Poses of the objects, (E,) float32, where the environment declares it; else None.
    """

    images: Mapping[str, Image]
    state: Vector
    task: str = ""
    object_state: Vector | None = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """One control step as observers see it, just before its action is executed.

    Attributes:
        index: 0 for the first step.
        observation: What the action answers; its images may still be drawn.
        action: About to be executed, (A,) float32.
        info: The environment's info for the same moment (progress, stage, subtasks, object_poses, …).
    """

    index: int
    observation: Observation
    action: Vector
    info: Mapping[str, Any]


@dataclass(frozen=True)
class Case:
    """A perturbation with a seed: together they fix an episode's initial world and the policy's noise."""

    theta: Perturbation
    seed: int

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"theta": dict(self.theta.values), "seed": self.seed}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Case":
        """The inverse of to_json."""
        return Case(Perturbation(record["theta"]), int(record["seed"]))


INVALID_ACTION = "invalid_action"
"""Failure mode of an episode whose policy gave an action that is not finite, or of another shape."""

CRASHED = "crashed"
"""Failure mode of a case that ended its worker process again and again."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of one episode.

    Attributes:
        case: The (θ, seed) it was run at.
        success: Whether the task was done when the episode ended.
        progress: Staged, continuous, in [0, 1]; 1 exactly when successful.
        stage: The last sub-task reached, "" before the first.
        failure_mode: Name of the way it failed, "" when successful.
        length: Control steps taken.
        total_reward: Sum of rewards (the return).
        subtasks: Sub-task -> whether it was ever reached.
        smoothness: Spectral arc length of the motion, <= 0, nearer 0 the smoother; None where it was not measured.
    """

    case: Case
    success: bool
    progress: float
    stage: str
    failure_mode: str
    length: int
    total_reward: float
    subtasks: Mapping[str, bool] = field(default_factory=dict[str, bool])
    smoothness: float | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**vars(self), "case": self.case.to_json(), "subtasks": dict(self.subtasks)}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Outcome":
        """The inverse of to_json."""
        fields: dict[str, Any] = {**record, "case": Case.from_json(record["case"])}
        return Outcome(**fields)
