"""What tells two policies, or two datasets, apart, wherever their files lie."""

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from etude.core import PolicyFactory, Task
from etude.policies import CheckpointPolicy


def fingerprint(task: Task, policy: PolicyFactory) -> str:
    """Hash of a policy on a task (16 hex digits): of a checkpoint's files and how it is executed, not of its path."""
    content = b""
    if isinstance(policy, CheckpointPolicy):
        folder = Path(policy.path)
        policy = replace(policy, path="")
        content = _content(folder, folder.rglob("*"))
    return _digits(task.name.encode() + content + repr(policy).encode())


def checkpoint_hash(folder: Path) -> str:
    """Hash of a checkpoint's files (16 hex digits), not of its path."""
    return _digits(_content(folder, folder.rglob("*")))


def dataset_hash(root: Path) -> str:
    """Hash of a dataset's metadata (16 hex digits), statistics of every episode among it, not of its path.

    What Etude keeps beside it, such as the command that wrote it, does not count.
    """
    meta = root / "meta"
    return _digits(_content(meta, (path for path in meta.rglob("*") if (meta / "etude") not in path.parents)))


def _content(folder: Path, paths: Iterable[Path]) -> bytes:
    """The name and the hash of each file."""
    content = b""
    for file in sorted(path for path in paths if path.is_file()):
        with file.open("rb") as opened:
            content += str(file.relative_to(folder)).encode() + hashlib.file_digest(opened, "sha256").digest()
    return content


def _digits(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]
