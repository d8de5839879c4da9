"""Diffusion Policy's U-Net as a head."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from etude.policies.lerobot_any import with_time
from etude.policies.scoring.head import HeadPart, mean_of_rows


class DiffusionScorable:
    """The denoiser's squared error at given noise and steps of the schedule.

    Args:
        policy: LeRobot's DiffusionPolicy, which looks at one observation.
    """

    takes_draws = True

    def __init__(self, policy: Any) -> None:
        self.policy, self._diffusion = policy, policy.diffusion
        self.head = (HeadPart("diffusion.unet", policy.diffusion.unet),)

    def encode(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Conditions, (B, C)."""
        config = self.policy.config
        seen = with_time(self.policy, dict(batch))
        if config.image_features:
            seen["observation.images"] = torch.stack([seen[key] for key in config.image_features], dim=-4)
        return (self._diffusion._prepare_global_conditioning(seen),)

    def row_losses(
        self, features: tuple[Tensor, ...], actions: Tensor, is_pad: Tensor, noise: Tensor, time: Tensor
    ) -> Tensor:
        """The denoising loss of every row, (R,); time 0 is the schedule's first step, with the least noise."""
        schedule = self._diffusion.noise_scheduler
        steps = (time * schedule.config.num_train_timesteps).long()
        noised = schedule.add_noise(actions, noise, steps)
        guess = self._diffusion.unet(noised, steps, global_cond=features[0])
        target = noise if self.policy.config.prediction_type == "epsilon" else actions
        return mean_of_rows((guess - target).square(), is_pad)
