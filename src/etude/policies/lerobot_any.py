"""Any other policy of LeRobot's, or of a plugin of its, as a kind: nothing is known of it but its public interface.

A chunk is what `select_action` gives when it is asked again and again after a reset: LeRobot's policies keep the rest
of their chunk in a queue. Each observation is asked about alone, with torch's stream seeded from its noise, so that a
chunk depends on nothing else, whatever the policy draws.
"""

import sys
import warnings
import zlib
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from typing import Any, cast

import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.processor import TokenizerProcessorStep
from lerobot.utils.import_utils import register_third_party_plugins
from torch import Tensor

from etude.core import ConfigError, UnknownNameError
from etude.policies.features import ACTION_KEY, PAD_KEY
from etude.policies.kind import Pipeline, PolicyKind, horizon_of
from etude.policies.losses import mean_of_real
from etude.policies.names import POLICIES
from etude.policies.normalisation import Statistics

TINY_DEFAULTS: dict[str, dict[str, Any]] = {
    "vqbet": {"n_action_pred_token": 1, "action_chunk_size": 16, "crop_shape": None, "n_vqvae_training_steps": 1000}
}
"""Settings without which a policy cannot be trained on windows of one observation in a few thousand steps."""

ONE_OBSERVATION: dict[str, Any] = {"n_obs_steps": 1, "pretrained_backbone_weights": None, "use_group_norm": True}
"""Settings that every policy gets that has them: our windows hold one observation, and nothing is downloaded."""


def lerobot_kind(name: str) -> PolicyKind:
    """The kind of a policy that LeRobot knows.

    Raises:
        UnknownNameError: LeRobot does not know it.
    """
    if name not in PreTrainedConfig.get_known_choices():
        register_third_party_plugins()
    known = PreTrainedConfig.get_known_choices()
    if name not in known:
        raise UnknownNameError("policy", name, {*POLICIES, *known})
    config = PreTrainedConfig.get_choice_class(name)
    fields = config.__dataclass_fields__
    shared = {key: value for key, value in ONE_OBSERVATION.items() if key in fields}
    return PolicyKind(
        name=name,
        config=config,
        make=_make,
        processors=_processors,
        check_trainable=_check_trainable,
        defaults={**shared, **TINY_DEFAULTS.get(name, {})},
        takes_noise=True,
        validation_loss=action_error,
        loss=_loss,
        predict=_predict,
        horizon=chunk_length,
    )


def chunk_length(config: Any) -> int:
    """Actions that one look at the world gives: what the policy's queue holds."""
    return int(getattr(config, "action_chunk_size", None) or config.n_action_steps)


def action_error(policy: Any, batch: dict[str, Tensor]) -> Tensor:
    """Mean absolute error of the predicted chunks over the actions that exist: comparable throughout training."""
    with warnings.catch_warnings():  # VQ-BeT warns that it should not act before its first phase of training is over
        warnings.filterwarnings("ignore", message="To evaluate in the environment")
        chunks = _ask(policy, _observed(batch), chunk_length(policy.config))
    error = (chunks - batch[ACTION_KEY][:, : chunks.shape[1]]).abs().mean(2)
    return mean_of_real(error, batch[PAD_KEY][:, : chunks.shape[1]])


