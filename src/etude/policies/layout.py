"""A checkpoint folder in LeRobot's layout: which files it has, and reading its weights strictly."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from etude.core import MismatchError

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.safetensors"
PREPROCESSOR_FILE, POSTPROCESSOR_FILE = "policy_preprocessor.json", "policy_postprocessor.json"


def require_whole(folder: Path) -> None:
    """Check that nothing is missing.

    Raises:
        MismatchError: Names the files that are.
    """
    names = (CONFIG_FILE, WEIGHTS_FILE, PREPROCESSOR_FILE, POSTPROCESSOR_FILE)
    missing = [name for name in names if not (folder / name).is_file()]
    if missing:
        raise MismatchError(f"'{folder}' is not a whole checkpoint: {', '.join(missing)} missing.")


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Read a safetensors file.

    Raises:
        MismatchError: It is missing or damaged.
    """
    try:
        return load_file(file)
    except (SafetensorError, OSError) as error:
        raise MismatchError(f"'{file}' cannot be read: {error}.") from error


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
