"""Files that are whole or absent, whatever happens while they are written."""

import errno
import json
import os
from pathlib import Path
from typing import Any

from etude.core.errors import EtudeError

NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where a file cannot be written for lack of room."""


def write_json(path: Path, value: Any) -> None:
    """Write JSON durably: under a temporary name, synced, then renamed."""
    write_bytes(path, json_bytes(value))


def json_bytes(value: Any) -> bytes:
    """JSON as `write_json` writes it, for who hashes it before."""
    return (json.dumps(value, indent=1, sort_keys=True) + "\n").encode()


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file durably: under a temporary name, synced, then renamed, and the folder synced."""
    _make_directory(path.parent)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # on a full disk what is of no use is in the way
        raise
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make the names inside a folder durable."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make_directory(path: Path) -> None:
    """Make a folder and those it is in, each durable: a file's name is lost with the folder that it is in."""
    new = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(new):
        sync_directory(folder.parent)


def read_json(path: Path) -> Any:
    """Read JSON, with one clear line when it cannot be.

    Raises:
        EtudeError: The file is missing or not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError as error:
        raise EtudeError(f"'{path}' does not exist.") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise EtudeError(f"'{path}' is not valid JSON: {error}.") from error
