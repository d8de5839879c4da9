"""VINN's settings as LeRobot's config, registered under the name "vinn"."""

from dataclasses import dataclass

from lerobot.configs import PreTrainedConfig

from etude.core import ConfigError
from etude.policies.chunked.configuration import ChunkedConfig


@PreTrainedConfig.register_subclass("vinn")
@dataclass(kw_only=True)
class VinnConfig(ChunkedConfig):
    """A policy that looks moments up in a memory.

    Attributes:
        neighbours: Remembered moments that a chunk is made of, k; `etude train` chooses it by the validation episodes.
        memory_size: Moments that the memory has room for. `etude train` fills it after the last step and sets this;
            `lerobot-train` needs it given, and the memory then holds the last moments that were trained on.
        state_weight: How much the robot's state counts beside one camera, when moments are compared.
        keypoints: Points that a camera's spatial softmax reports.
        embedding_size: Size of a camera's part of a moment's key.
        projection_size: Size in which two views of an image are made to agree.
        target_decay: Of the slowly following network whose view is predicted.
        shift_px: Largest random shift of a view along each axis, in pixels.
        colour_jitter: Largest random change of a view's contrast and of its channels' offsets, as a fraction.
    """

    neighbours: int = 8
    memory_size: int = 0
    state_weight: float = 1.0
    keypoints: int = 32
    embedding_size: int = 64
    projection_size: int = 64
    target_decay: float = 0.99
    shift_px: int = 4
    colour_jitter: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("neighbours", "keypoints", "embedding_size", "projection_size"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 1.")
        for name in ("memory_size", "state_weight", "shift_px"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 0.")
        for name in ("target_decay", "colour_jitter"):
            if not 0 <= getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be in [0, 1).")

    def validate_features(self) -> None:
        """Check that there is something to look at, and something to do.

        Raises:
            ConfigError: No action or no image.
        """
        if self.action_feature is None:
            raise ConfigError("policy 'vinn' needs the output feature 'action'.")
        if not self.image_features:
            raise ConfigError("policy 'vinn' learns to see, and there is no image among its inputs: use flow.")
