"""Datasets as HDF5 files of robomimic's and Isaac Lab's layouts, one episode in memory at a time."""

import json
import os
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from etude.core import EtudeError, RunExistsError, StageFailedError, UnknownNameError
from etude.core.files import NO_ROOM
from etude.data.episode import read_images, read_typed
from etude.data.hdf5.demonstrations import NEXT
from etude.data.hdf5.layouts import LAYOUTS, Layout
from etude.data.hdf5.placement import Placed, Placement, place_columns
from etude.data.hdf5.quaternions import Order, reorder
from etude.data.hdf5.remainder import Manifest, Remainder
from etude.data.metadata import DatasetMeta, EpisodeRecord

WRITABLE = ("robomimic", "isaaclab")

type Arrays = dict[str, NDArray[Any]]


def export_hdf5(
    meta: DatasetMeta,
    layout: str,
    out: Path,
    *,
    quaternion: Order = "wxyz",
    on_saved: Callable[[int], None] = lambda _done: None,
) -> list[str]:
    """Write a dataset as an HDF5 file, which appears when it is whole.

    Args:
        meta: The dataset.
        layout: "robomimic" or "isaaclab".
        out: The file.
        quaternion: Order to write quaternions in, for Isaac Lab.
        on_saved: Called with the number of episodes written.

    Returns:
        What the reader of the file should know, in sentences.

    Raises:
        UnknownNameError: No such layout.
        RunExistsError: The file exists.
        EtudeError: The dataset is damaged or empty.
    """
    if layout not in WRITABLE:
        raise UnknownNameError("layout to export", layout, WRITABLE)
    if not meta.total_episodes:
        raise EtudeError(f"dataset '{meta.root}' has no episodes to export.")
    manifest, to = Manifest.load(meta.root), LAYOUTS[layout]
    placement = place_columns(meta, manifest, to)
    records = {record.index: record for record in meta.episodes}
    notes = [f"'{column}' was left out: the layout {layout} has no place for it." for column in placement.left_out]
    masks: dict[str, list[str]] = {}
    largest, total, cut = 0.0, 0, 0
    with _whole_file(out) as file:
        data = file.create_group("data")
        for index in range(meta.total_episodes):
            remainder = Remainder.load(meta.root, index, origin=records[index].origin if index in records else "")
            arrays = _arrays(meta, index, placement, to, remainder, quaternion)
            _write(data.create_group(f"demo_{index}"), arrays, to, _attributes(remainder, records.get(index), to))
            for key in remainder.masks:
                masks.setdefault(key, []).append(f"demo_{index}")
            total, cut = total + len(arrays["actions"]), cut + (len(arrays["actions"]) < meta.lengths[index])
            largest = max(largest, float(np.abs(arrays["actions"]).max()))
            on_saved(index + 1)
        data.attrs["total"] = total
        for name, value in _environment(meta, manifest, to).items():
            data.attrs[name] = value
        for key, names in masks.items():
            file[f"mask/{key}"] = np.array([name.encode() for name in names])
    if cut:
        notes.append(f"{cut} episodes lost their last frame: the state after its action is not in the dataset.")
    if layout == "robomimic" and largest > 1:
        notes.append(f"Actions reach {largest:.3g}; robomimic expects them in [-1, 1].")
    return notes


def _arrays(
    meta: DatasetMeta, episode: int, placement: Placement, layout: Layout, remainder: Remainder, quaternion: Order
) -> Arrays:
    """All datasets of one demonstration."""
    wanted = {placed.column for placed in placement.numbers}
    wanted |= {placed.rounded[0] for placed in placement.numbers if placed.rounded}
    columns = read_typed(meta, episode, sorted(wanted))
    arrays: Arrays = {}
    for placed in placement.numbers:
        part = _numbers(placed, columns)
        arrays[placed.array.path] = part.astype(placed.array.dtype).reshape(len(part), *placed.array.shape)
    for camera, path in placement.cameras.items():
        arrays[path] = np.stack(list(read_images(meta, episode, camera)))
        last = remainder.last.get(NEXT + camera)
        if last is not None:
            arrays[NEXT + camera] = np.concatenate([arrays[path][1:], last])
    kept = {path: values for path, values in remainder.arrays.items() if path not in arrays}
    arrays = _with_states(arrays, layout, remainder) | kept
    order: Order = quaternion if layout.after else "wxyz"
    return {path: reorder(path, values, given="wxyz", wanted=order) for path, values in arrays.items()}


