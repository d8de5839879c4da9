"""One demonstration of an HDF5 file as a recorded episode."""

import io
from collections.abc import Mapping
from typing import Any

import h5py
import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from etude.core import Case, EtudeError, Outcome, Perturbation
from etude.data.hdf5.files import place, read, walk
from etude.data.hdf5.layouts import LAYOUTS, Source
from etude.data.hdf5.quaternions import Order, reorder
from etude.data.hdf5.remainder import Remainder
from etude.data.hdf5.schema import Array, Schema
from etude.data.recording import RecordedEpisode

NEXT = "next_obs/"

type Numbers = dict[str, NDArray[Any]]


def read_numbers(demonstration: h5py.Group, schema: Schema, given: Order) -> tuple[Numbers, Numbers]:
    """All numbers that a dataset has columns for, checked, with quaternions as wxyz, all of before a frame's action.

    Args:
        demonstration: Its group, or the file.
        schema: Where its arrays are.
        given: Order of the file's quaternions.

    Returns:
        Path -> (T, …), and for what the file has from after the action, path -> the last row, (1, …).

    Raises:
        EtudeError: A number is not finite, or the file is damaged.
    """
    layout = LAYOUTS[schema.layout]
    arrays = {a.path: a for a in (*schema.action, *schema.state, *schema.extras.values(), *schema.signals.values())}
    numbers = {path: reorder(path, _finite(demonstration, path), given=given, wanted="wxyz") for path in arrays}
    last: Numbers = {}
    for path in [p for p in numbers if layout.after and p.startswith(layout.after)]:
        first = layout.initial + path.removeprefix(layout.after)
        start = reorder(path, _initial(demonstration, first, numbers[path]), given=given, wanted="wxyz")
        last[path] = numbers[path][-1:]
        numbers[path] = np.concatenate([start, numbers[path][:-1]])
    return numbers, last


def read_demonstration(
    demonstration: h5py.Group, source: Source, schema: Schema, *, given: Order, task: str, masks: tuple[str, ...] = ()
) -> tuple[RecordedEpisode, Remainder]:
    """Read a demonstration.

    Args:
        demonstration: Its group, or the file.
        source: Where that is.
        schema: Where its arrays are.
        given: Order of the file's quaternions.
        task: The task in words.
        masks: Filter keys that list it.

    Raises:
        EtudeError: The demonstration is damaged.
    """
    numbers, last = read_numbers(demonstration, schema, given)
    action = _joined(schema.action, numbers)
    if schema.late:
        action = np.concatenate([action[:1], action[:-1]])
    images = {camera: read_images(demonstration, array) for camera, array in schema.cameras.items()}
    signals = {name: numbers[array.path].reshape(-1) > 0 for name, array in schema.signals.items()}
    episode = RecordedEpisode(
        images=images,
        state=_joined(schema.state, numbers),
        action=action,
        extras={column: _rows(numbers[array.path]) for column, array in schema.extras.items()},
        subtasks=signals,
        task=task,
        outcome=_outcome(demonstration, numbers, signals, len(action)),
        generator=schema.layout,
        origin=source.origin,
    )
    return episode, _remainder(demonstration, episode, schema, last, given, masks)


def read_images(demonstration: h5py.Group, array: Array) -> UInt8[NDArray[np.uint8], "T H W 3"]:
    """The images of one camera, decoded where they are JPEG files padded with zeros.

    Raises:
        EtudeError: They cannot be read.
    """
    dataset = demonstration[array.path]
    assert isinstance(dataset, h5py.Dataset)
    raw = read(dataset)
    return raw if raw.ndim == 4 else np.stack([_decoded(row, dataset, frame) for frame, row in enumerate(raw)])


def image_size(demonstration: h5py.Group, array: Array) -> tuple[int, int]:
    """Height and width [px] of a camera's images."""
    if len(array.shape) == 3:
        return array.shape[0], array.shape[1]
    dataset = demonstration[array.path]
    assert isinstance(dataset, h5py.Dataset)
    first = _decoded(np.asarray(dataset[0]), dataset, 0)
    return first.shape[0], first.shape[1]


