"""What the demonstrations of a call have in common, and where each of their arrays goes in a dataset."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import h5py
import numpy as np

from etude.core import ConfigError, EtudeError, UnknownNameError
from etude.data.hdf5.files import place, walk
from etude.data.hdf5.layouts import LAYOUTS, SIGNALS, Layout
from etude.data.spec import ACTION, STATE

_WIDEST = 4096  # numbers per frame that a table takes; wider arrays (depth, segmentation) are kept beside it
_RESERVED = (STATE, ACTION, "timestamp", "frame_index", "episode_index", "index", "task_index", "subtasks", "task")
_NAMED = {"observations/qvel": "observation.velocity", "observations/effort": "observation.effort"}


@dataclass(frozen=True)
class Array:
    """A dataset of every demonstration.

    Attributes:
        path: Its path in the demonstration.
        dtype: Numpy's name of its type.
        shape: Shape of one frame's values; () for one number per frame.
    """

    path: str
    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Numbers per frame."""
        return int(np.prod(self.shape, dtype=int))


@dataclass(frozen=True, kw_only=True)
class Schema:
    """Where arrays go.

    Attributes:
        layout: Name of the layout.
        action: Datasets that make the action.
        state: Datasets that make the state.
        cameras: Camera -> its images; of one axis where they are compressed.
        extras: Column -> the numbers in it. Actions and states are there too unless they are float32 already.
        signals: Sub-task -> its signal.
        late: Whether the action of frame t is in row t - 1, as on ACT's real robots.
    """

    layout: str
    action: tuple[Array, ...]
    state: tuple[Array, ...]
    cameras: Mapping[str, Array]
    extras: Mapping[str, Array]
    signals: Mapping[str, Array]
    late: bool = False

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Schema":
        """The inverse of to_json."""

        def array(value: Mapping[str, Any]) -> Array:
            return Array(value["path"], value["dtype"], tuple(value["shape"]))

        return Schema(
            layout=record["layout"],
            action=tuple(map(array, record["action"])),
            state=tuple(map(array, record["state"])),
            late=record["late"],
            **{k: {n: array(v) for n, v in record[k].items()} for k in ("cameras", "extras", "signals")},
        )


def column(path: str) -> str:
    """The name of the column that a dataset goes to."""
    # A dot within a name must not look like a step down the path.
    name = ".".join(part.replace("%", "%25").replace(".", "%2E") for part in path.split("/"))
    return _NAMED.get(path, f"hdf5.{name}" if name in _RESERVED else name)


def survey(
    demonstration: h5py.Group, layout: Layout, *, state: tuple[str, ...] = (), cameras: tuple[str, ...] | None = None
) -> Schema:
    """Look at a demonstration without reading its numbers.

    Args:
        demonstration: Its group, or the file.
        layout: Its layout.
        state: Observations that make the state; by default the layout's.
        cameras: Cameras to keep; by default all.

    Raises:
        EtudeError: Something is missing, or has another length than the actions.
        UnknownNameError: A chosen observation or camera is not there.
    """
    datasets = walk(demonstration)
    frames = _frames(demonstration, layout, datasets)
    for path, dataset in datasets.items():
        if layout.is_framed(path) and (not dataset.shape or dataset.shape[0] != frames):
            raise EtudeError(
                f"{place(dataset)} has {dataset.shape[0] if dataset.shape else 'no'} rows, but '{layout.actions[0]}' "
                f"has {frames}: record the demonstration anew, or leave it out with --exclude."
            )
    arrays = {path: _array(path, d) for path, d in datasets.items() if d.shape and d.shape[0] == frames}
    seen = {c.removeprefix(layout.images): a for c, a in arrays.items() if _is_camera(c, a, layout)}
    numbers = {p: a for p, a in arrays.items() if _is_column(p, a, layout) and p not in {s.path for s in seen.values()}}
    signals = {p.rpartition(SIGNALS)[2]: a for p, a in numbers.items() if SIGNALS in p and a.size == 1}
    action = tuple(numbers[path] for path in layout.actions if path in numbers)
    chosen = _state(demonstration, layout, numbers, state)
    late = layout.is_late(demonstration)
    whole = {a.path for a in (*chosen, *(() if late else action)) if a.dtype == "float32"}
    whole |= {a.path for a in signals.values() if a.dtype == "bool"}
    return Schema(
        layout=layout.name,
        action=action,
        state=chosen,
        cameras=seen if cameras is None else {name: _chosen("camera", name, seen) for name in cameras},
        extras={column(path): array for path, array in numbers.items() if path not in whole},
        signals=signals,
        late=late,
    )


