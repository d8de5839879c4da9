"""Building policies by name, and reading them back strictly."""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from draccus import ParsingError, decode
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.policies.factory import make_pre_post_processors
from safetensors import SafetensorError

from etude.core import ConfigError, MismatchError
from etude.core.files import read_json
from etude.data import FeatureStatistics
from etude.policies.features import ACTION_KEY, IMAGE_PREFIX, STATE_KEY, Features
from etude.policies.inputs import ImageInputs
from etude.policies.inputs.step import add_inputs
from etude.policies.kind import Pipeline, PolicyKind
from etude.policies.kinds import find_kind
from etude.policies.layout import (
    CONFIG_FILE,
    POSTPROCESSOR_FILE,
    PREPROCESSOR_FILE,
    load_weights,
    read_processor,
    require_whole,
)
from etude.policies.model import ChunkModel
from etude.policies.normalisation import for_features


def build_policy(
    name: str,
    features: Features,
    statistics: FeatureStatistics,
    rng: np.random.Generator,
    *,
    inputs: ImageInputs | None = None,
    **options: Any,
) -> ChunkModel:
    """Build an untrained policy.

    Args:
        name: One of `policy_names()`.
        features: Sizes of what it sees and does.
        statistics: Mean and deviation of "observation.state" and "action", for its normaliser.
        rng: Draws the initial weights.
        inputs: What the network sees of the images; None is all of them, as they come.
        options: Fields of the policy's config that differ from its defaults.
    Raises:
        UnknownNameError: No policy has that name.
        ConfigError: An option that the policy does not have, or a value it cannot take.
    """
    kind = find_kind(name)
    fitted = inputs.fit(features) if inputs else None
    config = _config(kind, fitted.seen(features) if fitted else features, options)
    modes = {kind: mode.value for kind, mode in vars(config)["normalization_mapping"].items()}
    stats = for_features(statistics.features, features, modes)
    with torch.random.fork_rng(devices=[]), _making(name):
        torch.manual_seed(int(rng.integers(2**62)))
        policy, (preprocessor, postprocessor) = kind.make(config), kind.processors(config, stats)
    if fitted:
        add_inputs(preprocessor, fitted)
    return ChunkModel(kind, policy, preprocessor, postprocessor)


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
    with _making(kind.name):
        policy = kind.make(config)
    load_weights(policy, folder)
    model = ChunkModel(kind, policy.eval(), *_read_processors(folder, config))
    if features is not None:
        model.features.check(features, f"what '{folder}' is given")
    return model


def _config(kind: PolicyKind, features: Features, options: Mapping[str, Any]) -> PreTrainedConfig:
    images = {
        IMAGE_PREFIX + camera: PolicyFeature(FeatureType.VISUAL, (3, *size))
        for camera, size in features.image_sizes.items()
    }
    state = {STATE_KEY: PolicyFeature(FeatureType.STATE, (features.state_size,))} if features.state_size else {}
    action = {ACTION_KEY: PolicyFeature(FeatureType.ACTION, (features.action_size,))}
    known = kind.config.__dataclass_fields__
    unknown = sorted(options.keys() - known.keys())
    if unknown:
        raise ConfigError(
            f"policy '{kind.name}' has no option {', '.join(unknown)}. It has: {', '.join(sorted(known))}."
        )
    settings: dict[str, Any] = {"device": "cpu", "push_to_hub": False, **kind.defaults, **options}
    with _making(kind.name):
        config = kind.config(input_features={**images, **state}, output_features=action, **settings)
        config.validate_features()
    kind.check_trainable(config)
    return config


@contextmanager
def _making(name: str) -> Generator[None]:
    """Say in a line why a policy cannot be made: a value it cannot take, an extra that is not installed, no network."""
    try:
        yield
    except (TypeError, ValueError, RuntimeError, ImportError, OSError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise ConfigError(f"policy '{name}' cannot be made so: {reason}.") from error


def _read_config(folder: Path) -> PreTrainedConfig:
    """As PreTrainedConfig.from_pretrained, which leaves a file in the temporary folder whenever it is called."""
    fields = dict(read_json(folder / CONFIG_FILE))
    try:
        config = decode(PreTrainedConfig.get_choice_class(fields.pop("type")), fields)
    except (ParsingError, ValueError, TypeError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise MismatchError(f"'{folder / CONFIG_FILE}' is not a policy's config: {reason}. Save it anew.") from error
    strange = [key for key in config.input_features or {} if key != STATE_KEY and not key.startswith(IMAGE_PREFIX)]
    if strange:
        raise MismatchError(
            f"the policy in '{folder}' looks at {', '.join(strange)}; here there are only '{STATE_KEY}' and "
            f"'{IMAGE_PREFIX}<camera>': train one on these."
        )
    config.device = "cpu"
    if "pretrained_backbone_weights" in config.__dataclass_fields__:
        vars(config)["pretrained_backbone_weights"] = None  # the weights are here: nothing to download
    return config


def _read_processors(folder: Path, config: PreTrainedConfig) -> tuple[Pipeline, Pipeline]:
    """The saved pipelines, on the processor, wherever they were saved."""
    here = [
        {"device_processor": {"device": "cpu"}} if "device_processor" in _steps(folder, name) else {}
        for name in (PREPROCESSOR_FILE, POSTPROCESSOR_FILE)
    ]
    try:
        return make_pre_post_processors(
            config, pretrained_path=str(folder), preprocessor_overrides=here[0], postprocessor_overrides=here[1]
        )
    except (SafetensorError, OSError, ValueError, TypeError, KeyError, ImportError, RuntimeError) as error:
        what = " ".join(str(error).split())
        raise MismatchError(f"the processors in '{folder}' cannot be read: {what} Save the checkpoint anew.") from error


def _steps(folder: Path, name: str) -> list[str]:
    return [str(step.get("registry_name")) for step in read_processor(folder, name)["steps"]]