def _numbers(placed: Placed, columns: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    part = columns[placed.column][:, placed.start : placed.start + placed.array.size]
    if placed.rounded is None:
        return part
    column, start = placed.rounded
    rounded = columns[column][:, start : start + placed.array.size]
    return part if np.array_equal(part.astype(rounded.dtype), rounded) else rounded


def _with_states(arrays: Arrays, layout: Layout, remainder: Remainder) -> Arrays:
    """States as the layout has them.

    Isaac Lab: a tree of what was after each action, with the initial state apart. Robomimic: one flat row of what was
    before it.
    """
    tree = {path: values for path, values in arrays.items() if path.startswith("states/")}
    if not tree:
        return arrays
    others = {path: values for path, values in arrays.items() if path not in tree}
    if not layout.after:
        flat = [values.reshape(len(values), -1).astype(np.float64) for _, values in sorted(tree.items())]
        return others | {"states": np.concatenate(flat, axis=1)}
    initial = {layout.initial + path.removeprefix(layout.after): values[:1] for path, values in tree.items()}
    if any(path not in remainder.last for path in tree):
        return {p: v[:-1] for p, v in others.items()} | initial | {p: v[1:] for p, v in tree.items()}
    return others | initial | {path: np.concatenate([v[1:], remainder.last[path]]) for path, v in tree.items()}


def _attributes(remainder: Remainder, record: EpisodeRecord | None, layout: Layout) -> dict[str, Any]:
    """Attributes of a demonstration: those it came with, else what the dataset knows."""
    known: dict[str, Any] = {}
    if layout.name == "isaaclab" and record is not None:
        known |= {"success": np.bool_(record.success)} if record.success is not None else {}
        known |= {"seed": record.case.seed} if record.case is not None else {}
    return known | dict(remainder.attributes)


def _environment(meta: DatasetMeta, manifest: Manifest | None, layout: Layout) -> Mapping[str, Any]:
    """Attributes of the group of all demonstrations."""
    kept = dict(manifest.attributes) if manifest else {}
    name = meta.task or next((str(task) for row in meta.rows for task in row.get("tasks") or ()), meta.root.name)
    try:
        arguments: dict[str, Any] = json.loads(kept.get("env_args", "")) or {}
    except json.JSONDecodeError:
        arguments = {"env_name": name, "type": 2}
    if layout.name == "robomimic" and "env_kwargs" not in arguments:  # robomimic reads it
        return kept | {"env_args": json.dumps(arguments | {"env_kwargs": {}})}
    if layout.name == "isaaclab" and "env_kwargs" in arguments:  # of robomimic alone
        return kept | {"env_args": json.dumps({"env_name": arguments.get("env_name", name), "type": 2})}
    return kept if "env_args" in kept else kept | {"env_args": json.dumps(arguments)}


def _write(group: h5py.Group, arrays: Arrays, layout: Layout, attributes: Mapping[str, Any]) -> None:
    for path, values in sorted(arrays.items()):
        packed = "gzip" if values.ndim and (layout.name == "isaaclab" or values.ndim == 4) else None
        group.create_dataset(path, data=values, compression=packed)
    for name, value in attributes.items():
        group.attrs[name] = value
    group.attrs["num_samples"] = len(arrays["actions"])


@contextmanager
def _whole_file(out: Path) -> Generator[h5py.File]:
    """An HDF5 file to fill that appears as `out` when all is in it."""
    if out.exists():
        raise RunExistsError(out, "choose another name, or remove it")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary = out.with_name(f".{out.name}.{os.getpid()}.partial")
    try:
        with h5py.File(temporary, "w") as file:
            yield file
        os.replace(temporary, out)
    except (OSError, RuntimeError) as error:  # h5py raises either, sometimes with the system's words only
        full = next((os.strerror(e).lower() for e in NO_ROOM if os.strerror(e) in str(error)), None)
        if full is None:
            raise
        raise StageFailedError(
            f"'{out}' could not be written ({full}): nothing is left of it; make room and export it again."
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