def difference(first: Schema, other: Schema) -> str:
    """Where two demonstrations differ, in words; "" where they do not."""
    mine, theirs = _flat(first), _flat(other)
    told = ["one is simulated and one is real"] if first.late != other.late else []
    told += [
        f"'{path}' is {_said(mine.get(path))} there and {_said(theirs.get(path))} here"
        for path in sorted({*mine, *theirs})
        if mine.get(path) != theirs.get(path)
    ]
    return "; ".join(told[:3]) + (f"; and {len(told) - 3} more" if len(told) > 3 else "")


def _flat(schema: Schema) -> dict[str, Array]:
    groups = (schema.action, schema.state, schema.cameras.values(), schema.extras.values(), schema.signals.values())
    # Compressed images have the length of the longest: any may follow any.
    return {
        array.path: Array(array.path, array.dtype, ()) if _is_compressed(array, LAYOUTS[schema.layout]) else array
        for group in groups
        for array in group
    }


def _said(array: Array | None) -> str:
    return "missing" if array is None else f"{array.dtype} {array.shape}"


def _frames(demonstration: h5py.Group, layout: Layout, datasets: Mapping[str, h5py.Dataset]) -> int:
    actions = datasets.get(layout.actions[0])
    if actions is None:
        raise EtudeError(
            f"{place(demonstration)} has no '{layout.actions[0]}': it is not whole; record it anew, or leave it out "
            "with --exclude."
        )
    if len(actions.shape) != 2 or 0 in actions.shape:
        raise EtudeError(
            f"{place(actions)} has the shape {actions.shape}, not (frames, numbers): leave the demonstration out "
            "with --exclude."
        )
    frames = int(actions.shape[0])
    told = demonstration.attrs.get("num_samples")
    if told is not None and int(told) != frames:
        raise EtudeError(
            f"{place(demonstration)} has num_samples = {int(told)}, but {frames} actions: record the demonstration "
            "anew, or leave it out with --exclude."
        )
    return frames


def _array(path: str, dataset: h5py.Dataset) -> Array:
    return Array(path, str(dataset.dtype), tuple(int(n) for n in dataset.shape[1:]))


def _is_camera(path: str, array: Array, layout: Layout) -> bool:
    if not path.startswith(layout.images) or array.dtype != "uint8":
        return False
    return (len(array.shape) == 3 and array.shape[2] == 3) or _is_compressed(array, layout)


def _is_compressed(array: Array, layout: Layout) -> bool:
    return array.path.startswith(layout.images) and layout.images.endswith("images/") and len(array.shape) == 1


def _is_column(path: str, array: Array, layout: Layout) -> bool:
    numeric = np.dtype(array.dtype).kind in "biuf"
    image = len(array.shape) == 3 and array.dtype == "uint8"
    # Other arrays may have one row per frame by chance, as initial_state has in a single frame.
    return numeric and layout.is_framed(path) and not image and array.size <= _WIDEST


def _state(
    demonstration: h5py.Group, layout: Layout, numbers: Mapping[str, Array], wanted: tuple[str, ...]
) -> tuple[Array, ...]:
    prefix = layout.observations
    known = {p.removeprefix(prefix): a for p, a in numbers.items() if p.startswith(prefix) and len(a.shape) == 1}
    known = {key: array for key, array in known.items() if "/" not in key and key != "actions"}
    chosen = wanted or layout.default_state(known)
    if not chosen:
        raise ConfigError(
            f"{place(demonstration)} has no numbers in '{prefix}' that could be a state: it has no observations."
        )
    return tuple(_chosen("observation for --state", key, known) for key in chosen)


def _chosen[T](kind: str, name: str, known: Mapping[str, T]) -> T:
    if name not in known:
        raise UnknownNameError(kind, name, known)
    return known[name]


type Names = Callable[[Array], tuple[str, ...]]
_JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate")
_ALOHA = tuple(
    f"{s}_{q}" for s in ("left", "right") for q in (*(f"{j}.position_rad" for j in _JOINTS), "gripper.opening")
)


def names(arrays: tuple[Array, ...], layout: Layout) -> tuple[str, ...]:
    """What the numbers of a state or an action are: "eef_pos.0", …; ALOHA's joints by their names."""
    return tuple(name for array in arrays for name in _names(array, layout))


def _names(array: Array, layout: Layout) -> tuple[str, ...]:
    key = array.path.rpartition("/")[2]
    if layout.name == "act" and key in ("qpos", "action") and array.size == len(_ALOHA):
        return _ALOHA
    if layout.name == "act" and key == "base_action" and array.size == 2:
        return ("base.forward_m_s", "base.turn_rad_s")
    return tuple(f"{key}.{i}" for i in range(array.size))
