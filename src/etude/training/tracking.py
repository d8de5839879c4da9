"""Sending what a training measures to Weights & Biases, for those who want that; nothing else here needs a service."""

import secrets
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.core import MissingDependencyError, StageFailedError
from etude.core.files import read_json, write_json

if TYPE_CHECKING:
    from etude.training.train import Track

_RECORD = "wandb.json"


@contextmanager
def wandb_track(project: str, out: Path, settings: Mapping[str, Any]) -> "Generator[Track]":
    """What tells a project of Weights & Biases; a resumed training goes on in the same run there.

    Args:
        project: Its name.
        out: The training's folder, which remembers the run.
        settings: Told as the run's configuration.

    Raises:
        MissingDependencyError: The library is missing.
        StageFailedError: It cannot be reached, or does not know who asks.
    """
    try:
        wandb: Any = import_module("wandb")
    except ImportError as error:
        raise MissingDependencyError("--wandb needs Weights & Biases' library: install etude[wandb].") from error
    record = out / _RECORD
    name: str = read_json(record)["id"] if record.exists() else secrets.token_hex(6)
    try:
        run = wandb.init(
            project=project, id=name, name=out.name, dir=str(out), config=dict(settings), resume="allow",
            settings=wandb.Settings(silent=True, console="off"),
        )  # fmt: skip
    except wandb.errors.Error as error:
        raise StageFailedError(
            f"--wandb {project}: {' '.join(str(error).split())} Log in with `wandb login`, or set WANDB_MODE=offline."
        ) from error
    write_json(record, {"project": project, "id": name})
    try:
        yield lambda step, measured: run.log(dict(measured), step=step)
    finally:
        run.finish()
