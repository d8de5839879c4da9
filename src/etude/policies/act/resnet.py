"""Torchvision's ResNets as ACT uses them, with normalisation that learns.

LeRobot freezes the backbone's batch norm, which without pretrained weights leaves the network unnormalised. Here it is
ordinary batch norm under the same four names, so that a checkpoint still loads in plain LeRobot, which then applies
what was learned as its frozen statistics: the same function. Pretrained statistics are where it starts from.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.models import ResNet
from torchvision.models._utils import IntermediateLayerGetter

from etude.core import MismatchError


class ResNetBackbone(IntermediateLayerGetter):
    """Images to a feature map: (B, 3, height, width), normalised → (B, channels, height / 32, width / 32).

    Attributes:
        channels: Of the feature map.
    """

    def __init__(self, name: str, *, dilation: bool = False) -> None:
        make = getattr(torchvision.models, name)
        resnet: ResNet = make(
            weights=None, norm_layer=TrainableBatchNorm2d, replace_stride_with_dilation=[False, False, dilation]
        )
        super().__init__(resnet, return_layers={"layer4": "feature_map"})
        self.channels = resnet.fc.in_features

    # LeRobot's ACT asks for the layer by name; this is the only one there is.
    def forward(self, images: Tensor) -> Tensor:  # pyright: ignore[reportIncompatibleMethodOverride]
        """(B, 3, height, width) → (B, channels, h, w)."""
        return cast(dict[str, Tensor], super().forward(images))["feature_map"]


class TrainableBatchNorm2d(nn.Module):
    """Batch norm with the four tensors of FrozenBatchNorm2d and no more (nn.BatchNorm2d also counts batches)."""

    def __init__(self, size: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__()
        self.eps, self.momentum = eps, momentum
        self.weight, self.bias = nn.Parameter(torch.ones(size)), nn.Parameter(torch.zeros(size))
        self.register_buffer("running_mean", torch.zeros(size))
        self.register_buffer("running_var", torch.ones(size))

    def forward(self, features: Tensor) -> Tensor:
        """(B, C, h, w) → (B, C, h, w)."""
        mean, variance = self.get_buffer("running_mean"), self.get_buffer("running_var")
        return F.batch_norm(features, mean, variance, self.weight, self.bias, self.training, self.momentum, self.eps)


def load_resnet(backbone: ResNetBackbone, name: str, weights: str) -> None:
    """Start a ResNet from pretrained weights.

    Args:
        backbone: Changed in place.
        name: "resnet18", …
        weights: A file of them (.pth, .pt or .safetensors, with torchvision's names), or torchvision's name of them,
            as "ResNet18_Weights.IMAGENET1K_V1", which torchvision takes from its cache, or downloads.
    Raises:
        MismatchError: There are no such weights, or they are not this network's.
    """
    given = _read(name, weights)
    wanted = backbone.state_dict()
    lacking = [key for key in wanted if key not in given or given[key].shape != wanted[key].shape]
    if lacking:
        raise MismatchError(
            f"'{weights}' does not hold {name}'s weights: {lacking[0]} is missing or of another shape "
            f"({len(lacking)} such in all). Give weights of torchvision's {name}."
        )
    backbone.load_state_dict({key: given[key] for key in wanted})


def _read(name: str, weights: str) -> Mapping[str, Tensor]:
    path = Path(weights)
    if path.suffix in (".pth", ".pt", ".safetensors"):
        return _read_file(path)
    known = torchvision.models.get_model_weights(name)
    try:
        chosen = known[weights.rpartition(".")[2]]
    except KeyError:
        names = ", ".join(f"{known.__name__}.{entry}" for entry in known.__members__)
        raise MismatchError(f"no weights '{weights}' for {name}: give a file, or one of {names}.") from None
    return chosen.get_state_dict(progress=True, check_hash=True)


def _read_file(path: Path) -> Mapping[str, Tensor]:
    if not path.is_file():
        raise MismatchError(f"there is no file '{path}' to take the backbone's weights from.")
    if path.suffix == ".safetensors":
        from etude.policies.layout import read_tensors

        return read_tensors(path)
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler meets
        raise MismatchError(f"'{path}' cannot be read as weights: {' '.join(str(error).split())[:200]}.") from error
    return loaded
