"""Where the columns of a dataset go in an HDF5 file: back where they came from, or where the layout has such things."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import groupby
from urllib.parse import unquote

from etude.data.datagen import Datagen, find_datagen
from etude.data.hdf5.layouts import LAYOUTS, SIGNALS, Layout
from etude.data.hdf5.remainder import Manifest
from etude.data.hdf5.schema import Array
from etude.data.metadata import DatasetMeta
from etude.data.spec import ACTION, STATE, SUBTASKS

_DATAGEN = {"robomimic": "datagen_info/", "isaaclab": "obs/datagen_info/"}
_ROBOMIMIC = {
    Datagen.OBJECT: "object_poses",
    Datagen.GRIPPER: "eef_pose",
    Datagen.TARGET: "target_pose",
    Datagen.COMMAND: "gripper_action",
}
_ISAACLAB = _ROBOMIMIC | {Datagen.OBJECT: "object_pose", Datagen.TARGET: "target_eef_pose"}
_KNOWN = (
    *("obs/", "next_obs/", "states", "datagen_info/", "action_dict/"),
    *("actions", "processed_actions", "rewards", "dones", "src_demo_labels"),
)


@dataclass(frozen=True)
class Placed:
    """Numbers of a column, and the dataset they make.

    Attributes:
        column: LeRobot's name of the column.
        start: First of the numbers in a frame's row.
        array: The dataset.
        rounded: Column and first number of the same as float32, which is right where somebody changed it; or None.
    """

    column: str
    start: int
    array: Array
    rounded: tuple[str, int] | None = None


@dataclass(frozen=True, kw_only=True)
class Placement:
    """What an HDF5 file is made of.

    Attributes:
        numbers: The datasets of numbers.
        cameras: Camera -> path of its images.
        left_out: Columns that the layout has no place for.
    """

    numbers: tuple[Placed, ...]
    cameras: Mapping[str, str]
    left_out: tuple[str, ...]


def place_columns(meta: DatasetMeta, manifest: Manifest | None, layout: Layout) -> Placement:
    """Find where everything in a dataset goes.

    Args:
        meta: The dataset.
        manifest: What is known of the HDF5 files it came from.
        layout: The layout to write.
    """
    found = _imported(meta, manifest) if manifest else []
    known = {placed.column for placed in found if placed.column != SUBTASKS} | _recorded(manifest)
    signals = {placed.start for placed in found if placed.column == SUBTASKS}  # others may have been added
    found += [
        placed
        for placed in _guessed(meta, layout)
        if placed.column not in known and not (placed.column == SUBTASKS and placed.start in signals)
    ]
    moved = [replace(placed, array=_moved(placed.array, layout)) for placed in found]
    numbers: dict[str, Placed] = {}
    left_out: list[str] = []
    for placed in moved:
        flat = placed.array.path == "states"
        if flat and layout.after:
            left_out.append(placed.column)
        else:
            numbers.setdefault(placed.array.path, placed)  # the first: what keeps the numbers as they were
    cameras = {camera: layout.images + camera for camera in meta.cameras}
    return Placement(numbers=tuple(numbers.values()), cameras=cameras, left_out=tuple(left_out))


def _imported(meta: DatasetMeta, manifest: Manifest) -> list[Placed]:
    """The columns that a manifest tells of, where the dataset still has them as they were."""
    schema = manifest.schema
    found = [Placed(column, 0, array) for column, array in schema.extras.items()]
    found = [f for f in found if f.column in meta.features and meta.features[f.column].shape == (f.array.size,)]
    found = [placed for placed in found if placed.column not in _recorded(manifest)]
    sliced = _sliced(STATE, schema.state, meta)
    sliced += _sliced(ACTION, schema.action, meta) if schema.layout != "act" else []
    at = {placed.array.path: (placed.column, placed.start) for placed in sliced}
    found = [replace(placed, rounded=at.get(placed.array.path)) for placed in found] + sliced
    subtasks = meta.features[SUBTASKS].names if SUBTASKS in meta.features else ()
    signals = [(subtasks.index(name), a) for name, a in schema.signals.items() if name in subtasks]
    kept = {placed.array.path for placed in found}
    return found + [Placed(SUBTASKS, index, array) for index, array in signals if array.path not in kept]


def _recorded(manifest: Manifest | None) -> set[str]:
    """ACT's actions as they were recorded: other layouts have one dataset of them, as they are trained on."""
    if manifest is None or manifest.schema.layout != "act":
        return set()
    return {name for name, array in manifest.schema.extras.items() if array.path in LAYOUTS["act"].actions}


