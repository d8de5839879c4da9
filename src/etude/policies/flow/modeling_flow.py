"""The flow policy behind LeRobot's policy interface."""

from collections import deque
from typing import Any, Unpack

import torch
from lerobot.policies.pretrained import ActionSelectKwargs, PreTrainedPolicy
from torch import Tensor

from etude.core import MismatchError
from etude.policies.flow.configuration_flow import FlowConfig
from etude.policies.flow.network import FlowModel


class FlowPolicy(PreTrainedPolicy):
    """LeRobot's policy interface over the network; batches carry LeRobot's keys and normalised values."""

    config_class: Any = FlowConfig
    name: Any = "flow"

    def __init__(self, config: FlowConfig, **_unused: Any) -> None:
        super().__init__(config)
        config.validate_features()
        self.config: FlowConfig = config
        state, action = config.robot_state_feature, config.action_feature
        assert action is not None  # validate_features
        self.model = FlowModel(
            config,
            cameras=tuple(config.image_features),
            state_size=state.shape[0] if state else 0,
            action_size=action.shape[0],
        )
        self.reset()

    # LeRobot's annotation says dict; its optimisers take groups of parameters, as its own policies return them.
    def get_optim_params(self) -> list[dict[str, Any]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """All parameters, at one learning rate, laid out so that LeRobot can save the state of their optimiser."""
        for parameter in self.parameters():
            parameter.data = parameter.data.contiguous()  # convolutions are channels-last; safetensors refuse that
        return [{"params": list(self.parameters())}]

    def reset(self) -> None:
        """Forget what is left of the last chunk."""
        self._queue: deque[Tensor] = deque(maxlen=self.config.n_action_steps)

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """The loss of a batch; draws from torch's global stream."""
        loss = self.model.loss(batch)
        return loss, {"velocity_mse": float(loss.detach())}

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Tensor], **kwargs: Unpack[ActionSelectKwargs]) -> Tensor:
        """A chunk per observation, (B, H, A), from `noise` (B, H, A) if it is given.

        Raises:
            MismatchError: Images of another size than it was trained on; LeRobot's commands do not look.
        """
        self._check_images(batch)
        self.eval()
        return self.model.sample(batch, kwargs.get("noise"))

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **kwargs: Unpack[ActionSelectKwargs]) -> Tensor:
        """One action, (B, A); a new chunk is predicted when the last is used up."""
        if not self._queue:
            chunk = self.predict_action_chunk(batch, **kwargs)
            self._queue.extend(chunk[:, : self.config.n_action_steps].unbind(dim=1))
        return self._queue.popleft()

    def _check_images(self, batch: dict[str, Tensor]) -> None:
        for key, feature in self.config.image_features.items():
            size, wanted = tuple(batch[key].shape[-2:]), feature.shape[-2:]
            if size != tuple(wanted):
                raise MismatchError(
                    f"'{key}' is {size[0]} × {size[1]} px, the policy was trained on {wanted[0]} × {wanted[1]}: "
                    "make the images as large."
                )
