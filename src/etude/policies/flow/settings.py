"""What a flow policy is made of; free of torch and LeRobot, so that workers that only act start quickly."""

from dataclasses import dataclass

from etude.core import ConfigError


# LeRobot's configs can be written to, and a dataclass that one of them extends cannot be frozen.
@dataclass(kw_only=True)
class FlowSettings:
    """A small flow-matching policy over action chunks.

    Attributes:
        horizon: Actions in a chunk, H.
        n_action_steps: How many of them LeRobot's `select_action` executes before it asks again.
        vision_widths: Channels after the stem, at a quarter of the resolution, and after each residual block (half).
        keypoints: Points that a camera's spatial softmax reports.
        embedding_size: Size of what the head is told about the observation.
        head_width: Hidden size of the velocity field.
        head_blocks: Residual blocks of the velocity field.
        integration_steps: Euler steps from noise to actions.
        noise_draws: Pairs of noise and time per training sample; the images are encoded only once for all of them.
        shift_px: Largest random shift of a training image along each axis, in pixels.
        colour_jitter: Largest random change of a training image's contrast and of its channels' offsets, as a fraction.
    """

    horizon: int = 16
    n_action_steps: int = 8
    vision_widths: tuple[int, ...] = (32, 64)
    keypoints: int = 32
    embedding_size: int = 128
    head_width: int = 192
    head_blocks: int = 3
    integration_steps: int = 6
    noise_draws: int = 4
    shift_px: int = 2
    colour_jitter: float = 0.1

    def check(self) -> None:
        """Check the values that are not checked for all policies.

        Raises:
            ConfigError: One that cannot work.
        """
        for name in ("keypoints", "embedding_size", "head_width", "head_blocks", "integration_steps", "noise_draws"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 1.")
        if self.shift_px < 0:
            raise ConfigError(f"shift_px = {self.shift_px} must be at least 0.")
        if not 0 <= self.colour_jitter < 1:
            raise ConfigError(f"colour_jitter = {self.colour_jitter} must be in [0, 1).")
