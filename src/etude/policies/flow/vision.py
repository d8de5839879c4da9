"""One camera's image to a vector: a light residual network, attention, and the places it looks at.

Sizes for 96 × 96 pixels and widths (32, 64):  3 × 96² → 32 × 24² → 64 × 12² → keypoints and means. The stem takes a
quarter of the resolution at once: normalising and rectifying at half of it costs as much as all the rest.
"""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class CameraEncoder(nn.Module):
    """Encode images, (B, 3, height, width), uint8 or float in [0, 1], as (B, size)."""

    def __init__(self, widths: tuple[int, ...], keypoints: int, size: int) -> None:
        super().__init__()
        stem = widths[0]
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 8, stride=4, padding=2, bias=False), nn.BatchNorm2d(stem))
        self.blocks = nn.Sequential(*(ResidualBlock(before, after) for before, after in pairwise(widths)))
        self.attention = Attention(widths[-1])
        self.keypoints = SpatialSoftmax(widths[-1], keypoints)
        self.project = nn.Linear(2 * keypoints + widths[-1], size)
        # Three times faster than the default layout in bfloat16 on a CPU.
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, height, width) in [−1, 1] → (B, size)."""
        features = self.attention(self.blocks(F.relu(self.stem(images), inplace=True)))
        return self.project(torch.cat([self.keypoints(features), features.float().mean((2, 3))], dim=1))


class ResidualBlock(nn.Module):
    """Two 3 × 3 convolutions beside a 1 × 1 one, at half the resolution."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
        )
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after))
        self.shortcut = nn.Conv2d(before, after, 1, stride=2, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, before, h, w) → (B, after, h/2, w/2)."""
        return F.relu(self.second(self.first(features)) + self.shortcut(features), inplace=True)


class Attention(nn.Module):
    """Strengthen or weaken features by a learned gate over channels and places, (0, 2) around 1.

    Source: after Park et al. 2018 (BAM), with one convolution for the places.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        hidden = max(channels // reduction, 4)
        self.channels = nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))
        self.places = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        channels = self.channels(features.mean((2, 3)))[:, :, None, None]
        return features * (1 + torch.tanh(channels + self.places(features)))


class SpatialSoftmax(nn.Module):
    """The expected image coordinates, in [−1, 1], of learned feature maps.

    Source: Finn et al. 2016, "Deep spatial autoencoders for visuomotor learning".
    """

    def __init__(self, channels: int, keypoints: int) -> None:
        super().__init__()
        self.maps = nn.Conv2d(channels, keypoints, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, 2 · keypoints): x and y of each."""
        maps = self.maps(features).float().permute(0, 2, 3, 1)  # (B, h, w, K): as it lies in memory
        height, width = maps.shape[1:3]
        weight = maps.flatten(1, 2).softmax(dim=1)  # (B, h·w, K)
        y, x = torch.meshgrid(_coordinates(height, maps), _coordinates(width, maps), indexing="ij")
        places = torch.stack([x.flatten(), y.flatten()], dim=1)  # (h·w, 2)
        with torch.autocast(maps.device.type, enabled=False):  # eight bits are too few for a position
            return (weight.transpose(1, 2) @ places).flatten(1)


def _coordinates(count: int, like: Tensor) -> Tensor:
    return torch.linspace(-1, 1, count, device=like.device)
