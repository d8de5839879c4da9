"""A stage is inputs + config + seed -> directory: under a temporary name until it is whole, skipped when done."""

import hashlib
import importlib.metadata
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.core import MismatchError
from etude.core.files import read_json, sync_directory, write_json

MANIFEST = "manifest.json"
_VERSIONS = ("etude", "lerobot", "mujoco", "numpy", "torch")


type Work = Callable[[Path], Mapping[str, Any]]
"""Fills a folder and returns the stage's result as JSON values."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """What a finished stage was made from and what it cost.

    Attributes:
        key: Config, seed and hashes of the inputs: all that decides the result.
        result: What the stage reports of itself, e.g. counters of its budget.
        wall_s: Wall-clock time of the session that finished it.
        hash: Hash of key and result; later stages name it as their input.
    """

    key: Mapping[str, Any]
    result: Mapping[str, Any]
    wall_s: float

    @property
    def hash(self) -> str:
        """16 hex digits."""
        text = json.dumps([self.key, self.result], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def run_stage(directory: Path, key: Mapping[str, Any], work: Work) -> Manifest:
    """Do a stage unless it is done.

    Args:
        directory: Where its result goes, whole or not at all.
        key: All that decides the result, as JSON values.
        work: Fills the folder it is given and returns the stage's result. The folder may hold what an earlier, killed
            try with the same key left there; `work` goes on from it.

    Raises:
        MismatchError: The stage was done with another key.
    """
    key = json.loads(json.dumps(key))
    if directory.exists():
        done = load_manifest(directory)
        _require_same(directory, done.key, key)
        return done
    partial = directory.with_name(f"{directory.name}.partial")
    started = partial / "started.json"
    if started.exists():
        _require_same(directory, read_json(started), key)
    _sweep(partial)
    write_json(started, key)
    begin_s = time.monotonic()
    result = work(partial)
    manifest = Manifest(key=key, result=dict(result), wall_s=time.monotonic() - begin_s)
    versions = {name: importlib.metadata.version(name) for name in _VERSIONS}
    record = {"key": key, "result": manifest.result, "wall_s": manifest.wall_s, "versions": versions}
    write_json(partial / MANIFEST, record)
    os.replace(partial, directory)
    sync_directory(directory.parent)
    return manifest


def load_manifest(directory: Path) -> Manifest:
    """Read the manifest of a finished stage."""
    record = read_json(directory / MANIFEST)
    return Manifest(key=record["key"], result=record["result"], wall_s=record["wall_s"])


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Say in words where two nested mappings differ, one line per value."""
    lines: list[str] = []
    for name in sorted({*old, *new}):
        a, b = old.get(name), new.get(name)
        if isinstance(a, Mapping) and isinstance(b, Mapping):
            lines += differences(a, b, f"{prefix}{name}.")  # pyright: ignore[reportUnknownArgumentType]
        elif a != b:
            lines.append(f"{prefix}{name} was {json.dumps(a)} and is now {json.dumps(b)}")
    return lines


def _sweep(partial: Path) -> None:
    """Remove what a killed try was writing: temporary files, and folders that were to be renamed."""
    for leftover in [*partial.rglob(".*.tmp")]:
        if leftover.is_dir():
            shutil.rmtree(leftover)
        else:
            leftover.unlink(missing_ok=True)


def _require_same(directory: Path, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    changed = differences(old, new)
    if changed:
        raise MismatchError(
            f"cannot resume '{directory}' with another config: {'; '.join(changed)}. "
            "Use the same options, or another run name."
        )
