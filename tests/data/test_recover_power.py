"""What a power cut leaves: only what was synced. A file's content counts from its fsync, its name from its folder's."""

import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from data.recordings import SPEC, episode

from etude.core.files import write_json
from etude.data import DatasetMeta, DatasetWriter, FrameCache, encode, recover


class Disk:
    """Remembers what reached the disk: content of files and entries of folders, each when it was synced.

    What was never synced counts as lost: a name as absent, a content as empty.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._contents: dict[tuple[int, int], bytes] = {}  # (inode, mtime) -> content
        self._entries: dict[int, dict[str, tuple[int, int, bool]]] = {}  # inode -> name -> (inode, mtime, folder?)
        self._fsync = os.fsync
        monkeypatch.setattr(os, "fsync", self._synced)

    def _synced(self, descriptor: int) -> None:
        self._fsync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").resolve()
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self.remember_folder(path)
        else:
            self._contents[status.st_ino, status.st_mtime_ns] = path.read_bytes()

    def remember_folder(self, path: Path) -> None:
        inodes = {child.name: child.stat() for child in path.iterdir()}
        self._entries[path.stat().st_ino] = {
            name: (s.st_ino, s.st_mtime_ns, stat.S_ISDIR(s.st_mode)) for name, s in inodes.items()
        }

    def after_a_power_cut(self, folder: Path, out: Path) -> None:
        """Write what is left of a folder that had been there for long."""
        self._restore(folder.stat().st_ino, out)

    def _restore(self, inode: int, out: Path) -> None:
        out.mkdir()
        for name, (child, mtime, is_folder) in self._entries.get(inode, {}).items():
            if is_folder:
                self._restore(child, out / name)
            else:
                (out / name).write_bytes(self._contents.get((child, mtime), b""))


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(monkeypatch)


def cuts(writer: DatasetWriter) -> Iterator[int]:
    for seed in range(3):
        writer.commit(encode(episode(seed), SPEC.fps))
        yield seed + 1
    writer.finalize()
    yield 3


def test_every_episode_that_was_reported_saved_survives_a_power_cut(tmp_path: Path, disk: Disk):
    place = tmp_path / "data"
    place.mkdir()
    for saved in cuts(DatasetWriter.create(place / "dataset", SPEC)):
        left = tmp_path / "left"
        disk.after_a_power_cut(place, left)
        assert recover(left / "dataset") == saved
        cache = FrameCache.open(left / "dataset", tmp_path / "frames")
        assert DatasetMeta.open(left / "dataset").total_frames == 9 * saved
        for index in range(saved):
            assert (cache.action[cache.episode(index)] == episode(index).action).all()
        shutil.rmtree(left)


def test_a_file_in_new_folders_survives_a_power_cut(tmp_path: Path, disk: Disk):
    write_json(tmp_path / "a/b/c.json", {"x": 1})
    disk.after_a_power_cut(tmp_path, tmp_path.with_name("left"))
    assert (tmp_path.with_name("left") / "a/b/c.json").read_text() == '{\n "x": 1\n}\n'
