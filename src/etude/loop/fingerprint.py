"""What tells two policies apart, wherever their files lie."""

import hashlib
from dataclasses import replace
from pathlib import Path

from etude.core import PolicyFactory, Task
from etude.policies import CheckpointPolicy


def fingerprint(task: Task, policy: PolicyFactory) -> str:
    """Hash of a policy on a task (16 hex digits): of a checkpoint's files and how it is executed, not of its path."""
    digest = hashlib.sha256(task.name.encode())
    if isinstance(policy, CheckpointPolicy):
        folder = Path(policy.path)
        policy = replace(policy, path="")
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            digest.update(str(file.relative_to(folder)).encode())
            with file.open("rb") as content:
                digest.update(hashlib.file_digest(content, "sha256").digest())
    digest.update(repr(policy).encode())
    return digest.hexdigest()[:16]
