"""A flow checkpoint that only acts, read without LeRobot, whose import takes a worker several seconds.

Bit for bit the same chunks as through LeRobot's pipelines (a test says so).
"""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from etude.core import MismatchError
from etude.core.files import read_json
from etude.policies.features import ACTION_KEY, IMAGE_PREFIX, STATE_KEY, Features
from etude.policies.flow.network import FlowModel
from etude.policies.flow.settings import FlowSettings
from etude.policies.inputs.reading import read_inputs
from etude.policies.inputs.settings import STEP_NAME, FittedInputs
from etude.policies.inputs.views import see
from etude.policies.layout import CONFIG_FILE, PREPROCESSOR_FILE, load_weights, read_tensors
from etude.policies.normalisation import NORMALISATION


class FlowPredictor:
    """A trained flow network with the statistics of its normaliser.

    Args:
        network: In eval mode.
        features: What it was made for.
        statistics: "<feature>.mean" and "<feature>.std" of state and action.
        eps: Added to a deviation that is divided by.
        inputs: What the network sees of the images; None is all of them, as they come.
    """

    def __init__(
        self,
        network: FlowModel,
        features: Features,
        statistics: Mapping[str, Tensor],
        eps: float,
        inputs: FittedInputs | None = None,
    ) -> None:
        self.features = inputs.given(features) if inputs else features
        self._network, self._statistics, self._eps, self._inputs = network, statistics, eps, inputs

    @property
    def horizon(self) -> int:
        """Actions in a chunk, H."""
        return self._network.settings.horizon

    @property
    def observed(self) -> int:
        """Only the present."""
        return 1

    @classmethod
    def load(cls, folder: Path) -> Self | None:
        """Read a checkpoint; None where it is not a flow policy normalised in our way, which needs LeRobot.

        Raises:
            MismatchError: Damaged, or not strictly this policy's.
        """
        config: dict[str, Any] = read_json(folder / CONFIG_FILE)
        if config.get("type") != "flow" or config.get("normalization_mapping") != NORMALISATION:
            return None
        preprocessor = read_json(folder / PREPROCESSOR_FILE)
        normaliser = _only_normaliser(preprocessor)
        if normaliser is None:
            return None
        names = {field.name for field in fields(FlowSettings)}
        settings = FlowSettings(**{name: value for name, value in config.items() if name in names})
        features = Features.from_config(config)
        network = FlowModel(
            settings,
            cameras=[IMAGE_PREFIX + camera for camera in features.cameras],
            state_size=features.state_size,
            action_size=features.action_size,
        )
        load_weights(nn.ModuleDict({"model": network}), folder)
        statistics = read_tensors(folder / normaliser["state_file"])
        missing = [key for key in _statistics_keys(features) if key not in statistics]
        if missing:
            raise MismatchError(f"'{folder / normaliser['state_file']}' lacks {', '.join(missing)}.")
        eps = float(normaliser["config"]["eps"])
        return cls(network.eval(), features, statistics, eps, read_inputs(preprocessor))

    @torch.inference_mode()
    def predict(self, batch: Mapping[str, Tensor], noise: Tensor) -> Tensor:
        """Predict a chunk per observation.

        Args:
            batch: Images and state, under LeRobot's keys, in the data's units.
            noise: (B, H, A) standard normal.
        Returns:
            Actions in the data's units, (B, H, A).
        """
        if self._inputs:
            batch = see(batch, self._inputs, augment=False)
        if self._network.state is not None:
            mean, std = (self._statistics[f"{STATE_KEY}.{name}"] for name in ("mean", "std"))
            batch = {**batch, STATE_KEY: (batch[STATE_KEY] - mean) / (std + self._eps)}
        chunks = self._network.sample(batch, noise)
        mean, std = (self._statistics[f"{ACTION_KEY}.{name}"] for name in ("mean", "std"))
        return chunks * std + mean


def _only_normaliser(preprocessor: Mapping[str, Any]) -> dict[str, Any] | None:
    """The normaliser's record, where it is the only step that changes values, but for the image inputs."""
    neutral = {"to_batch_processor", "device_processor", "rename_observations_processor", STEP_NAME}
    found: list[dict[str, Any]] = []
    for step in preprocessor["steps"]:
        if step.get("registry_name") == "normalizer_processor" and step["config"]["norm_map"] == NORMALISATION:
            found.append(step)
        elif step.get("registry_name") not in neutral or step["config"].get("rename_map"):
            return None
    return found[0] if len(found) == 1 else None


def _statistics_keys(features: Features) -> list[str]:
    keys = (STATE_KEY, ACTION_KEY) if features.state_size else (ACTION_KEY,)
    return [f"{key}.{name}" for key in keys for name in ("mean", "std")]
