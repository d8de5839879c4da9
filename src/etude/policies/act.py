"""LeRobot's ACT at a size that trains on a few cores, without downloads, with normalisation that learns.

LeRobot freezes the backbone's batch norm, which without pretrained weights leaves the network unnormalised. Here the
frozen layers become ordinary ones under the same four names, so that a checkpoint still loads in plain LeRobot, which
then applies what was learned as its frozen statistics: the same function.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.act.processor_act import make_act_pre_post_processors
from lerobot.utils.constants import ACTION
from torch import Tensor, nn
from torchvision.ops.misc import FrozenBatchNorm2d

from etude.policies.kind import Pipeline, PolicyKind
from etude.policies.normalisation import Statistics

SMALL: dict[str, Any] = {
    "chunk_size": 16,
    "n_action_steps": 8,
    "pretrained_backbone_weights": None,
    "dim_model": 128,
    "n_heads": 4,
    "dim_feedforward": 512,
    "n_encoder_layers": 2,
    "n_vae_encoder_layers": 2,
    "dropout": 0.0,
    "optimizer_lr": 3e-4,
    "optimizer_lr_backbone": 3e-4,
}
"""Settings that replace ACT's own, which are meant for a large GPU."""


class TrainableBatchNorm2d(nn.Module):
    """Batch norm with the four tensors of FrozenBatchNorm2d and no more (nn.BatchNorm2d also counts batches)."""

    def __init__(self, size: int, eps: float, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size))
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_var", torch.ones(size))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return F.batch_norm(features, mean, variance, self.weight, self.bias, self.training, self.momentum, self.eps)


def make_act(config: ACTConfig) -> ACTPolicy:
    """Make an ACT whose backbone can be trained from scratch."""
    policy = ACTPolicy(config)
    _unfreeze(policy)
    return policy


def _unfreeze(module: nn.Module) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, FrozenBatchNorm2d):
            setattr(module, name, TrainableBatchNorm2d(len(child.get_buffer("weight")), child.eps))
        else:
            _unfreeze(child)


def reconstruction_loss(policy: ACTPolicy, batch: dict[str, Tensor]) -> Tensor:
    """Mean absolute error of the predicted chunks over the actions that exist, without the variational part."""
    error = F.l1_loss(policy.predict_action_chunk(batch), batch[ACTION], reduction="none").mean(2)
    real = (~batch["action_is_pad"]).to(torch.float32)
    return (error * real).sum() / real.sum().clamp(min=1)


def _processors(config: ACTConfig, statistics: Statistics) -> tuple[Pipeline, Pipeline]:
    return make_act_pre_post_processors(config, cast(dict[str, dict[str, Tensor]], statistics))


ACT = PolicyKind(
    name="act",
    config=ACTConfig,
    make=make_act,
    processors=_processors,
    defaults=SMALL,
    validation_loss=reconstruction_loss,
)
