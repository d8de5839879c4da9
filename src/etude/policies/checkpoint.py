"""Building policies by name, and reading them back strictly."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.processor_act import make_act_pre_post_processors
from lerobot.policies.factory import make_pre_post_processors
from lerobot.policies.pretrained import PreTrainedPolicy
from torch import Tensor

from etude.core import ConfigError, MismatchError
from etude.core.files import read_json
from etude.data import FeatureStatistics
from etude.policies.act import SMALL, make_act
from etude.policies.features import ACTION_KEY, IMAGE_PREFIX, STATE_KEY, Features
from etude.policies.flow.configuration_flow import FlowConfig
from etude.policies.flow.modeling_flow import FlowPolicy
from etude.policies.flow.processor_flow import make_flow_pre_post_processors
from etude.policies.layout import CONFIG_FILE, load_weights, require_whole
from etude.policies.model import ChunkModel
from etude.policies.names import check_policy_name
from etude.policies.normalisation import for_features


def build_policy(
    name: str, features: Features, statistics: FeatureStatistics, rng: np.random.Generator, **options: Any
) -> ChunkModel:
    """Build an untrained policy.

    Args:
        name: One of `policy_names()`.
        features: Sizes of what it sees and does.
        statistics: Mean and deviation of "observation.state" and "action", for its normaliser.
        rng: Draws the initial weights.
        options: Fields of the policy's config that differ from its defaults.
    Raises:
        UnknownNameError: No policy has that name.
        ConfigError: An option that the policy does not have, or a value it cannot take.
    """
    check_policy_name(name)
    config = _config(name, features, options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**62)))
        policy = _policy(config)
    stats = for_features(statistics.features, features)
    if isinstance(config, FlowConfig):
        processors = make_flow_pre_post_processors(config, stats)
    else:
        processors = make_act_pre_post_processors(cast(ACTConfig, config), cast(dict[str, dict[str, Tensor]], stats))
    return ChunkModel(policy, *processors)


def load_model(path: Path | str, features: Features | None = None) -> ChunkModel:
    """Read a checkpoint in LeRobot's layout; its normaliser keeps the statistics it was saved with.

    Args:
        path: A folder with config.json, model.safetensors and the two processors.
        features: What it will be used on; checked when given.
    Raises:
        MismatchError: Files, weights or features are missing, too many, or of another size; the message names them.
        UnknownNameError: A policy of a type that is not built in.
    """
    folder = Path(path)
    require_whole(folder)
    check_policy_name(str(read_json(folder / CONFIG_FILE).get("type")))
    config = _read_config(folder)
    policy = _policy(config)
    load_weights(policy, folder)
    model = ChunkModel(policy.eval(), *make_pre_post_processors(config, pretrained_path=str(folder)))
    if features is not None:
        model.features.check(features, f"what '{folder}' is given")
    return model


def _config(name: str, features: Features, options: Mapping[str, Any]) -> PreTrainedConfig:
    height, width = features.image_size
    images = {
        IMAGE_PREFIX + camera: PolicyFeature(FeatureType.VISUAL, (3, height, width)) for camera in features.cameras
    }
    state = {STATE_KEY: PolicyFeature(FeatureType.STATE, (features.state_size,))}
    action = {ACTION_KEY: PolicyFeature(FeatureType.ACTION, (features.action_size,))}
    make, defaults = (FlowConfig, {}) if name == "flow" else (ACTConfig, SMALL)
    unknown = set(options) - set(make.__dataclass_fields__)
    if unknown:
        raise ConfigError(
            f"policy '{name}' has no option {', '.join(sorted(unknown))}. "
            f"It has: {', '.join(sorted(make.__dataclass_fields__))}."
        )
    settings: dict[str, Any] = {"device": "cpu", "push_to_hub": False, **defaults, **options}
    try:
        config = make(input_features={**images, **state}, output_features=action, **settings)
        config.validate_features()
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ConfigError(f"policy '{name}' cannot be made so: {error}") from error
    return config


def _policy(config: PreTrainedConfig) -> PreTrainedPolicy:
    return FlowPolicy(config) if isinstance(config, FlowConfig) else make_act(cast(ACTConfig, config))


def _read_config(folder: Path) -> PreTrainedConfig:
    try:
        return PreTrainedConfig.from_pretrained(folder)
    except (json.JSONDecodeError, ValueError, TypeError, KeyError) as error:
        raise MismatchError(f"'{folder / CONFIG_FILE}' is not a policy's config: {error}") from error
