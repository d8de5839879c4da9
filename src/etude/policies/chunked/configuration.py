"""Settings that LeRobot asks of every policy, answered once."""

from dataclasses import dataclass, field

from lerobot.configs import NormalizationMode, PreTrainedConfig
from lerobot.optim import AdamWConfig, CosineDecayWithWarmupSchedulerConfig

from etude.core import ConfigError
from etude.policies.normalisation import NORMALISATION


def _normalization() -> dict[str, NormalizationMode]:
    return {kind: NormalizationMode(mode) for kind, mode in NORMALISATION.items()}


@dataclass(kw_only=True)
class ChunkedConfig(PreTrainedConfig):
    """Config of a policy that predicts a chunk of actions from the present observation.

    Attributes:
        horizon: Actions in a chunk, H.
        n_action_steps: How many of them LeRobot's `select_action` executes before it asks again.
        vision_widths: Channels of the image encoder; see `etude.policies.flow.vision`.
        optimizer_lr: Peak learning rate that `lerobot-train` uses.
        optimizer_weight_decay: Weight decay that `lerobot-train` uses.
    """

    horizon: int = 16
    n_action_steps: int = 8
    vision_widths: tuple[int, ...] = (32, 64)
    optimizer_lr: float = 1e-3
    optimizer_weight_decay: float = 1e-4
    normalization_mapping: dict[str, NormalizationMode] = field(default_factory=_normalization)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.vision_widths = tuple(self.vision_widths)  # JSON has lists
        for name in ("horizon", "n_action_steps"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 1.")
        if self.n_action_steps > self.horizon:
            raise ConfigError(f"n_action_steps = {self.n_action_steps} must be at most horizon = {self.horizon}.")
        if not self.vision_widths or min(self.vision_widths) < 1:
            raise ConfigError(f"vision_widths = {self.vision_widths} must be one or more positive channel counts.")

    def get_optimizer_preset(self) -> AdamWConfig:
        """What `lerobot-train` optimises with."""
        return AdamWConfig(lr=self.optimizer_lr, weight_decay=self.optimizer_weight_decay, grad_clip_norm=1.0)

    def get_scheduler_preset(self) -> CosineDecayWithWarmupSchedulerConfig:
        """How `lerobot-train` changes the learning rate."""
        return CosineDecayWithWarmupSchedulerConfig(
            num_warmup_steps=100, num_decay_steps=4000, peak_lr=self.optimizer_lr, decay_lr=self.optimizer_lr / 100
        )

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
