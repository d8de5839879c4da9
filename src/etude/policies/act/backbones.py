"""The networks that ACT can look at images with, by name; torch-free, because the command line lists them."""

from dataclasses import dataclass
from typing import Literal

from etude.core import UnknownNameError

type Gate = Literal["bam", "cbam", "eca"]


@dataclass(frozen=True, kw_only=True)
class BackboneChoice:
    """A network that ACT can look at images with.

    Attributes:
        about: What it is, in a few words.
        gate: How its residual blocks attend; "" for torchvision's, which do not.
    """

    about: str
    gate: Gate | Literal[""] = ""


BACKBONES = {
    "light": BackboneChoice(about="light, attention to channels and places at once", gate="bam"),
    "light-cbam": BackboneChoice(about="light, to channels and then places, by maxima too", gate="cbam"),
    "light-eca": BackboneChoice(about="light, to channels by a few weights, then places", gate="eca"),
    "resnet18": BackboneChoice(about="torchvision's, that of LeRobot's ACT"),
    "resnet34": BackboneChoice(about="torchvision's"),
    "resnet50": BackboneChoice(about="torchvision's"),
}


def find_backbone(name: str) -> BackboneChoice:
    """Find a backbone.

    Raises:
        UnknownNameError: There is none of that name.
    """
    if name not in BACKBONES:
        raise UnknownNameError("backbone", name, tuple(BACKBONES))
    return BACKBONES[name]
