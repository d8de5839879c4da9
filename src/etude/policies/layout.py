"""A checkpoint folder in LeRobot's layout: which files it has, and reading its weights strictly."""

from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from etude.core import EtudeError, MismatchError
from etude.core.files import read_json

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
PREPROCESSOR_FILE, POSTPROCESSOR_FILE = "policy_preprocessor.json", "policy_postprocessor.json"


def require_whole(folder: Path) -> None:
    """Check that nothing is missing.

    Raises:
        MismatchError: Names the files that are.
    """
    if not folder.is_dir():
        raise MismatchError(f"'{folder}' is not a folder: name a checkpoint, with {CONFIG_FILE} in it.")
    missing = [name for name in (CONFIG_FILE, WEIGHTS_FILE) if not (folder / name).is_file()]
    missing += [name for file in (PREPROCESSOR_FILE, POSTPROCESSOR_FILE) for name in _missing_of(folder, file)]
    if missing:
        raise MismatchError(
            f"'{folder}' is not a whole checkpoint: {', '.join(missing)} missing. Copy the whole folder"
            + (
                "; one of LeRobot before 0.4 is converted by python -m lerobot.processor.migrate_policy_normalization."
                if {PREPROCESSOR_FILE, POSTPROCESSOR_FILE} <= {*missing}
                else " again, or save it anew."
            )
        )


def read_processor(folder: Path, name: str) -> dict[str, Any]:
    """Read the record of one of a checkpoint's processors.

    Raises:
        MismatchError: It is not one.
    """
    try:
        record: dict[str, Any] = read_json(folder / name)
    except EtudeError as error:
        raise MismatchError(f"{error} Copy the checkpoint again, or save it anew.") from error
    steps = record.get("steps") if isinstance(record, dict) else None  # pyright: ignore[reportUnnecessaryIsInstance]
    if not isinstance(steps, list):
        raise MismatchError(f"'{folder / name}' has no list of steps. Copy the checkpoint again, or save it anew.")
    return record


def _missing_of(folder: Path, name: str) -> list[str]:
    """Which files a processor lacks: its record, or the states that it names."""
    if not (folder / name).is_file():
        return [name]
    states = [str(step["state_file"]) for step in read_processor(folder, name)["steps"] if "state_file" in step]
    return [state for state in states if not (folder / state).is_file()]


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        MismatchError: It is missing or damaged.
    """
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise MismatchError(f"'{file}' cannot be read: {error}. Copy the checkpoint again, or save it anew.") from error


def load_weights(module: nn.Module, folder: Path) -> None:
    """Load a checkpoint's weights, which must be exactly the module's.

    Raises:
        MismatchError: Names what is missing, unexpected, or of another shape.
    """
    given, wanted = read_tensors(folder / WEIGHTS_FILE), module.state_dict()
    faults = {
        "missing": sorted(wanted.keys() - given.keys()),
        "unexpected": sorted(given.keys() - wanted.keys()),
        "of another shape": [
            f"{key} {tuple(given[key].shape)} instead of {tuple(wanted[key].shape)}"
            for key in sorted(wanted.keys() & given.keys())
            if given[key].shape != wanted[key].shape
        ],
    }
    found = [f"{kind}: {_shortened(keys)}" for kind, keys in faults.items() if keys]
    if found:
        raise MismatchError(f"'{folder / WEIGHTS_FILE}' does not hold this policy's weights; {'; '.join(found)}.")
    module.load_state_dict(given)


def _shortened(keys: list[str], limit: int = 5) -> str:
    more = f" and {len(keys) - limit} more" if len(keys) > limit else ""
    return ", ".join(keys[:limit]) + more
