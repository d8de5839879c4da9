"""The flow policy's settings as LeRobot's config, registered under the name "flow"."""

from dataclasses import dataclass

from lerobot.configs import PreTrainedConfig

from etude.core import ConfigError
from etude.policies.chunked.configuration import ChunkedConfig
from etude.policies.flow.settings import FlowSettings


@PreTrainedConfig.register_subclass("flow")
@dataclass(kw_only=True)
class FlowConfig(FlowSettings, ChunkedConfig):
    """A flow policy for LeRobot's commands."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.check()

    def validate_features(self) -> None:
        """Check that there is something to see and something to do.

        Raises:
            ConfigError: No action, or neither state nor images.
        """
        if self.action_feature is None:
            raise ConfigError("a flow policy needs the output feature 'action'.")
        if self.robot_state_feature is None and not self.image_features:
            raise ConfigError("a flow policy needs 'observation.state' or at least one image among its inputs.")
