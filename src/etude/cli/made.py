"""How a folder of rollouts was made: by which command with which settings, or as a stage of which run."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from etude.cli.policy import ExecutionOptions
from etude.core import EtudeError
from etude.core.files import read_json


def known_settings(source: Path) -> dict[str, Any]:
    """Task, policy and how it was executed: from a command's settings, or from the run of a loop around it.

    Raises:
        EtudeError: Neither is there.
    """
    if (source / "settings.json").exists():
        record = read_json(source / "settings.json")
        return dict(record.get("settings", record))
    run = next((parent / "run.json" for parent in source.resolve().parents if (parent / "run.json").exists()), None)
    if run is None:
        raise EtudeError(f"'{source}' does not say which task and policy it is of: it has no settings.json.")
    config = read_json(run)["config"]
    checkpoint = source.parent / "train" / "checkpoint"
    found = str(checkpoint) if checkpoint.exists() and source.name == "search" else None
    return {"task": config["task"], "execute": config["execute"], "policy": found}


def known_execution(known: Mapping[str, Any]) -> ExecutionOptions:
    """How the policy's chunks were executed."""
    names = [each.name for each in fields(ExecutionOptions)]
    return ExecutionOptions(**{name: known[name] for name in names if known.get(name) is not None})
