"""Building policies by name, and reading them back strictly."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.policies.factory import make_pre_post_processors

from etude.core import ConfigError, MismatchError
from etude.core.files import read_json
from etude.data import FeatureStatistics
from etude.policies.features import ACTION_KEY, IMAGE_PREFIX, STATE_KEY, Features
from etude.policies.kind import PolicyKind
from etude.policies.kinds import find_kind
from etude.policies.layout import CONFIG_FILE, load_weights, require_whole
from etude.policies.model import ChunkModel
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
    kind = find_kind(name)
    config = _config(kind, features, options)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(rng.integers(2**62)))
        policy = kind.make(config)
    return ChunkModel(kind, policy, *kind.processors(config, for_features(statistics.features, features)))


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
    kind = find_kind(str(read_json(folder / CONFIG_FILE).get("type")))
    config = _read_config(folder)
    policy = kind.make(config)
    load_weights(policy, folder)
    model = ChunkModel(kind, policy.eval(), *make_pre_post_processors(config, pretrained_path=str(folder)))
    if features is not None:
        model.features.check(features, f"what '{folder}' is given")
    return model


def _config(kind: PolicyKind, features: Features, options: Mapping[str, Any]) -> PreTrainedConfig:
    height, width = features.image_size
    images = {
        IMAGE_PREFIX + camera: PolicyFeature(FeatureType.VISUAL, (3, height, width)) for camera in features.cameras
    }
    state = {STATE_KEY: PolicyFeature(FeatureType.STATE, (features.state_size,))}
    action = {ACTION_KEY: PolicyFeature(FeatureType.ACTION, (features.action_size,))}
    known = kind.config.__dataclass_fields__
    unknown = sorted(options.keys() - known.keys())
    if unknown:
        raise ConfigError(
            f"policy '{kind.name}' has no option {', '.join(unknown)}. It has: {', '.join(sorted(known))}."
        )
    settings: dict[str, Any] = {"device": "cpu", "push_to_hub": False, **kind.defaults, **options}
    try:
        config = kind.config(input_features={**images, **state}, output_features=action, **settings)
        config.validate_features()
    except (TypeError, ValueError, NotImplementedError) as error:
        raise ConfigError(f"policy '{kind.name}' cannot be made so: {error}") from error
    return config


def _read_config(folder: Path) -> PreTrainedConfig:
    try:
        return PreTrainedConfig.from_pretrained(folder)
    except (json.JSONDecodeError, ValueError, TypeError, KeyError) as error:
        raise MismatchError(f"'{folder / CONFIG_FILE}' is not a policy's config: {error}") from error
