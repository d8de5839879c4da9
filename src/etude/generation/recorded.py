"""Demonstrations that cannot be replayed here, from another simulator or a robot: annotated by what they recorded.

Poses come from datagen columns, else from recorded states and observations; targets from datagen columns, else from the
actions, where these move the gripper from where it is; signals from the file, else from the task's own judgement of the
recorded poses, moment by moment.

Traps: robosuite's quaternions are xyzw, Isaac Lab's wxyz once imported; robosuite's grippers close at +1, Etude's below
0; Isaac Lab's cube_positions do not subtract the environment's origin, its states do.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ConfigError, Environment, MismatchError, SegmentPlan
from etude.core.se3 import exp_rotation, pose, quat_to_matrix
from etude.data import ACTION, STATE, DatasetMeta
from etude.data.datagen import Datagen, find_datagen
from etude.data.episode import read_typed
from etude.data.spec import SUBTASKS
from etude.generation.annotation import Annotation
from etude.generation.source import Poses, Signal
from etude.sim.world import JudgesPoses

_RIGID = re.compile(r"(?:^|\.)rigid_object\.([^.]+)\.root_pose$")
_EEF = ("eef_pos", "robot0_eef_pos"), ("eef_quat", "robot0_eef_quat")
_FINGERS = ("gripper_pos", "robot0_gripper_qpos")


@dataclass(frozen=True, kw_only=True)
class Recording:
    """What another simulator's demonstrations call things.

    Attributes:
        objects: Object of the task -> theirs; those not named are called the same.
        signals: Sub-task of the task -> their signal; those not named are called the same.
        action_scale: What an action of 1 asks for, [m] and [rad], where actions move the gripper from where it is.
        close_positive: Whether their fingers close at positive commands, as robosuite's do.
    """

    objects: Mapping[str, str] = field(default_factory=dict[str, str])
    signals: Mapping[str, str] = field(default_factory=dict[str, str])
    action_scale: tuple[float, float] | None = None
    close_positive: bool = False

    def __post_init__(self) -> None:
        if self.action_scale and min(self.action_scale) <= 0:
            raise ConfigError(f"action_scale = {self.action_scale} must be positive metres and radians.")


def annotate_recorded(
    meta: DatasetMeta,
    index: int,
    plan: SegmentPlan,
    recording: Recording,
    *,
    environment: Environment | None,
) -> Annotation:
    """Annotate an episode by what it recorded.

    Args:
        meta: The dataset.
        index: The episode.
        plan: How the task's demonstrations are cut: what is needed.
        recording: What things are called.
        environment: The task's, to judge recorded poses where there are no signals, never stepped; None leaves all
            signals to somebody else.

    Raises:
        MismatchError: An object, a gripper or a signal that the plan needs was not recorded.
    """
    reader = _Reader(meta, index, recording)
    objects = {name: reader.object_pose(name) for name in plan.objects}
    grippers = {name: reader.gripper(Datagen.GRIPPER, name, plan) for name in plan.segments}
    return Annotation(
        objects=objects,
        grippers=grippers,
        targets={name: reader.target(name, plan, grippers[name]) for name in plan.segments},
        commands={name: reader.command(name, plan) for name in plan.segments},
        signals=reader.signals(plan, objects, grippers, environment) if environment else {},
    )


class _Reader:
    """What one episode recorded, by what it means."""

    def __init__(self, meta: DatasetMeta, index: int, recording: Recording) -> None:
        self._meta, self._index, self._recording = meta, index, recording
        self._found = find_datagen(meta.features)

    def object_pose(self, name: str) -> Poses:
        """From datagen, else from the state of a rigid body."""
        theirs = self._recording.objects.get(name, name)
        datagen = {c.name: c.column for c in self._found if c.kind is Datagen.OBJECT}
        if theirs in datagen:
            return self._poses(datagen[theirs])
        rigid = {match[1]: column for column in self._meta.features if (match := _RIGID.search(column))}
        if theirs in rigid:
            numbers = self._read(rigid[theirs])
            return _stacked(numbers[:, :3], numbers[:, 3:])
        known = ", ".join(sorted({*datagen, *rigid}))
        if not known:
            raise MismatchError(
                f"'{self._meta.root}' recorded no poses of objects, and does not say at which (theta, seed) its "
                "episodes were made, so that they could be replayed: they cannot be sources of new ones."
            )
        raise MismatchError(
            f"'{self._meta.root}' recorded no poses of '{theirs}', the task's '{name}'; it has those of {known}: say "
            f"which is which with --objects {name}=THEIRS."
        )

    def gripper(self, kind: Datagen, name: str, plan: SegmentPlan) -> Poses:
        """A pose from datagen, else of the gripper from observations of position and quaternion."""
        column = self._datagen(kind, name, plan)
        if column:
            return self._poses(column)
        parts = [self._observed(keys) for keys in _EEF]
        if len(plan.segments) > 1 or any(part is None for part in parts):
            raise MismatchError(
                f"'{self._meta.root}' recorded no poses of gripper '{name}': it needs a datagen column, or the "
                "observations eef_pos and eef_quat of an only gripper."
            )
        (_, positions), (key, quaternions) = [part for part in parts if part is not None]
        # robosuite's observations are xyzw
        return _stacked(positions, np.roll(quaternions, 1, axis=1) if key.startswith("robot") else quaternions)

    def target(self, name: str, plan: SegmentPlan, gripper: Poses) -> Poses:
        """What the actions ask for: by their scale if that is given, else from datagen."""
        scale = self._recording.action_scale
        column = self._datagen(Datagen.TARGET, name, plan)
        if column and scale is None:
            return self._poses(column)
        actions = self._read(ACTION)
        if scale is None or actions.shape[1] != 7 or len(plan.segments) > 1:
            raise MismatchError(
                f"'{self._meta.root}' recorded no targets of gripper '{name}': for 7 numbers that move it from where "
                "it is, say with --action-scale M RAD what an action of 1 asks for (Isaac Lab's IK-Rel tasks: 0.5 0.5, "
                "robosuite: 0.05 0.5)."
            )
        return np.stack([_moved(T, a, scale) for T, a in zip(gripper, actions, strict=True)])

    def command(self, name: str, plan: SegmentPlan) -> Float64[NDArray[np.float64], " T"]:
        """Of the fingers, in Etude's sense; from datagen, else the last number of an action."""
        column = self._datagen(Datagen.COMMAND, name, plan)
        if column is None and len(plan.segments) > 1:
            raise MismatchError(f"'{self._meta.root}' recorded no commands of the fingers of gripper '{name}'.")
        command = self._read(column)[:, 0] if column else self._read(ACTION)[:, -1]
        return -command if self._recording.close_positive else command

    def signals(
        self, plan: SegmentPlan, objects: Mapping[str, Poses], grippers: Mapping[str, Poses], environment: Environment
    ) -> dict[str, Signal]:
        """Those that the plan needs, from the file; if it lacks one, all as the task's world judges the poses."""
        wanted = dict.fromkeys(s.signal for row in plan.segments.values() for s in row if s.signal)
        feature = self._meta.features.get(SUBTASKS)
        known = feature.names if feature else ()
        for name, theirs in self._recording.signals.items():
            if theirs not in known:
                raise MismatchError(
                    f"'{self._meta.root}' recorded no signal '{theirs}', the task's '{name}'; it has those of "
                    f"{', '.join(known) or '(none)'}: correct --signals {name}={theirs}, or leave it out."
                )
        names = {name: self._recording.signals.get(name, name) for name in wanted}
        if feature is not None and set(names.values()) <= set(known):
            done = self._read(SUBTASKS) > 0
            return {name: done[:, known.index(theirs)] for name, theirs in names.items()}
        world, fingers = getattr(environment, "world", None), self._observed(_FINGERS)
        if not isinstance(world, JudgesPoses) or fingers is None:
            missing = ", ".join(theirs for theirs in names.values() if theirs not in known)
            raise MismatchError(
                f"'{self._meta.root}' has no signals {missing} (it has {', '.join(known) or 'none'}), and this task "
                "cannot judge recorded poses without fingers: mark them with --manual, or say --signals NAME=THEIRS."
            )
        return dict(world.judged(objects, grippers, np.abs(fingers[1]).sum(axis=1)))

    def _datagen(self, kind: Datagen, name: str, plan: SegmentPlan) -> str | None:
        of_kind = [column for column in self._found if column.kind is kind]
        if len(of_kind) == len(plan.segments) == 1:
            return of_kind[0].column
        return next((column.column for column in of_kind if column.name == name), None)

    def _observed(self, keys: Sequence[str]) -> tuple[str, Float64[NDArray[np.float64], "T n"]] | None:
        """An observation by one of its names, from a column of its own or from the state."""
        names = self._meta.features[STATE].names
        for key in keys:
            at = [i for i, name in enumerate(names) if re.fullmatch(rf"{key}\.\d+", name)]
            if at:
                return key, self._read(STATE)[:, at]
            if f"obs.{key}" in self._meta.features:
                return key, self._read(f"obs.{key}")
        return None

    def _poses(self, column: str) -> Poses:
        return self._read(column).reshape(-1, 4, 4)

    def _read(self, column: str) -> NDArray[Any]:
        return read_typed(self._meta, self._index, [column])[column].astype(np.float64)


def _stacked(positions: NDArray[np.float64], quaternions: NDArray[np.float64]) -> Poses:
    """Poses of positions and wxyz quaternions."""
    return np.stack(
        [pose(p, quat_to_matrix(q / np.linalg.norm(q))) for p, q in zip(positions, quaternions, strict=True)]
    )


def _moved(T: NDArray[np.float64], action: NDArray[np.float64], scale: tuple[float, float]) -> NDArray[np.float64]:
    """A pose moved and turned by an action, both in the world's frame."""
    return pose(T[:3, 3] + scale[0] * action[:3], exp_rotation(scale[1] * action[3:6]) @ T[:3, :3])