def with_time(policy: Any, batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """Give observations an axis of time, one long, where LeRobot's datasets give them one.

    Raises:
        ConfigError: The policy looks at more than the present.
    """
    steps = policy.config.observation_delta_indices
    if steps is None:
        return batch
    if len(steps) > 1:
        raise ConfigError(
            f"policy '{policy.name}' is trained on {len(steps)} observations at a time, and batches here hold one: "
            "set n_obs_steps=1, or train it with lerobot-train."
        )
    return {key: value[:, None] if key in policy.config.input_features else value for key, value in batch.items()}


def _loss(policy: Any, batch: dict[str, Tensor]) -> Tensor:
    window, given = horizon_of(policy.config), batch[ACTION_KEY].shape[1]
    if window != given:
        has = hasattr(policy.config, "n_action_steps")
        fix = f"set n_action_steps={window}" if has else "set its sizes so that both are equal, or use lerobot-train"
        raise ConfigError(
            f"policy '{policy.name}' gives {given} actions of each chunk and learns from {window}: {fix}."
        )
    # Some of LeRobot's policies print; stdout is for what a command was asked for. Some, as VQ-BeT, cannot compute in
    # bfloat16, which LeRobot does not do by itself either.
    with redirect_stdout(sys.stderr), torch.autocast(batch[ACTION_KEY].device.type, enabled=False):
        loss, _ = policy.forward(with_time(policy, batch))
    return loss


def row_by_row(
    predict: Callable[[dict[str, Tensor], Tensor | None], Tensor], observed: Mapping[str, Tensor], noise: Tensor | None
) -> Tensor:
    """Predict each chunk alone, with torch's stream seeded from its noise, for policies that draw while they predict.

    Args:
        predict: Chunks (1, H, A) for one observation and its noise (1, H, A).
        observed: Observations, (B, …) each.
        noise: (B, H, A); without it every chunk has the same seed.
    """
    rows = range(len(next(iter(observed.values()))))
    chunks: list[Tensor] = []
    with torch.random.fork_rng(devices=[]):
        for row in rows:
            own = None if noise is None else noise[row : row + 1]
            torch.manual_seed(0 if own is None else _seed(own))
            chunks.append(predict({key: value[row : row + 1] for key, value in observed.items()}, own))
    return torch.cat(chunks)


def _predict(policy: Any, batch: dict[str, Tensor], noise: Tensor | None) -> Tensor:
    length, observed = chunk_length(policy.config), int(getattr(policy.config, "n_obs_steps", 1))
    if observed > 1:
        raise ConfigError(
            f"policy '{policy.name}' looks at {observed} observations at once, which only lerobot-eval can show it: "
            "train it with n_obs_steps=1."
        )
    return row_by_row(lambda observed, _noise: _ask(policy, observed, length), _observed(batch), noise)


def _ask(policy: Any, observed: Mapping[str, Tensor], length: int) -> Tensor:
    """A chunk per observation through the queue of LeRobot's policies, (B, length, A)."""
    policy.reset()
    with torch.autocast(next(iter(observed.values())).device.type, enabled=False):
        chunk = [policy.select_action(dict(observed)) for _ in range(length)]
    policy.reset()
    return torch.stack(chunk, dim=1)


def _observed(batch: Mapping[str, Any]) -> dict[str, Tensor]:
    return {key: value for key, value in batch.items() if key.startswith("observation.") and isinstance(value, Tensor)}


def _seed(noise: Tensor) -> int:
    """A seed that differs wherever the noise does."""
    return zlib.crc32(noise.contiguous().cpu().numpy().tobytes())


def _check_trainable(config: PreTrainedConfig) -> None:
    if not config.action_delta_indices:
        raise ConfigError(f"policy '{config.type}' does not predict chunks of actions: use lerobot-train.")
    if config.reward_delta_indices:
        raise ConfigError(
            f"policy '{config.type}' learns from rewards, which batches here do not hold: use lerobot-train."
        )


def _make(config: PreTrainedConfig) -> PreTrainedPolicy:
    try:
        with redirect_stdout(sys.stderr):
            return get_policy_class(config.type)(config)
    except AttributeError as error:  # how several of them take a missing state or camera
        raise ConfigError(f"policy '{config.type}' cannot be made for these features: {error}.") from error


def _processors(config: PreTrainedConfig, statistics: Statistics) -> tuple[Pipeline, Pipeline]:
    pipelines = make_pre_post_processors(config, dataset_stats=cast(dict[str, dict[str, Tensor]], statistics))
    if any(isinstance(step, TokenizerProcessorStep) for step in pipelines[0].steps):
        raise ConfigError(f"policy '{config.type}' follows words, which batches here do not hold: use lerobot-train.")
    return pipelines
