"""Flow matching over action chunks: learn the velocity that carries noise to demonstrated actions in a straight line.

    x_t = (1 − t) · noise + t · actions        v* = actions − noise        loss = mean |v(x_t, t | observation) − v*|²

Acting integrates v from noise at t = 0 to t = 1 with a few Euler steps. Here actions are normalised ones.
Source: Lipman et al. 2023, "Flow matching for generative modeling"; Liu et al. 2023 (rectified flow).
"""

from collections import deque
from typing import Any, Unpack

import torch
from lerobot.policies.pretrained import ActionSelectKwargs, PreTrainedPolicy
from lerobot.utils.constants import ACTION, OBS_STATE
from torch import Tensor, nn

from etude.policies.flow.augmentation import random_shift, to_unit_range
from etude.policies.flow.configuration_flow import FlowConfig
from etude.policies.flow.head import VelocityField
from etude.policies.flow.vision import CameraEncoder


class FlowPolicy(PreTrainedPolicy):
    """LeRobot's policy interface over the network; batches carry LeRobot's keys and normalised values."""

    config_class: Any = FlowConfig
    name: Any = "flow"

    def __init__(self, config: FlowConfig, **_unused: Any) -> None:
        super().__init__(config)
        config.validate_features()
        self.config: FlowConfig = config
        self.model = FlowModel(config)
        self.reset()

    def get_optim_params(self) -> dict[str, Any]:
        """All parameters, at one learning rate."""
        return {"params": list(self.parameters())}

    def reset(self) -> None:
        """Forget what is left of the last chunk."""
        self._queue: deque[Tensor] = deque(maxlen=self.config.n_action_steps)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch; draws from torch's global stream."""
        loss = self.model.loss(batch)
        return loss, {"velocity_mse": float(loss.detach())}

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Tensor], **kwargs: Unpack[ActionSelectKwargs]) -> Tensor:
        """A chunk per observation, (B, H, A), from `noise` (B, H, A) if it is given."""
        self.eval()
        return self.model.sample(batch, kwargs.get("noise"))

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **kwargs: Unpack[ActionSelectKwargs]) -> Tensor:
        """One action, (B, A); a new chunk is predicted when the last is used up."""
        if not self._queue:
            chunk = self.predict_action_chunk(batch, **kwargs)
            self._queue.extend(chunk[:, : self.config.n_action_steps].unbind(dim=1))
        return self._queue.popleft()


class FlowModel(nn.Module):
    """Encoders of every camera and of the robot's state, and the velocity field."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        assert config.action_feature is not None  # FlowConfig.validate_features
        self.chunk_shape = (config.horizon, config.action_feature.shape[0])
        self.cameras = tuple(config.image_features)
        # Names of modules cannot contain dots.
        self.vision = nn.ModuleDict(
            {_module_name(key): CameraEncoder(config.vision_widths, config.keypoints, config.embedding_size)
             for key in self.cameras}
        )  # fmt: skip
        state = config.robot_state_feature
        self.state = _mlp(state.shape[0], config.embedding_size) if state is not None else None
        parts = len(self.cameras) + (state is not None)
        self.merge = _mlp(parts * config.embedding_size, config.embedding_size)
        chunk_size = self.chunk_shape[0] * self.chunk_shape[1]
        self.field = VelocityField(chunk_size, config.embedding_size, config.head_width, config.head_blocks)

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        """Mean squared error of the velocity over the actions that exist.

        Args:
            batch: Images (B, 3, height, width), state (B, S), action (B, H, A), action_is_pad (B, H).
        """
        draws = self.config.noise_draws
        condition = self.encode(batch).repeat(draws, 1)
        actions = batch[ACTION].repeat(draws, 1, 1)
        noise = torch.randn_like(actions)
        # One time in each of `draws` equal parts of [0, 1] for every sample: less variance than independent times.
        part = torch.arange(draws, device=actions.device).repeat_interleave(len(batch[ACTION]))
        time = (part + torch.rand(len(actions), device=actions.device)) / draws
        x = torch.lerp(noise, actions, time[:, None, None])
        error = (self.field(x, time, condition).float() - (actions - noise)).square().mean(2)
        if "action_is_pad" not in batch:
            return error.mean()
        real = (~batch["action_is_pad"]).to(error.dtype).repeat(draws, 1)
        return (error * real).sum() / real.sum().clamp(min=1)

    def sample(self, batch: dict[str, Tensor], noise: Tensor | None = None) -> Tensor:
        """Integrate the field from noise to a chunk per observation, (B, H, A)."""
        condition = self.encode(batch)
        x = torch.randn(len(condition), *self.chunk_shape, device=condition.device) if noise is None else noise
        steps = self.config.integration_steps
        for step in range(steps):
            time = torch.full((len(x),), step / steps, device=x.device)
            x = x + self.field(x, time, condition) / steps
        return x

    def encode(self, batch: dict[str, Tensor]) -> Tensor:
        """What is observed, as (B, embedding_size)."""
        parts = [self.vision[_module_name(key)](self._prepare(batch[key])) for key in self.cameras]
        if self.state is not None:
            parts.append(self.state(batch[OBS_STATE]))
        return self.merge(torch.cat(parts, dim=1))

    def _prepare(self, images: Tensor) -> Tensor:
        """Augment (when training) and scale to [−1, 1], in the type that the convolutions compute in."""
        pixels = images.permute(0, 2, 3, 1)
        if self.training and self.config.shift_px:
            pixels = random_shift(pixels, self.config.shift_px)
        device = images.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
        jitter = self.config.colour_jitter if self.training else 0.0
        return to_unit_range(pixels, dtype, jitter).permute(0, 3, 1, 2)


def _mlp(size: int, width: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(size, width), nn.SiLU(), nn.Linear(width, width))


def _module_name(key: str) -> str:
    return key.replace(".", "_")
