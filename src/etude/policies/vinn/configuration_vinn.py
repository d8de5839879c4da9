"""VINN's settings as LeRobot's config, registered under the name "vinn"."""

from dataclasses import dataclass, field

from lerobot.configs import NormalizationMode, PreTrainedConfig
from lerobot.optim import AdamWConfig, CosineDecayWithWarmupSchedulerConfig

from etude.core import ConfigError


def _normalization() -> dict[str, NormalizationMode]:
    return {
        "VISUAL": NormalizationMode.IDENTITY,  # images are scaled inside the network
        "STATE": NormalizationMode.MEAN_STD,
        "ACTION": NormalizationMode.MEAN_STD,
    }


@PreTrainedConfig.register_subclass("vinn")
@dataclass(kw_only=True)
class VinnConfig(PreTrainedConfig):
    """A policy that looks moments up in a memory.

    Attributes:
        horizon: Actions in a chunk, H.
        n_action_steps: How many of them LeRobot's `select_action` executes before it asks again.
        neighbours: Remembered moments that a chunk is made of, k; `etude train` chooses it by the validation episodes.
        memory_size: Moments that the memory has room for. `etude train` fills it after the last step and sets this;
            `lerobot-train` needs it given, and the memory then holds the last moments that were trained on.
        state_weight: How much the robot's state counts beside one camera, when moments are compared.
        vision_widths: Channels of the image encoder; see the flow policy.
        keypoints: Points that a camera's spatial softmax reports.
        embedding_size: Size of a camera's part of a moment's key.
        projection_size: Size in which two views of an image are made to agree.
        target_decay: Of the slowly following network whose view is predicted.
        shift_px: Largest random shift of a view along each axis, in pixels.
        colour_jitter: Largest random change of a view's contrast and of its channels' offsets, as a fraction.
        optimizer_lr: Peak learning rate that `lerobot-train` uses.
        optimizer_weight_decay: Weight decay that `lerobot-train` uses.
    """

    horizon: int = 16
    n_action_steps: int = 8
    neighbours: int = 8
    memory_size: int = 0
    state_weight: float = 1.0
    vision_widths: tuple[int, ...] = (32, 64)
    keypoints: int = 32
    embedding_size: int = 64
    projection_size: int = 64
    target_decay: float = 0.99
    shift_px: int = 4
    colour_jitter: float = 0.2
    optimizer_lr: float = 1e-3
    optimizer_weight_decay: float = 1e-4
    normalization_mapping: dict[str, NormalizationMode] = field(default_factory=_normalization)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.vision_widths = tuple(self.vision_widths)
        for name in ("horizon", "n_action_steps", "neighbours", "keypoints", "embedding_size", "projection_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 1.")
        for name in ("memory_size", "state_weight", "shift_px"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 0.")
        for name in ("target_decay", "colour_jitter"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be in [0, 1).")
        if not self.vision_widths or min(self.vision_widths) < 1:
            raise ConfigError(f"vision_widths = {self.vision_widths} must be one or more positive channel counts.")
        if self.n_action_steps > self.horizon:
            raise ConfigError(f"n_action_steps = {self.n_action_steps} must be at most horizon = {self.horizon}.")

    def get_optimizer_preset(self) -> AdamWConfig:
        """What `lerobot-train` optimises with."""
        return AdamWConfig(lr=self.optimizer_lr, weight_decay=self.optimizer_weight_decay, grad_clip_norm=1.0)

    def get_scheduler_preset(self) -> CosineDecayWithWarmupSchedulerConfig:
        """How `lerobot-train` changes the learning rate."""
        return CosineDecayWithWarmupSchedulerConfig(
            num_warmup_steps=100, num_decay_steps=4000, peak_lr=self.optimizer_lr, decay_lr=self.optimizer_lr / 100
        )

    def validate_features(self) -> None:
        """Check that there is something to look at, and something to do.

        Raises:
            ConfigError: No action or no image.
        """
        if self.action_feature is None:
            raise ConfigError("policy 'vinn' needs the output feature 'action'.")
        if not self.image_features:
            raise ConfigError("policy 'vinn' learns to see, and there is no image among its inputs: use flow.")

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
