"""The flow policy's settings as LeRobot's config, registered under the name "flow"."""

from dataclasses import dataclass, field

from lerobot.configs import NormalizationMode, PreTrainedConfig
from lerobot.optim import AdamWConfig, CosineDecayWithWarmupSchedulerConfig

from etude.core import ConfigError
from etude.policies.flow.settings import NORMALISATION, FlowSettings


def _normalization() -> dict[str, NormalizationMode]:
    return {kind: NormalizationMode(mode) for kind, mode in NORMALISATION.items()}


@PreTrainedConfig.register_subclass("flow")
@dataclass(kw_only=True)
class FlowConfig(FlowSettings, PreTrainedConfig):
    """A flow policy for LeRobot's commands.

    Attributes:
        optimizer_lr: Peak learning rate that `lerobot-train` uses.
        optimizer_weight_decay: Weight decay that `lerobot-train` uses.
    """

    optimizer_lr: float = 1e-3
    optimizer_weight_decay: float = 1e-4
    normalization_mapping: dict[str, NormalizationMode] = field(default_factory=_normalization)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.vision_widths = tuple(self.vision_widths)
        self.check()

    def get_optimizer_preset(self) -> AdamWConfig:
        """What `lerobot-train` optimises with."""
        return AdamWConfig(lr=self.optimizer_lr, weight_decay=self.optimizer_weight_decay, grad_clip_norm=1.0)

    def get_scheduler_preset(self) -> CosineDecayWithWarmupSchedulerConfig:
        """How `lerobot-train` changes the learning rate."""
        return CosineDecayWithWarmupSchedulerConfig(
            num_warmup_steps=100, num_decay_steps=4000, peak_lr=self.optimizer_lr, decay_lr=self.optimizer_lr / 100
        )

    def validate_features(self) -> None:
        """Check that there is something to see and something to do.

        Raises:
            ConfigError: No action, or neither state nor images.
        """
        if self.action_feature is None:
            raise ConfigError("a flow policy needs the output feature 'action'.")
        if self.robot_state_feature is None and not self.image_features:
            raise ConfigError("a flow policy needs 'observation.state' or at least one image among its inputs.")

    @property
    def observation_delta_indices(self) -> None:
        """Only the present is observed."""

    @property
    def action_delta_indices(self) -> list[int]:
        """The steps, relative to the present, whose actions make up a chunk."""
        return list(range(self.horizon))

    @property
    def reward_delta_indices(self) -> None:
        """Rewards are not used."""
