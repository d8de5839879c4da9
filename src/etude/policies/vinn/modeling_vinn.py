"""VINN behind LeRobot's policy interface."""

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from etude.core import MismatchError
from etude.policies.chunked.modeling import ChunkedPolicy
from etude.policies.features import ACTION_KEY, PAD_KEY, STATE_KEY
from etude.policies.vinn.configuration_vinn import VinnConfig
from etude.policies.vinn.memory import Memory
from etude.policies.vinn.representation import Representation

NEIGHBOURS = (1, 2, 4, 8, 16, 32, 64)
"""Numbers of neighbours that are tried on the validation episodes."""


class VinnPolicy(ChunkedPolicy):
    """LeRobot's policy interface over the memory."""

    config_class: Any = VinnConfig
    name: Any = "vinn"

    def __init__(self, config: VinnConfig, **_unused: Any) -> None:
        super().__init__(config)
        assert config.action_feature is not None  # validate_features
        # Names of modules cannot contain dots.
        self.vision = nn.ModuleDict({key.replace(".", "_"): Representation(config) for key in config.image_features})
        parts, weights = [config.embedding_size] * len(self.vision), [1.0] * len(self.vision)
        if self.state_size:
            parts, weights = [*parts, self.state_size], [*weights, config.state_weight]
        self.memory = Memory(config.memory_size, parts, weights, (config.horizon, config.action_feature.shape[0]))

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, float]]:
        """The representations' loss, mean over the cameras; draws from torch's global stream."""
        loss = torch.stack([camera.loss(batch[key]) for key, camera in self._cameras()]).mean()
        if self.training and self.config.memory_size:
            self.eval()
            with torch.no_grad():
                self.memory.write(self.encode(batch), batch[ACTION_KEY])
            self.train()
        return loss, {"disagreement": float(loss.detach())}

    def encode(self, batch: dict[str, Tensor]) -> Tensor:
        """The key of each observation, (B, D)."""
        parts = [camera(batch[key]).float() for key, camera in self._cameras()]
        return torch.cat([*parts, batch[STATE_KEY]] if self.state_size else parts, dim=1)

    def chunk(self, batch: dict[str, Tensor], noise: Tensor | None) -> Tensor:
        """What followed the moments most like each observation, (B, H, A).

        Raises:
            MismatchError: It remembers nothing yet.
        """
        if not self.memory.filled:
            raise MismatchError(
                "policy 'vinn' remembers nothing yet: `etude train` fills its memory after the last step, "
                "`lerobot-train` while it trains with --policy.memory_size=20000."
            )
        return self.memory.look_up(self.encode(batch), self.config.neighbours)

    @torch.no_grad()
    def remember(self, batches: Iterable[dict[str, Tensor]]) -> None:
        """Fill the memory with these moments and the chunks that follow them, in place of what it held."""
        self.eval()
        moments = [(self.encode(batch), batch[ACTION_KEY].to(torch.float32)) for batch in batches]
        if not moments:
            raise MismatchError("policy 'vinn' needs at least one batch of demonstrations to remember.")
        self.memory.replace(*(torch.cat(values) for values in zip(*moments, strict=True)))
        self.config.memory_size = self.memory.filled

    @torch.no_grad()
    def choose_neighbours(self, batches: Iterable[dict[str, Tensor]]) -> None:
        """Take the number of neighbours whose chunks are nearest to the demonstrated ones, the smallest of equals."""
        errors = dict.fromkeys(NEIGHBOURS, 0.0)
        for batch in batches:
            queries, real = self.encode(batch), ~batch[PAD_KEY]
            for count in errors:
                error = (self.memory.look_up(queries, count) - batch[ACTION_KEY]).abs().mean(2)
                errors[count] += float((error * real).sum())
        if any(errors.values()):
            self.config.neighbours = min(errors, key=lambda count: (errors[count], count))

    def _cameras(self) -> list[tuple[str, Representation]]:
        return [(key, cast(Representation, self.vision[key.replace(".", "_")])) for key in self.config.image_features]
