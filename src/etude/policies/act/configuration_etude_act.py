"""ACT with a choice of backbone as LeRobot's config, registered under the name "etude_act"."""

from dataclasses import dataclass, fields
from typing import Any

from lerobot.configs import PreTrainedConfig
from lerobot.policies.act.configuration_act import ACTConfig

from etude.policies.act.backbones import find_backbone


@PreTrainedConfig.register_subclass("etude_act")
@dataclass
class EtudeActConfig(ACTConfig):
    """LeRobot's ACT at a size that trains on a few cores, with the backbone of your choice.

    Attributes:
        backbone: One of `BACKBONES`; used instead of `vision_backbone`.
        pretrained_backbone_weights: For ResNets: a file, or torchvision's name of the weights to start from.
    """

    backbone: str = "light"
    chunk_size: int = 16
    n_action_steps: int = 8
    pretrained_backbone_weights: str | None = None
    dim_model: int = 128
    n_heads: int = 4
    dim_feedforward: int = 512
    n_encoder_layers: int = 2
    n_vae_encoder_layers: int = 2
    dropout: float = 0.0
    optimizer_lr: float = 3e-4
    optimizer_lr_backbone: float = 3e-4

    def __post_init__(self) -> None:
        super().__post_init__()
        if find_backbone(self.backbone).gate and self.pretrained_backbone_weights:
            raise ValueError(
                f"backbone '{self.backbone}' has no pretrained weights: leave out pretrained_backbone_weights, "
                "or take a ResNet."
            )

    def as_lerobots(self) -> ACTConfig:
        """The same as LeRobot's own ACT, where its backbones suffice; itself where they do not.

        Weights to start from are left out: a checkpoint holds what became of them.
        """
        if find_backbone(self.backbone).gate:
            return self
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(ACTConfig) if field.init}
        values |= {"vision_backbone": self.backbone, "pretrained_backbone_weights": None}
        return ACTConfig(**values)
