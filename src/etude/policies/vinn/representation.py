"""Learning what an image shows without labels: two views of it should say the same.

    online(view) → prediction,  target(other view) → projection,  loss = 2 − 2 · cos(prediction, projection)

The target follows the online network slowly and is not trained, which keeps both from saying always the same.
Source: Grill et al. 2020, "Bootstrap your own latent" (BYOL).
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.policies.flow.augmentation import to_unit_range
from etude.policies.flow.vision import CameraEncoder
from etude.policies.inputs.augmentation import random_shift
from etude.policies.vinn.configuration_vinn import VinnConfig


class Representation(nn.Module):
    """One camera's images as vectors, (B, embedding_size), and how that is learnt."""

    def __init__(self, config: VinnConfig) -> None:
        super().__init__()
        self.config = config
        encoder = CameraEncoder(config.vision_widths, config.keypoints, config.embedding_size)
        self.online = nn.Sequential(encoder, _mlp(config.embedding_size, config.projection_size))
        self.predictor = _mlp(config.projection_size, config.projection_size)
        self.target = copy.deepcopy(self.online).requires_grad_(False)

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, height, width), uint8 or float in [0, 1] → (B, embedding_size)."""
        return self.online[0](self._scaled(images, 0.0))

    def loss(self, images: Tensor) -> Tensor:
        """How far two random views of each image disagree, a scalar in [0, 4]."""
        if self.training:
            self._follow()
        first, second = self._view(images), self._view(images)
        with torch.no_grad():
            targets = self.target(first), self.target(second)
        predictions = self.predictor(self.online(second)), self.predictor(self.online(first))
        agreement = [
            F.cosine_similarity(p.float(), t.float()).mean() for p, t in zip(predictions, targets, strict=True)
        ]
        return 2 - agreement[0] - agreement[1]

    @torch.no_grad()
    def _follow(self) -> None:
        for slow, fast in zip(self.target.parameters(), self.online.parameters(), strict=True):
            slow.lerp_(fast, 1 - self.config.target_decay)

    def _view(self, images: Tensor) -> Tensor:
        pixels = images.permute(0, 2, 3, 1)
        if self.config.shift_px:
            pixels = random_shift(pixels, self.config.shift_px)
        return self._scaled(pixels.permute(0, 3, 1, 2), self.config.colour_jitter)

    def _scaled(self, images: Tensor, jitter: float) -> Tensor:
        device = images.device.type
        dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else torch.float32
        return to_unit_range(images.permute(0, 2, 3, 1), dtype, jitter).permute(0, 3, 1, 2)


def _mlp(size: int, out: int) -> nn.Sequential:
    hidden = 4 * out
    return nn.Sequential(nn.Linear(size, hidden), nn.BatchNorm1d(hidden), nn.ReLU(), nn.Linear(hidden, out))