def _sliced(column: str, arrays: tuple[Array, ...], meta: DatasetMeta) -> list[Placed]:
    """Parts of a column, if it is made of them alone."""
    ends = [sum(a.size for a in arrays[: i + 1]) for i in range(len(arrays))]
    if not ends or meta.features[column].shape != (ends[-1],):
        return []
    return [Placed(column, end - array.size, array) for array, end in zip(arrays, ends, strict=True)]


def _guessed(meta: DatasetMeta, layout: Layout) -> list[Placed]:
    """A place for every column by its name."""
    found: list[Placed] = []
    own = _datagen_paths(meta, layout)
    for name, feature in meta.features.items():
        if name in ("timestamp", "frame_index", "episode_index", "index", "task_index") or feature.dtype in (
            "video",
            "image",
            "string",
        ):
            continue
        if name == ACTION:
            found.append(Placed(name, 0, Array("actions", feature.dtype, feature.shape)))
        elif name == STATE:
            found += _state_groups(feature.names, feature.shape[0])
        elif name == SUBTASKS:
            found += [Placed(name, i, Array(f"{SIGNALS}{s}", "bool", ())) for i, s in enumerate(feature.names)]
        elif name in own:
            shape = (1,) if feature.shape == (1,) else (4, 4)
            found.append(Placed(name, 0, Array(own[name], feature.dtype, shape)))
        else:
            found.append(Placed(name, 0, _guess(name, feature.dtype, feature.shape)))
    return found


def _datagen_paths(meta: DatasetMeta, layout: Layout) -> dict[str, str]:
    """Column that `etude annotate` added -> where the layout has such things; robomimic does not name an only hand."""
    own = [column for column in find_datagen(meta.features) if column.is_own]
    names = _ISAACLAB if layout.name == "isaaclab" else _ROBOMIMIC
    nameless = layout.name == "robomimic" and sum(column.kind is Datagen.GRIPPER for column in own) == 1
    return {
        column.column: f"datagen_info/{names[column.kind]}"
        + ("" if nameless and column.kind is not Datagen.OBJECT else f"/{column.name}")
        for column in own
    }


def _guess(column: str, dtype: str, shape: tuple[int, ...]) -> Array:
    path = "/".join(unquote(part) for part in column.removeprefix("hdf5.").split("."))
    if not path.startswith(_KNOWN):
        path = f"obs/{path.removeprefix('observation/')}"
    shape = (4, 4) if "datagen_info/" in path and shape == (16,) else shape
    return Array(path, dtype, () if shape == (1,) and path in ("rewards", "dones") else shape)


def _state_groups(names: tuple[str, ...], size: int) -> list[Placed]:
    """State "eef_pos.0", "eef_pos.1", … as obs/eef_pos; a state without such names as obs/state."""
    groups = [(key, len(list(same))) for key, same in groupby(re.sub(r"\.\d+$", "", name) for name in names)]
    if not all(re.search(r"\.\d+$", name) for name in names) or len({key for key, _ in groups}) != len(groups):
        groups = [("state", size)]
    starts = [sum(n for _, n in groups[:i]) for i in range(len(groups))]
    return [
        Placed(STATE, start, Array(f"obs/{key}", "float32", (n,)))
        for start, (key, n) in zip(starts, groups, strict=True)
    ]


def _moved(array: Array, layout: Layout) -> Array:
    """The dataset where the layout to write has such things."""
    path = re.sub("^observations/", "obs/", array.path)
    if path == "obs/velocity":
        path = "obs/qvel"
    found = re.fullmatch(rf"(?:obs/)?(?:datagen_info/)?({SIGNALS}.*)|(?:obs/)?datagen_info/(.*)", path)
    if found:
        path = _DATAGEN[layout.name] + (found[1] or found[2])
    return replace(array, path=path)
