"""LeRobot's Diffusion Policy at a size that trains on a few cores, without downloads, acting in a few steps.

It sees one observation at a time (n_obs_steps=1), as all policies trained here. Its chunks are pure functions of the
observation and the noise given: the schedule is DDIM's, which draws nothing.
"""

from typing import Any, cast

import torch
import torch.nn.functional as F
from lerobot.configs import NormalizationMode
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
from lerobot.policies.diffusion.processor_diffusion import make_diffusion_pre_post_processors
from lerobot.utils.constants import OBS_IMAGES
from torch import Tensor, nn

from etude.core import ConfigError
from etude.policies.features import STATE_KEY
from etude.policies.kind import Pipeline, PolicyKind
from etude.policies.lerobot_any import row_by_row, with_time
from etude.policies.normalisation import Statistics
from etude.policies.scoring.diffusion import DiffusionScorable

SMALL: dict[str, Any] = {
    "n_obs_steps": 1,
    "horizon": 16,
    "n_action_steps": 8,
    "pretrained_backbone_weights": None,
    "use_group_norm": True,
    "use_separate_rgb_encoder_per_camera": False,
    "down_dims": (64, 128, 256),
    "diffusion_step_embed_dim": 64,
    "noise_scheduler_type": "DDIM",
    # Learning the actions, not the noise: a few steps from pure noise then suffice.
    "prediction_type": "sample",
    "num_inference_steps": 8,
    "do_mask_loss_for_padding": True,
    # Means and deviations rather than ranges, as for every policy here: a later dataset may leave the first's range.
    "normalization_mapping": dict.fromkeys(("VISUAL", "STATE", "ACTION"), NormalizationMode.MEAN_STD),
    "clip_sample_range": 5.0,
}
"""Settings that replace Diffusion Policy's own, which are meant for a large GPU."""


class RowwiseMish(nn.Module):
    """Mish that gives a row the same bits wherever it stands in a batch.

    Torch computes the last numbers of a tensor, those that do not fill 32, by another formula: here every row fills it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, …) → (B, …)."""
        rows = x.flatten(1)
        return F.mish(F.pad(rows, (0, -rows.shape[1] % 32)))[:, : rows.shape[1]].view_as(x)


def make_diffusion(config: DiffusionConfig) -> DiffusionPolicy:
    """Make the policy.

    Raises:
        ConfigError: It has no state to look at.
    """
    if config.robot_state_feature is None:
        raise ConfigError(
            "policy 'diffusion' looks at 'observation.state', which is not among its inputs; flow does not."
        )
    policy = DiffusionPolicy(config)
    for module in list(policy.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.Mish):
                setattr(module, name, RowwiseMish())
    return policy


def predict(policy: DiffusionPolicy, batch: dict[str, Tensor], noise: Tensor | None) -> Tensor:
    """Whole chunks; LeRobot's own method cuts them to `n_action_steps`.

    Args:
        policy: In eval mode.
        batch: One observation each, which stands for all that it looks at, as in LeRobot at an episode's beginning; or
            with an axis of time, (B, n_obs_steps, …).
        noise: (B, H, A), or with that of the actions before the present, (B, horizon, A); else those are drawn.
    Returns:
        (B, H, A), from the present on.
    """
    observed = {key: batch[key] for key in policy.config.input_features or {}}
    if policy.config.noise_scheduler_type == "DDIM" and policy.config.n_obs_steps == 1:
        return _sample(policy, observed, noise)
    return row_by_row(lambda row, start: _sample(policy, row, start), observed, noise)  # DDPM draws at every step


def chunk_length(config: DiffusionConfig) -> int:
    """Actions from the present on."""
    return config.horizon - config.n_obs_steps + 1


def _sample(policy: DiffusionPolicy, observed: dict[str, Tensor], noise: Tensor | None) -> Tensor:
    steps = policy.config.n_obs_steps
    if observed[STATE_KEY].ndim == 2:
        observed = {key: value[:, None].expand(-1, steps, *value.shape[1:]) for key, value in observed.items()}
    if policy.config.image_features:
        observed[OBS_IMAGES] = torch.stack([observed[key] for key in policy.config.image_features], dim=-4)
    condition = policy.diffusion._prepare_global_conditioning(observed)  # pyright: ignore[reportPrivateUsage]
    if noise is not None and noise.shape[1] == chunk_length(policy.config):
        noise = torch.cat([torch.randn(len(noise), steps - 1, noise.shape[2]).to(noise), noise], dim=1)
    chunks = policy.diffusion.conditional_sample(len(condition), global_cond=condition, noise=noise)
    return chunks[:, steps - 1 :]


def _loss(policy: DiffusionPolicy, batch: dict[str, Tensor]) -> Tensor:
    loss, _ = policy.forward(with_time(policy, batch))
    return loss


def _processors(config: DiffusionConfig, statistics: Statistics) -> tuple[Pipeline, Pipeline]:
    return make_diffusion_pre_post_processors(config, cast(dict[str, dict[str, Tensor]], statistics))


DIFFUSION = PolicyKind(
    name="diffusion",
    config=DiffusionConfig,
    make=make_diffusion,
    processors=_processors,
    defaults=SMALL,
    takes_noise=True,
    loss=_loss,
    predict=predict,
    horizon=chunk_length,
    scorable=DiffusionScorable,
)
