"""A demonstration replayed in its world: where everything was, what the grippers were asked for, what was done when.

An action is the same numbers everywhere, but what it asks for depends on where the robot is: only the world that it was
recorded in can tell.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from etude.core import Case, ConfigError, Environment, PoseControlled, Target
from etude.data.datagen import Datagen, datagen_column
from etude.generation.source import Poses, Signal

TOLERANCE = 0.01
"""How far a number of the state may be off before a replay counts as parted, in the state's own units."""


@dataclass(frozen=True, kw_only=True)
class Annotation:
    """What is added to a demonstration; everything at a frame is of the moment before its action.

    Attributes:
        objects: Object -> X_world_object, (T, 4, 4).
        grippers: Gripper -> X_world_gripper, (T, 4, 4).
        targets: Gripper -> the pose that the action asks for, (T, 4, 4).
        commands: Gripper -> the fingers' command in the action's own units, (T,).
        signals: Sub-task -> whether it was done, (T,).
    """

    objects: Mapping[str, Poses]
    grippers: Mapping[str, Poses]
    targets: Mapping[str, Poses]
    commands: Mapping[str, NDArray[np.float64]]
    signals: Mapping[str, Signal]

    @property
    def length(self) -> int:
        """Frames annotated: of a replay, up to the success."""
        return len(next(iter(self.commands.values())))

    def columns(self) -> dict[str, NDArray[np.float64]]:
        """Everything but the signals as columns of a dataset, (T, 16) or (T, 1)."""
        kinds: Mapping[Datagen, Mapping[str, NDArray[np.float64]]] = {
            Datagen.OBJECT: self.objects,
            Datagen.GRIPPER: self.grippers,
            Datagen.TARGET: self.targets,
            Datagen.COMMAND: self.commands,
        }
        return {
            datagen_column(kind, name): values.reshape(len(values), -1)
            for kind, parts in kinds.items()
            for name, values in parts.items()
        }


@dataclass(frozen=True, kw_only=True)
class Parted:
    """A replay that did not succeed.

    Attributes:
        frame: The first at which the replayed state is another than the recorded one; None where it never is.
        largest: By how much at most, over all frames, in the state's own units.
        subtasks: Sub-tasks that it reached.
        ending: How it ended: the world's name of the failure.
        length: Frames replayed.
        recorded: Whether the recording was a failure, too: then it is none of the replay's.
    """

    frame: int | None
    largest: float
    subtasks: tuple[str, ...]
    ending: str
    length: int
    recorded: bool = False

    def __str__(self) -> str:
        if self.recorded and self.frame is None:
            return f"was a failure in the recording, too ({self.ending.replace('_', ' ')} after {self.length} frames)"
        where = "followed the recording" if self.frame is None else f"parted at frame {self.frame}"
        reached = ", ".join(self.subtasks) or "no sub-task"
        return (
            f"{where} (at most {self.largest:.3g} off), reached {reached}, ended after {self.length} as {self.ending}"
        )


@dataclass(frozen=True)
class Skipped:
    """An episode that is no source for another reason than its replay."""

    why: str

    def __str__(self) -> str:
        return self.why


type Result = Annotation | Parted | Skipped
"""What comes of an episode."""


def annotate_episode(
    environment: Environment,
    actions: Float32[NDArray[np.float32], "T A"],
    case: Case,
    *,
    states: Float32[NDArray[np.float32], "T S"] | None = None,
    tolerance: float = TOLERANCE,
) -> Annotation | Parted:
    """Replay an episode and write down what is to be known of it.

    Args:
        environment: The world it was recorded in.
        actions: As executed, (T, A).
        case: The (θ, seed) it was recorded at.
        states: The recorded states, (T, S), to see where the replay parts; None does not look.
        tolerance: See TOLERANCE.

    Returns:
        What was seen up to the success; or where it parted, if it did not succeed.

    Raises:
        ConfigError: The environment cannot tell what an action asks for.
    """
    if not isinstance(environment, PoseControlled):
        raise ConfigError(
            f"{type(environment).__name__} cannot tell what pose an action asks for: not a world for this."
        )
    raw, info = environment.reset(seed=case.seed, options={"perturbation": case.theta})
    moments: list[Mapping[str, Any]] = []
    asked: list[Mapping[str, Target]] = []
    seen: list[NDArray[np.float32]] = []
    terminated = truncated = False
    for action in actions:
        moments.append(info)
        asked.append(environment.asked(action))
        seen.append(np.array(raw["agent_pos"], np.float32))
        raw, _, terminated, truncated, info = environment.step(action)
        if terminated or truncated:
            break
    if info["is_success"]:
        return _annotation(moments, asked)
    offs = np.zeros(0) if states is None else np.abs(np.stack(seen) - states[: len(seen)]).max(axis=1)
    off = np.flatnonzero(offs > tolerance)
    return Parted(
        frame=int(off[0]) if len(off) else None,
        largest=float(offs.max(initial=0.0)),
        subtasks=tuple(name for name, done in info["subtasks"].items() if done),
        ending=str(info["failure_mode"]),
        length=len(moments),
    )


def _annotation(moments: list[Mapping[str, Any]], asked: list[Mapping[str, Target]]) -> Annotation:
    return Annotation(
        objects=_poses(moments, "object_poses"),
        grippers=_poses(moments, "gripper_poses"),
        targets={name: np.stack([targets[name].pose for targets in asked]) for name in asked[0]},
        commands={name: np.array([targets[name].command for targets in asked], np.float64) for name in asked[0]},
        signals={name: np.array([bool(m["subtasks"][name]) for m in moments]) for name in moments[0]["subtasks"]},
    )


def _poses(moments: list[Mapping[str, Any]], group: str) -> dict[str, Poses]:
    return {name: np.stack([np.array(m[group][name], np.float64) for m in moments]) for name in moments[0][group]}
