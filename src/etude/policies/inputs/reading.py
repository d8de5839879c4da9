"""What a checkpoint remembers of its image inputs, read without torch or LeRobot."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from etude.core.files import read_json
from etude.policies.features import Features
from etude.policies.inputs.settings import STEP_NAME, FittedInputs

CONFIG_FILE, PREPROCESSOR_FILE = "config.json", "policy_preprocessor.json"


def read_inputs(preprocessor: Mapping[str, Any]) -> FittedInputs | None:
    """Find the image inputs in a preprocessor's record; None where images are seen as they come."""
    for step in preprocessor.get("steps", ()):
        if step.get("registry_name") == STEP_NAME:
            return FittedInputs.from_json(step["config"])
    return None


def checkpoint_features(folder: Path) -> Features:
    """What a checkpoint in LeRobot's layout must be given, and does.

    Raises:
        MismatchError: Its configuration does not say.
    """
    features = Features.from_config(read_json(folder / CONFIG_FILE))
    file = folder / PREPROCESSOR_FILE
    fitted = read_inputs(read_json(file)) if file.is_file() else None
    return fitted.given(features) if fitted else features
