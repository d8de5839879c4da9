"""What a flow policy is made of, registered with LeRobot under the name "flow"."""

from dataclasses import dataclass, field

from lerobot.configs import NormalizationMode, PreTrainedConfig
from lerobot.optim import AdamWConfig, CosineDecayWithWarmupSchedulerConfig

from etude.core import ConfigError

# LeRobot writes into its configs, so this one cannot be frozen.


@PreTrainedConfig.register_subclass("flow")
@dataclass(kw_only=True)
class FlowConfig(PreTrainedConfig):
    """A small flow-matching policy over action chunks.

    Attributes:
        horizon: Actions in a chunk, H.
        n_action_steps: How many of them LeRobot's `select_action` executes before it asks again.
        vision_widths: Channels after the stem and after each residual block; every one halves the resolution.
        keypoints: Points that a camera's spatial softmax reports.
        embedding_size: Size of what the head is told about the observation.
        head_width: Hidden size of the velocity field.
        head_blocks: Residual blocks of the velocity field.
        integration_steps: Euler steps from noise to actions.
        noise_draws: Pairs of noise and time per training sample; the images are encoded only once for all of them.
        shift_px: Largest random shift of a training image along each axis, in pixels.
        colour_jitter: Largest random change of a training image's contrast, and of each channel's offset, as a fraction.
        optimizer_lr: Peak learning rate that `lerobot-train` uses.
        optimizer_weight_decay: Weight decay that `lerobot-train` uses.
    """

    horizon: int = 16
    n_action_steps: int = 8
    vision_widths: tuple[int, ...] = (16, 32, 64)
    keypoints: int = 32
    embedding_size: int = 128
    head_width: int = 192
    head_blocks: int = 3
    integration_steps: int = 6
    noise_draws: int = 4
    shift_px: int = 4
    colour_jitter: float = 0.1
    optimizer_lr: float = 1e-3
    optimizer_weight_decay: float = 1e-4

    # Images are scaled inside the network, so that their statistics never matter.
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: {
            "VISUAL": NormalizationMode.IDENTITY,
            "STATE": NormalizationMode.MEAN_STD,
            "ACTION": NormalizationMode.MEAN_STD,
        }
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        self.vision_widths = tuple(self.vision_widths)
        counts = ("horizon", "n_action_steps", "keypoints", "embedding_size", "head_width", "head_blocks")
        for name in (*counts, "integration_steps", "noise_draws"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 1.")
        if not self.vision_widths or min(self.vision_widths) < 1:
            raise ConfigError(f"vision_widths = {self.vision_widths} must be one or more positive channel counts.")
        if self.n_action_steps > self.horizon:
            raise ConfigError(f"n_action_steps = {self.n_action_steps} must be at most horizon = {self.horizon}.")
        if self.shift_px < 0 or not 0 <= self.colour_jitter < 1:
            raise ConfigError("shift_px must be at least 0 and colour_jitter in [0, 1).")

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
