"""Source demonstrations read from an annotated dataset: those that a task's plan can cut."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from etude.core import EtudeError, MismatchError, SegmentPlan, Task
from etude.data import ACTION, DatasetMeta
from etude.data.datagen import Datagen, DatagenColumn, find_datagen
from etude.data.episode import read_typed
from etude.data.spec import SUBTASKS
from etude.generation.cutting import why_uncut
from etude.generation.source import SourceDemonstration

type OnLeftOut = Callable[[int, str], None]
"""(episode, why it cannot be a source)."""


def load_sources(
    dataset: Path, plan: SegmentPlan, *, task: Task | None = None, on_left_out: OnLeftOut | None = None
) -> list[SourceDemonstration]:
    """Read the demonstrations of an annotated dataset that the plan can cut.

    Args:
        dataset: Its folder.
        plan: How the task's demonstrations are cut.
        task: The task to make new ones for, whose actions the dataset must have; None does not ask.
        on_left_out: Called for every episode that the plan cannot cut, with the reason.

    Raises:
        EtudeError: It is not annotated, or the plan can cut none of its episodes.
        MismatchError: Its demonstrations are of another robot or action space, or have other objects, grippers or
            sub-tasks than the plan.
    """
    meta = DatasetMeta.open(dataset)
    if task is not None:
        require_same_actions(meta, task)
    columns = _columns(meta, plan)
    signals = [segment.signal for row in plan.segments.values() for segment in row if segment.signal]
    _require_signals(meta, signals)
    sources: list[SourceDemonstration] = []
    reasons: list[str] = []
    for index in range(meta.total_episodes):
        source = _read(meta, index, columns)
        if why := why_uncut(source, plan):
            reasons.append(f"episode {index}: {why}")
            if on_left_out is not None:
                on_left_out(index, why)
        else:
            sources.append(source)
    if not sources:
        told = "; ".join(reasons[:3]) + (f"; and {len(reasons) - 3} more" if len(reasons) > 3 else "")
        raise EtudeError(
            f"'{dataset}' has no demonstration that can be cut into the task's segments ({told or 'it is empty'}): "
            f"annotate others with `etude annotate`, or set the marks by hand with --manual."
        )
    return sources


def require_same_actions(meta: DatasetMeta, task: Task) -> None:
    """Raise unless a dataset's actions are a task's, as far as they have names.

    Raises:
        MismatchError: They have other names, or are more or fewer; the message names both.
    """
    feature = meta.features.get(ACTION)
    names = feature.names if feature else ()
    same = _is_nameless(names) or names == tuple(task.action_names)
    if feature is None or feature.shape != (len(task.action_names),) or not same:
        size = feature.shape[0] if feature else 0
        theirs = f"{size} ({', '.join(names)})" if names else str(size)
        robot = f" of robot '{meta.robot_type}'" if meta.robot_type else ""
        raise MismatchError(
            f"the demonstrations of '{meta.root}'{robot} have other actions than {task.name}: {theirs} there, "
            f"{len(task.action_names)} ({', '.join(task.action_names)}) here; give demonstrations of this robot, "
            "made with this action space."
        )


def _is_nameless(names: Sequence[str]) -> bool:
    """Whether an action's numbers are only numbered, as in imported files: then their number has to do."""
    return all(re.fullmatch(r"(\w+[._])?\d+", name) for name in names)


def _columns(meta: DatasetMeta, plan: SegmentPlan) -> list[DatagenColumn]:
    """One column for every object and gripper of the plan, under the plan's names."""
    found = find_datagen(meta.features)
    if not any(column.kind is Datagen.OBJECT for column in found):
        raise EtudeError(
            f"'{meta.root}' is not annotated: it does not say where objects and grippers were. Make one that does with "
            f"`etude annotate {meta.root} --auto --out {meta.root}-annotated`."
        )
    grippers = tuple(plan.segments)
    chosen: dict[tuple[Datagen, str], DatagenColumn] = {}
    for kind in Datagen:
        of_kind = [column for column in found if column.kind is kind]
        wanted = plan.objects if kind is Datagen.OBJECT else grippers
        if kind is not Datagen.OBJECT and len(grippers) == len(of_kind) == 1:
            of_kind = [of_kind[0]._replace(name=grippers[0])]  # a robot's only hand has many names, or none
        known = {column.name: column for column in reversed(of_kind)}
        for name in wanted:
            if name not in known:
                _refuse(meta, kind, name, tuple(known))
        chosen |= {(kind, name): column for name, column in known.items()}
    return list(chosen.values())


def _refuse(meta: DatasetMeta, kind: Datagen, name: str, known: Sequence[str]) -> None:
    what = {Datagen.OBJECT: "object", Datagen.GRIPPER: "gripper"}.get(kind, f"{kind} of gripper")
    fix = "--objects NAME=THEIRS" if kind is Datagen.OBJECT else "the task they were made in"
    raise MismatchError(
        f"'{meta.root}' has no {what} '{name}'; it has {', '.join(sorted(known)) or '(none)'}. Annotate it "
        f"for this task, with {fix}: `etude annotate`."
    )


def _require_signals(meta: DatasetMeta, wanted: Sequence[str]) -> None:
    feature = meta.features.get(SUBTASKS)
    known = feature.names if feature else ()
    missing = [signal for signal in wanted if signal not in known]
    if missing:
        raise MismatchError(
            f"'{meta.root}' has no sub-task signal '{missing[0]}', at which demonstrations are cut; it has "
            f"{', '.join(known) or '(none)'}. Annotate it for this task: `etude annotate`, --auto or --manual."
        )


def _read(meta: DatasetMeta, index: int, columns: Sequence[DatagenColumn]) -> SourceDemonstration:
    rows = read_typed(meta, index, [ACTION, SUBTASKS, *(column.column for column in columns)])
    parts: dict[Datagen, dict[str, NDArray[Any]]] = {kind: {} for kind in Datagen}
    for column in columns:
        values = rows[column.column].astype(np.float64)
        shape = (len(values),) if column.kind is Datagen.COMMAND else (len(values), 4, 4)
        parts[column.kind][column.name] = values.reshape(shape)
    signals = rows[SUBTASKS].astype(np.bool_)
    return SourceDemonstration(
        episode=index,
        actions=rows[ACTION].astype(np.float32),
        objects=parts[Datagen.OBJECT],
        grippers=parts[Datagen.GRIPPER],
        targets=parts[Datagen.TARGET],
        commands=parts[Datagen.COMMAND],
        signals={name: signals[:, i] for i, name in enumerate(meta.features[SUBTASKS].names)},
    )
