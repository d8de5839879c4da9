"""The flow policy's velocity field as a head."""

from collections.abc import Mapping

import torch
from torch import Tensor

from etude.policies.flow.modeling_flow import FlowPolicy
from etude.policies.scoring.head import HeadPart


class FlowScorable:
    """The velocity's squared error at given noise and times."""

    takes_draws = True

    def __init__(self, policy: FlowPolicy) -> None:
        self.policy, self._network = policy, policy.model
        self.head = (HeadPart("model.field", policy.model.field),)

    def encode(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """Conditions, (B, embedding_size)."""
        return (self._network.encode(batch),)

    def row_losses(
        self, features: tuple[Tensor, ...], actions: Tensor, is_pad: Tensor, noise: Tensor, time: Tensor
    ) -> Tensor:
        """Flow matching's loss of every row, (R,); repeated actions past an episode's end count like any."""
        del is_pad
        x = torch.lerp(noise, actions, time[:, None, None])
        velocity = self._network.field(x, time, features[0])
        return (velocity - (actions - noise)).square().mean((1, 2))
