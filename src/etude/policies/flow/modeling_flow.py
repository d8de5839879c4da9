"""The flow policy behind LeRobot's policy interface."""

from typing import Any

from torch import Tensor

from etude.policies.chunked.modeling import ChunkedPolicy
from etude.policies.flow.configuration_flow import FlowConfig
from etude.policies.flow.network import FlowModel


class FlowPolicy(ChunkedPolicy):
    """LeRobot's policy interface over the network."""

    config_class: Any = FlowConfig
    name: Any = "flow"

    def __init__(self, config: FlowConfig, **_unused: Any) -> None:
        super().__init__(config)
        assert config.action_feature is not None  # validate_features
        self.model = FlowModel(
            config,
            cameras=tuple(config.image_features),
            state_size=self.state_size,
            action_size=config.action_feature.shape[0],
        )

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch; draws from torch's global stream."""
        loss = self.model.loss(batch)
        return loss, {"velocity_mse": float(loss.detach())}

    def chunk(self, batch: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        """A chunk per observation, (B, H, A), from noise (B, H, A)."""
        return self.model.sample(batch, noise)
