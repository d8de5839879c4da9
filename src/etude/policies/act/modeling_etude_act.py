"""ACT with a choice of backbone behind LeRobot's policy interface."""

from typing import Any

from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy, ACTTemporalEnsembler
from lerobot.policies.pretrained import PreTrainedPolicy

from etude.policies.act.backbones import find_backbone
from etude.policies.act.configuration_etude_act import EtudeActConfig
from etude.policies.act.light import LightBackbone
from etude.policies.act.network import ActNetwork
from etude.policies.act.resnet import ResNetBackbone, load_resnet


class EtudeActPolicy(ACTPolicy):
    """LeRobot's ACT over a network of the same function, in which the backbone can be chosen."""

    config_class: Any = EtudeActConfig
    name: Any = "etude_act"

    def __init__(self, config: ACTConfig, **_unused: Any) -> None:
        PreTrainedPolicy.__init__(self, config)  # ACTPolicy's would build LeRobot's network first
        config.validate_features()
        self.config = config
        self.model = ActNetwork(config, _backbone(config))
        if config.temporal_ensemble_coeff is not None:
            self.temporal_ensembler = ACTTemporalEnsembler(config.temporal_ensemble_coeff, config.chunk_size)
        self.reset()

    def get_optim_params(self) -> Any:
        """The backbone at its own learning rate, laid out so that LeRobot can save the state of their optimiser."""
        for parameter in self.parameters():
            parameter.data = parameter.data.contiguous()  # convolutions are channels-last; safetensors refuse that
        return super().get_optim_params()


def make_act(config: ACTConfig) -> EtudeActPolicy:
    """Make an untrained ACT, from pretrained weights of the backbone where the config names them.

    With a ResNet the policy's config is LeRobot's own, so that its checkpoints load without Etude.

    Raises:
        MismatchError: There are no such weights.
    """
    if not isinstance(config, EtudeActConfig):
        return EtudeActPolicy(config)
    policy = EtudeActPolicy(config.as_lerobots())
    weights = config.pretrained_backbone_weights
    if weights and isinstance(policy.model.backbone, ResNetBackbone):
        load_resnet(policy.model.backbone, config.backbone, weights)
    return policy


def _backbone(config: ACTConfig) -> LightBackbone | ResNetBackbone | None:
    if not config.image_features:
        return None
    name = config.backbone if isinstance(config, EtudeActConfig) else config.vision_backbone
    gate = find_backbone(name).gate if isinstance(config, EtudeActConfig) else ""
    if gate:
        return LightBackbone(gate, max(max(feature.shape[1:]) for feature in config.image_features.values()))
    return ResNetBackbone(name, dilation=bool(config.replace_final_stride_with_dilation))