def _decoded(row: NDArray[Any], dataset: h5py.Dataset, frame: int) -> NDArray[np.uint8]:
    try:
        # A decoder stops at the end that JPEG marks: the zeros behind it need not be cut off.
        with Image.open(io.BytesIO(row.tobytes())) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, SyntaxError) as error:
        why = "cannot be decoded" if isinstance(error, UnidentifiedImageError) else error
        raise EtudeError(
            f"{place(dataset)}: frame {frame} is no JPEG image ({why}): record the demonstration anew, or leave "
            "it out with --exclude."
        ) from error


def _joined(arrays: tuple[Array, ...], numbers: Mapping[str, NDArray[Any]]) -> NDArray[np.float32]:
    return np.concatenate([_rows(numbers[array.path]) for array in arrays], axis=1).astype(np.float32)


def _rows(values: NDArray[Any]) -> NDArray[Any]:
    return values.reshape(len(values), -1)


def _finite(demonstration: h5py.Group, path: str) -> NDArray[Any]:
    dataset = demonstration[path]
    assert isinstance(dataset, h5py.Dataset)
    values = read(dataset)
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        raise EtudeError(
            f"{place(dataset)} has a number that is not finite at frame {bad[0, 0]}: leave the demonstration out with "
            "--exclude, or mend the file."
        )
    return values


def _initial(demonstration: h5py.Group, path: str, like: NDArray[Any]) -> NDArray[Any]:
    dataset = demonstration.get(path)
    if not isinstance(dataset, h5py.Dataset):
        raise EtudeError(
            f"{place(demonstration)} has states but no '{path}', the state before the first action: leave the "
            "demonstration out with --exclude."
        )
    if dataset.shape != (1, *like.shape[1:]):
        raise EtudeError(
            f"{place(dataset)} has the shape {dataset.shape}, not {(1, *like.shape[1:])}: leave the demonstration out "
            "with --exclude."
        )
    return read(dataset).astype(like.dtype, copy=False)


def _outcome(
    demonstration: h5py.Group, numbers: Numbers, signals: Mapping[str, NDArray[np.bool_]], length: int
) -> Outcome | None:
    """What the file says became of it; only Isaac Lab's says."""
    if "success" not in demonstration.attrs:
        return None
    success = bool(demonstration.attrs["success"])
    return Outcome(
        case=Case(Perturbation({}), int(demonstration.attrs.get("seed", 0))),
        success=success,
        progress=float(success),
        stage="",
        failure_mode="" if success else "failed",
        length=length,
        total_reward=float(numbers["rewards"].sum()) if "rewards" in numbers else 0.0,
        subtasks={name: bool(signal.any()) for name, signal in signals.items()},
    )


def _remainder(
    demonstration: h5py.Group,
    episode: RecordedEpisode,
    schema: Schema,
    last: Numbers,
    given: Order,
    masks: tuple[str, ...],
) -> Remainder:
    groups = (schema.action, schema.state, schema.cameras.values(), schema.extras.values(), schema.signals.values())
    stored = {array.path for group in groups for array in group}
    arrays: Numbers = {}
    for path, dataset in walk(demonstration).items():
        if path in stored or _unwanted(path, dataset, schema, stored):
            continue
        values = reorder(path, read(dataset), given=given, wanted="wxyz")
        seen = episode.images.get(path.removeprefix(NEXT)) if path.startswith(NEXT) else None
        if seen is not None and np.array_equal(values[:-1], seen[1:]):
            last[path] = values[-1:]  # the others are the next frame's image
        else:
            arrays[path] = values
    attributes = dict(demonstration.attrs)
    return Remainder(attributes=attributes, masks=masks, arrays=arrays, last=last, origin=episode.origin)


def _unwanted(path: str, dataset: h5py.Dataset, schema: Schema, stored: set[str]) -> bool:
    """What follows from the states, and cameras that the user left out."""
    layout = LAYOUTS[schema.layout]
    if layout.initial and path.startswith(layout.initial):
        return layout.after + path.removeprefix(layout.initial) in stored
    folder = next((f for f in (layout.images, NEXT) if path.startswith(f)), None)
    image = dataset.dtype == np.uint8 and (dataset.ndim == 4 or layout.images.endswith("images/"))
    return folder is not None and image and path.removeprefix(folder) not in schema.cameras
