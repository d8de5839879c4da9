"""HDF5 files opened and read with errors that say what to do; everything that calls h5py's reading passes here."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from etude.core import EtudeError


@contextmanager
def open_hdf5(path: Path) -> Generator[h5py.File]:
    """Open an HDF5 file for reading.

    Raises:
        EtudeError: It is missing, is no HDF5 file, or ends too early.
    """
    if not path.is_file():
        raise EtudeError(f"'{path}' {'is a folder, not an HDF5 file' if path.is_dir() else 'does not exist'}.")
    if not h5py.is_hdf5(path):
        raise EtudeError(f"'{path}' is not an HDF5 file: give the file that holds the demonstrations.")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        why = "is truncated" if "truncated" in str(error) else "cannot be opened"
        raise EtudeError(f"'{path}' {why} ({error}): copy or record the file anew.") from error
    with file:
        yield file


def walk(group: h5py.Group) -> dict[str, h5py.Dataset]:
    """All datasets below a group: path relative to it -> dataset, in the order of their paths."""
    found: dict[str, h5py.Dataset] = {}

    def keep(path: str, thing: Any) -> None:
        if isinstance(thing, h5py.Dataset):
            found[path] = thing

    try:
        group.visititems(keep)
    except (OSError, RuntimeError, KeyError) as error:
        raise EtudeError(f"{place(group)} cannot be read ({error}): copy or record the file anew.") from error
    return dict(sorted(found.items()))


def read(dataset: h5py.Dataset) -> NDArray[Any]:
    """All of a dataset.

    Raises:
        EtudeError: It is damaged.
    """
    try:
        return np.asarray(dataset[()])
    except (OSError, RuntimeError) as error:
        raise EtudeError(f"{place(dataset)} cannot be read ({error}): copy or record the file anew.") from error


def place(thing: h5py.Group | h5py.Dataset) -> str:
    """Where something is, for messages: the file and the path in it."""
    return f"'{thing.file.filename}', {(thing.name or '/').lstrip('/') or 'its root'}"


def plain(value: Any) -> Any:
    """An attribute as a plain value: text, number, or a list of such."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value
