"""A light residual network with attention, made for cameras of 96 to 224 px and a few processor cores.

Sizes at 96 × 96 px:  3 × 96² → 32 × 24² → 64 × 12² → 128 × 6² → 128 × 6², about 0.6 M parameters. The stem takes a
quarter of the resolution at once, because normalising at half of it costs as much as all the rest. Images of more than
`FINE_PX` are halved once more, so that a transformer gets about as many tokens from 224 px as from 96.
"""

from collections.abc import Callable
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.policies.act.backbones import Gate
from etude.policies.flow.vision import Attention

WIDTHS = (32, 64, 128, 128)
REDUCTION = 8  # channels for each hidden number of a gate
FINE_PX = 160


class LightBackbone(nn.Module):
    """Images to a feature map: (B, 3, height, width), normalised → (B, 128, height / 16, width / 16), or / 32.

    Attributes:
        channels: Of the feature map.
    """

    def __init__(self, gate: Gate, largest_px: int) -> None:
        super().__init__()
        self.channels, stem = WIDTHS[-1], WIDTHS[0]
        strides = (2, 2, 2 if largest_px > FINE_PX else 1)
        self.stem = nn.Sequential(nn.Conv2d(3, stem, 8, stride=4, padding=2, bias=False), nn.BatchNorm2d(stem))
        self.blocks = nn.Sequential(
            *(
                AttentiveBlock(before, after, stride, gate)
                for (before, after), stride in zip(pairwise(WIDTHS), strides, strict=True)
            )
        )

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, height, width) → (B, channels, h, w)."""
        return self.blocks(F.relu(self.stem(images), inplace=True))


class AttentiveBlock(nn.Module):
    """Two 3 × 3 convolutions, gated by attention, beside a shortcut."""

    def __init__(self, before: int, after: int, stride: int, gate: Gate) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(before, after, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(inplace=True),
        )
        self.second = nn.Sequential(nn.Conv2d(after, after, 3, padding=1, bias=False), nn.BatchNorm2d(after))
        self.attention = GATES[gate](after)
        same = before == after and stride == 1
        self.shortcut = nn.Identity() if same else nn.Conv2d(before, after, 1, stride=stride, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        """(B, before, h, w) → (B, after, h / stride, w / stride)."""
        return F.relu(self.attention(self.second(self.first(features))) + self.shortcut(features), inplace=True)


class OneAfterTheOther(nn.Module):
    """A gate over channels, then one over places, each (0, 2) around 1, both from means and maxima.

    Source: after Woo et al. 2018 (CBAM).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = _bottleneck(channels)
        self.places = _PlacesGate()

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        channels = self.channels(features.mean((2, 3))) + self.channels(features.amax((2, 3)))
        return self.places(features * (1 + torch.tanh(channels[:, :, None, None])))


class Neighbours(nn.Module):
    """A gate over channels that mixes only neighbouring ones, five weights in all, then one over places.

    Source: after Wang et al. 2020 (ECA).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = nn.Conv1d(1, 1, 5, padding=2, bias=False)
        self.places = _PlacesGate()

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        channels = self.channels(features.mean((2, 3))[:, None])[:, 0]  # (B, C)
        return self.places(features * (1 + torch.tanh(channels[:, :, None, None])))


class _PlacesGate(nn.Module):
    """A gate over places, from the mean and the maximum over channels."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.Conv2d(2, 1, 5, padding=2, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        pooled = torch.cat([features.mean(1, keepdim=True), features.amax(1, keepdim=True)], dim=1)
        return features * (1 + torch.tanh(self.mix(pooled)))


def _bottleneck(channels: int) -> nn.Sequential:
    hidden = max(channels // REDUCTION, 4)
    return nn.Sequential(nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))


def _side_by_side(channels: int) -> Attention:
    return Attention(channels, REDUCTION)


GATES: dict[Gate, Callable[[int], nn.Module]] = {"bam": _side_by_side, "cbam": OneAfterTheOther, "eca": Neighbours}
