"""Flow matching over action chunks: learn the velocity that carries noise to demonstrated actions in a straight line.

    x_t = (1 − t) · noise + t · actions        v* = actions − noise        loss = mean |v(x_t, t | observation) − v*|²

Acting integrates v from noise at t = 0 to t = 1 with a few Euler steps. Here actions are normalised ones.
Source: Lipman et al. 2023, "Flow matching for generative modeling"; Liu et al. 2023 (rectified flow).
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from etude.policies.features import ACTION_KEY, STATE_KEY
from etude.policies.flow.augmentation import to_unit_range
from etude.policies.flow.head import VelocityField
from etude.policies.flow.settings import FlowSettings
from etude.policies.flow.vision import CameraEncoder
from etude.policies.inputs.augmentation import random_shift


class FlowModel(nn.Module):
    """Encoders of every camera and of the robot's state, and the velocity field.

    Args:
        settings: Sizes and options.
        cameras: Keys of the images in a batch.
        state_size: Length of the state, S, or 0 where it is not looked at.
        action_size: Length of an action, A.
    """

    def __init__(self, settings: FlowSettings, *, cameras: Sequence[str], state_size: int, action_size: int) -> None:
        super().__init__()
        self.settings = settings
        self.chunk_shape = (settings.horizon, action_size)
        self.cameras = tuple(cameras)
        size = settings.embedding_size
        # Names of modules cannot contain dots.
        self.vision = nn.ModuleDict(
            {_module_name(key): CameraEncoder(settings.vision_widths, settings.keypoints, size) for key in self.cameras}
        )
        self.state = _mlp(state_size, size) if state_size else None
        self.merge = _mlp((len(self.cameras) + (self.state is not None)) * size, size)
        self.field = VelocityField(settings.horizon * action_size, size, settings.head_width, settings.head_blocks)

    def loss(self, batch: Mapping[str, Tensor]) -> Tensor:
        """Mean squared error of the velocity.

        Past the end of an episode its last action, repeated, counts like any: the field reads all of a chunk, and where
        a part of it is not learned, what it makes of that part while acting spoils the rest.

        Args:
            batch: Images (B, 3, height, width), state (B, S), action (B, H, A).
        """
        draws = self.settings.noise_draws
        condition = self.encode(batch).repeat(draws, 1)
        actions = batch[ACTION_KEY].repeat(draws, 1, 1)
        noise = torch.randn_like(actions)
        # One time in each of `draws` equal parts of [0, 1] for every sample: less variance than independent times.
        part = torch.arange(draws, device=actions.device).repeat_interleave(len(batch[ACTION_KEY]))
        time = (part + torch.rand(len(actions), device=actions.device)) / draws
        x = torch.lerp(noise, actions, time[:, None, None])
        return (self.field(x, time, condition).float() - (actions - noise)).square().mean()

    def sample(self, batch: Mapping[str, Tensor], noise: Tensor | None = None) -> Tensor:
        """Integrate the field from noise to a chunk per observation, (B, H, A)."""
        condition = self.encode(batch)
        x = torch.randn(len(condition), *self.chunk_shape, device=condition.device) if noise is None else noise
        return self.field.integrate(x, condition, self.settings.integration_steps)

    def encode(self, batch: Mapping[str, Tensor]) -> Tensor:
        """What is observed, as (B, embedding_size)."""
        parts = [self.vision[_module_name(key)](self._prepare(batch[key])) for key in self.cameras]
        if self.state is not None:
            parts.append(self.state(batch[STATE_KEY]))
        return self.merge(torch.cat(parts, dim=1))

    def _prepare(self, images: Tensor) -> Tensor:
        """Augment (when training) and scale to [−1, 1], in the type that the convolutions compute in."""
        pixels = images.permute(0, 2, 3, 1)
        if self.training and self.settings.shift_px:
            pixels = random_shift(pixels, self.settings.shift_px)
        device = images.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
        jitter = self.settings.colour_jitter if self.training else 0.0
        return to_unit_range(pixels, dtype, jitter).permute(0, 3, 1, 2)


def _mlp(size: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, width), nn.SiLU(), nn.Linear(width, width))


def _module_name(key: str) -> str:
    return key.replace(".", "_")
