"""The part of LeRobot's policy interface that executes chunks."""

from abc import abstractmethod
from collections import deque
from typing import Any, Unpack

import torch
from lerobot.policies.pretrained import ActionSelectKwargs, PreTrainedPolicy
from torch import Tensor

from etude.core import MismatchError
from etude.policies.chunked.configuration import ChunkedConfig


class ChunkedPolicy(PreTrainedPolicy):
    """A policy of LeRobot's that predicts whole chunks; batches carry LeRobot's keys and normalised values.

    Those who inherit make their network after `__init__`, and predict in `chunk`.
    """

    config_class: Any = ChunkedConfig
    name: Any = "chunked"

    def __init__(self, config: ChunkedConfig, **_unused: Any) -> None:
        super().__init__(config)
        config.validate_features()
        self.config: Any = config
        self.reset()

    @property
    def state_size(self) -> int:
        """Length of the proprioception, S; 0 where there is none."""
        state = self.config.robot_state_feature
        return state.shape[0] if state else 0

    @abstractmethod
    def chunk(self, batch: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        """A chunk per observation, (B, H, A), in eval mode; from `noise` (B, H, A) if it is given and used."""

    # LeRobot's annotation says dict; its optimisers take groups of parameters, as its own policies return them.
    def get_optim_params(self) -> list[dict[str, Any]]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """All parameters, at one learning rate, laid out so that LeRobot can save the state of their optimiser."""
        for parameter in self.parameters():
            parameter.data = parameter.data.contiguous()  # convolutions are channels-last; safetensors refuse that
        return [{"params": [parameter for parameter in self.parameters() if parameter.requires_grad]}]

    def reset(self) -> None:
        """Forget what is left of the last chunk."""
        self._queue: deque[Tensor] = deque(maxlen=self.config.n_action_steps)

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Tensor], **kwargs: Unpack[ActionSelectKwargs]) -> Tensor:
        """A chunk per observation, (B, H, A), from `noise` (B, H, A) if it is given.

        Raises:
            MismatchError: Images of another size than it was trained on; LeRobot's commands do not look.
        """
        for key, feature in self.config.image_features.items():
            size, wanted = tuple(batch[key].shape[-2:]), tuple(feature.shape[-2:])
            if size != wanted:
                raise MismatchError(
                    f"'{key}' is {size[0]} × {size[1]} px, the policy was trained on {wanted[0]} × {wanted[1]}: "
                    "make the images as large."
                )
        self.eval()
        return self.chunk(batch, kwargs.get("noise"))

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **kwargs: Unpack[ActionSelectKwargs]) -> Tensor:
        """One action, (B, A); a new chunk is predicted when the last is used up."""
        if not self._queue:
            chunk = self.predict_action_chunk(batch, **kwargs)
            self._queue.extend(chunk[:, : self.config.n_action_steps].unbind(dim=1))
        return self._queue.popleft()
