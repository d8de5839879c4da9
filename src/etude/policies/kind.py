"""What makes one kind of policy different from the others, in one value."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from lerobot.configs import PreTrainedConfig
from lerobot.policies.pretrained import PreTrainedPolicy
from lerobot.processor import PolicyProcessorPipeline
from torch import Tensor

from etude.policies.normalisation import Statistics
from etude.policies.scoring.head import Scorable

type Pipeline = PolicyProcessorPipeline[Any, Any]
type Batches = Iterable[dict[str, Tensor]]
"""Batches under LeRobot's keys, normalised."""


def horizon_of(config: Any) -> int:
    """Actions in a window that a policy is trained on."""
    return len(config.action_delta_indices)


def own_loss(policy: Any, batch: dict[str, Tensor]) -> Tensor:
    """The loss the policy is trained with."""
    loss, _ = policy.forward(batch)
    return loss


def own_chunk(policy: Any, batch: dict[str, Tensor], noise: Tensor | None) -> Tensor:
    """The chunk the policy itself predicts, (B, H, A)."""
    return policy.predict_action_chunk(batch, **({} if noise is None else {"noise": noise}))


def all_trainable(_config: Any) -> None:
    """Any config of most kinds can be trained here."""


def nothing_to_conclude(_policy: Any, _training: Batches, _validation: Batches) -> None:
    """Most policies are done when their last step is."""


@dataclass(frozen=True, kw_only=True)
class PolicyKind:
    """A kind of policy: LeRobot's config and policy, and where it differs from what LeRobot does with them.

    Attributes:
        name: LeRobot's type name.
        config: LeRobot's config of this type.
        make: Makes the untrained policy of a config.
        processors: Makes the pipelines before and after the policy, from its config and the statistics.
        defaults: Settings that replace the config's own.
        check_trainable: Raises ConfigError where a policy of a config cannot be trained on windows of demonstrations.
        takes_noise: Whether a chunk starts from noise, (H, A) standard normal, which the caller may give.
        raw_images: Whether it takes images as uint8; the others get floats in [0, 1].
        loss: Mean loss of a normalised batch, a scalar; draws from torch's global stream.
        validation_loss: What checkpoints of this kind are compared by, in eval mode; without it the loss.
        predict: Chunks (B, H, A), normalised, for a normalised batch and noise (B, H, A) or None.
        horizon: Actions in a chunk, H, of a config.
        scorable: Cuts a policy into encoder and head, for gradient scores; None where that is not known.
        imitates: Whether the loss compares its actions with the demonstrated ones, so that its gradient is a score.
        conclude: Called once after the last training step with batches of the training set and of the validation set.
    """

    name: str
    config: type[PreTrainedConfig]
    make: Callable[[Any], PreTrainedPolicy]
    processors: Callable[[Any, Statistics], tuple[Pipeline, Pipeline]]
    defaults: Mapping[str, Any] = field(default_factory=dict[str, Any])
    check_trainable: Callable[[Any], None] = all_trainable
    takes_noise: bool = False
    raw_images: bool = False
    loss: Callable[[Any, dict[str, Tensor]], Tensor] = own_loss
    validation_loss: Callable[[Any, dict[str, Tensor]], Tensor] | None = None
    predict: Callable[[Any, dict[str, Tensor], Tensor | None], Tensor] = own_chunk
    horizon: Callable[[Any], int] = horizon_of
    scorable: Callable[[Any], Scorable] | None = None
    imitates: bool = True
    conclude: Callable[[Any, Batches, Batches], None] = nothing_to_conclude
