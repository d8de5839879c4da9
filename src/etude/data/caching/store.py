"""A folder of decoded frames that datasets and processes of a machine share, and that never grows beyond a limit.

    frames/<content>.npy          an array, named after what it was made from
    frames/datasets/<key>.json    a dataset and the arrays it is made of; its time is when it was last used
    frames/datasets/<key>.lock    held exclusively by whoever makes the arrays, shared by all who use them

Locks are the system's, so they end with the process that holds them, however it ends. Whoever needs room removes the
datasets that were not used for longest, never one in use, and with them the arrays that no other dataset has.
"""

import fcntl
import json
import os
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from etude.core import ConfigError, StageFailedError
from etude.core.files import read_json

LIMIT_GB = 50.0
_WAIT_S = 0.1


@dataclass(frozen=True, kw_only=True)
class Stored:
    """A dataset in the store.

    Attributes:
        key: Name of its record.
        dataset: Folder it was read from.
        frames: Frames of each camera.
        image_sizes: Camera name -> height and width [px].
        files: Names of its arrays -> their size [bytes].
    """

    key: str
    dataset: str
    frames: int
    image_sizes: dict[str, tuple[int, int]]
    files: dict[str, int]


class Lease:
    """A lock on a dataset in the store, until it is closed or nobody has it any more."""

    def __init__(self, path: Path) -> None:
        self._path, self._descriptor = path, os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def take(self, mode: int) -> bool:
        """Lock without waiting; False if somebody else's lock is in the way, or the file was removed meanwhile."""
        try:
            fcntl.flock(self._descriptor, mode | fcntl.LOCK_NB)
            return os.fstat(self._descriptor).st_ino == self._path.stat().st_ino
        except (BlockingIOError, FileNotFoundError):
            return False

    def close(self) -> None:
        """Let go."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


class Store:
    """See the module.

    Args:
        folder: Where it is.
        limit_bytes: What it may hold; by default $ETUDE_CACHE_GB, or 50 GB.
    """

    def __init__(self, folder: Path, limit_bytes: int | None = None) -> None:
        self.folder, self.limit_bytes = folder, _limit() if limit_bytes is None else limit_bytes
        self._records = folder / "datasets"

    def lease(self, stored: Stored, build: Callable[[list[str]], None], waiting: Callable[[int, int], None]) -> Lease:
        """Hold a dataset, made first if it is not there.

        Args:
            stored: What it is made of.
            build: Makes the arrays of these names.
            waiting: Called with (arrays there, arrays in all) while another process makes them.

        Raises:
            StageFailedError: There is no room for it.
        """
        self._records.mkdir(parents=True, exist_ok=True)
        while True:
            lease = Lease(self._lock(stored.key))
            if lease.take(fcntl.LOCK_SH) and self._record(stored.key).exists() and not self._missing(stored):
                os.utime(self._record(stored.key))
                return lease
            if lease.take(fcntl.LOCK_EX):
                self._make(stored, build)
            else:
                waiting(len(stored.files) - len(self._missing(stored)), len(stored.files))
                time.sleep(_WAIT_S)
            lease.close()

    @contextmanager
    def writing(self, name: str) -> Generator[Path]:
        """A file to fill that gets its name when it is whole; one that a killed process left is taken for rubbish."""
        temporary = self.folder / f".{name}.{os.getpid()}.tmp"
        lock = Lease(temporary)
        while not lock.take(fcntl.LOCK_EX):  # somebody took it for rubbish before it was locked
            lock.close()
            lock = Lease(temporary)
        try:
            yield temporary
            temporary.replace(self.folder / name)
        finally:
            temporary.unlink(missing_ok=True)
            lock.close()

    def datasets(self) -> list[tuple[Stored, float, bool]]:
        """All datasets, with when they were last used [s since 1970] and whether they are in use, latest first."""
        found: list[tuple[Stored, float, bool]] = []
        for path in self._records.glob("*.json"):
            record = read_json(path)
            record["image_sizes"] = {camera: (h, w) for camera, (h, w) in record["image_sizes"].items()}
            lease = Lease(path.with_suffix(".lock"))
            found.append((Stored(**record), path.stat().st_mtime, not lease.take(fcntl.LOCK_EX)))
            lease.close()
        return sorted(found, key=lambda each: -each[1])

    @property
    def size_bytes(self) -> int:
        """Disk space that all arrays take."""
        return sum(path.stat().st_size for path in self.folder.glob("*.npy"))

    def clear(self) -> int:
        """Remove all datasets that are not in use; returns how many bytes that freed."""
        if not self._records.exists():
            return 0
        before = self.size_bytes
        with self._alone():
            for stored, _, _ in self.datasets():
                self._remove(stored.key)
            self._sweep()
        return before - self.size_bytes

    def _make(self, stored: Stored, build: Callable[[list[str]], None]) -> None:
        with self._alone():
            self._sweep()
            self._make_room(stored)
            temporary = self._record(stored.key).with_suffix(".tmp")
            temporary.write_text(json.dumps(asdict(stored)))
            temporary.replace(self._record(stored.key))  # from now on nobody removes its arrays
        try:
            build(self._missing(stored))
        except BaseException:
            with self._alone():
                self._record(stored.key).unlink(missing_ok=True)
                self._lock(stored.key).unlink(missing_ok=True)
                self._sweep()
            raise

    def _make_room(self, stored: Stored) -> None:
        needed = sum(stored.files[name] for name in self._missing(stored))
        for old, _, _ in reversed(self.datasets()):
            if self.size_bytes + needed <= self.limit_bytes:
                return
            if old.key != stored.key:
                self._remove(old.key)
                self._sweep(keep=stored)
        used, limit = self.size_bytes, self.limit_bytes
        if used + needed > limit:
            raise StageFailedError(
                f"the decoded frames of '{stored.dataset}' take {needed / 1e9:.3g} GB, and {used / 1e9:.3g} of "
                f"{limit / 1e9:.3g} GB in '{self.folder}' are in use: set ETUDE_CACHE_GB higher, or use smaller images."
            )

    def _remove(self, key: str) -> None:
        """Remove a dataset's record unless somebody uses it."""
        lease = Lease(self._lock(key))
        if lease.take(fcntl.LOCK_EX):
            self._record(key).unlink(missing_ok=True)
            self._lock(key).unlink(missing_ok=True)
        lease.close()

    def _sweep(self, keep: Stored | None = None) -> None:
        """Remove arrays that no dataset has, and what killed processes left."""
        wanted = {name for path in self._records.glob("*.json") for name in read_json(path)["files"]}
        wanted |= set(keep.files) if keep is not None else set()
        for path in self.folder.glob("*.npy"):
            if path.name not in wanted:
                path.unlink(missing_ok=True)
        for path in self.folder.glob(".*.tmp"):
            lease = Lease(path)
            if lease.take(fcntl.LOCK_EX):
                path.unlink(missing_ok=True)
            lease.close()

    def _missing(self, stored: Stored) -> list[str]:
        return [name for name in stored.files if not (self.folder / name).exists()]

    def _record(self, key: str) -> Path:
        return self._records / f"{key}.json"

    def _lock(self, key: str) -> Path:
        return self._records / f"{key}.lock"

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Keep other processes from adding and removing datasets meanwhile; never held for long."""
        descriptor = os.open(self._records / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def _limit() -> int:
    given = os.environ.get("ETUDE_CACHE_GB", str(LIMIT_GB))
    try:
        limit = float(given)
    except ValueError:
        limit = -1.0
    if not 0 < limit < float("inf"):
        raise ConfigError(f"ETUDE_CACHE_GB = '{given}' must be a positive number of gigabytes.")
    return int(limit * 1e9)
