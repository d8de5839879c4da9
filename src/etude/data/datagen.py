"""Columns that say how a demonstration is taken apart: poses of objects and grippers, and what the grippers were asked.

Etude's own are `datagen_info.object_poses.<object>`, `datagen_info.gripper_poses.<gripper>`,
`datagen_info.target_poses.<gripper>`, each a 4x4 pose row by row, and `datagen_info.gripper_commands.<gripper>`, one
number. Those that MimicGen and Isaac Lab write, and an import keeps under their own names, are told by them.
"""

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import unquote

from etude.data.spec import Feature

_FOLDER = "datagen_info"


class Datagen(StrEnum):
    """What such a column holds, by the name that Etude gives it."""

    OBJECT = "object_poses"
    GRIPPER = "gripper_poses"
    TARGET = "target_poses"
    COMMAND = "gripper_commands"


_ALSO = {
    "object_pose": Datagen.OBJECT,
    "eef_pose": Datagen.GRIPPER,
    "target_pose": Datagen.TARGET,
    "target_eef_pose": Datagen.TARGET,
    "gripper_action": Datagen.COMMAND,
}


class DatagenColumn(NamedTuple):
    """A column, what it holds, and of what: an object's or a gripper's name, "" for a robot's only gripper."""

    column: str
    kind: Datagen
    name: str

    @property
    def is_own(self) -> bool:
        """Whether `etude annotate` named it."""
        return self.column == datagen_column(self.kind, self.name)


def datagen_column(kind: Datagen, name: str) -> str:
    """Etude's name of a column."""
    escaped = name.replace("%", "%25").replace(".", "%2E")  # a dot would look like a step down
    return f"{_FOLDER}.{kind}.{escaped}"


def datagen_feature(kind: Datagen) -> Feature:
    """What such a column holds; doubles, because poses are multiplied with one another."""
    return Feature("float64", (1,) if kind is Datagen.COMMAND else (16,))


def find_datagen(columns: Iterable[str]) -> list[DatagenColumn]:
    """Those of some columns that are such, Etude's own first."""
    found: list[DatagenColumn] = []
    for column in columns:
        _, inside, rest = f".{column}".rpartition(f".{_FOLDER}.")
        kind, _, name = rest.partition(".")
        if inside and kind in (*Datagen, *_ALSO):
            told = Datagen(kind) if kind in tuple(Datagen) else _ALSO[kind]
            found.append(DatagenColumn(column, told, unquote(name)))
    return sorted(found, key=lambda one: not one.is_own)
