"""A policy cut in two: an encoder, whose features are computed once, and the head that turns them into a loss."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor, nn


@dataclass(frozen=True)
class HeadPart:
    """A module of the head.

    Attributes:
        name: Its name in the policy.
        module: The module.
        row_axis: Axis of the rows in what its layers are given; 1 where time or tokens come first.
    """

    name: str
    module: nn.Module
    row_axis: int = 0


class Scorable(Protocol):
    """A policy, in eval mode, whose loss can be asked for row by row; a row is an observation, a chunk and a draw."""

    @property
    def policy(self) -> nn.Module:
        """All of it: of what lies outside the head, too, nothing may take part in a gradient."""
        ...

    @property
    def head(self) -> tuple[HeadPart, ...]:
        """The modules between features and loss whose gradients are meant."""
        ...

    @property
    def takes_draws(self) -> bool:
        """Whether its loss depends on noise and time; one draw is enough where it does not."""
        ...

    def encode(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """What the head is told about normalised observations, each tensor (B, …)."""
        ...

    def row_losses(
        self, features: tuple[Tensor, ...], actions: Tensor, is_pad: Tensor, noise: Tensor, time: Tensor
    ) -> Tensor:
        """The policy's own loss of every row, mean over the actions that exist.

        Args:
            features: Those of each row's observation, (R, …) each.
            actions: Normalised chunks, (R, H, A).
            is_pad: Which actions lie past the episode's end, (R, H).
            noise: Standard normal, (R, H, A).
            time: In [0, 1), (R,).
        Returns:
            (R,); each depends on its own row alone.
        """
        ...


def mean_of_rows(error: Tensor, is_pad: Tensor) -> Tensor:
    """Mean of errors (R, H, A) over each row's actions that exist, (R,)."""
    real = (~is_pad).to(error.dtype)
    return (error.mean(2) * real).sum(1) / real.sum(1).clamp(min=1)
