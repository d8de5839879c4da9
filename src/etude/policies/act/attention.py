"""Attention that returns no weights, which lets torch compute it in one fused operation."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FusedAttention(nn.MultiheadAttention):
    """nn.MultiheadAttention under the same names, the same function; the weights that LeRobot drops are not made."""

    def forward(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None, **_unused: Any
    ) -> tuple[Tensor, None]:
        """Attend.

        Args:
            query: (S, B, D).
            key: (T, B, D).
            value: (T, B, D).
            key_padding_mask: (B, T), true where there is nothing.
        """
        projections = zip((query, key, value), self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3), strict=True)
        heads = (  # (B, heads, S, D / heads) each
            F.linear(tokens, weight, bias).unflatten(2, (self.num_heads, -1)).permute(1, 2, 0, 3)
            for tokens, weight, bias in projections
        )
        queries, keys, values = heads
        there = None if key_padding_mask is None else ~key_padding_mask[:, None, None]
        dropout = self.dropout if self.training else 0.0
        mixed = _attend(queries, keys, values, there, dropout).permute(2, 0, 1, 3).flatten(2)
        return F.linear(mixed, self.out_proj.weight, self.out_proj.bias), None


def _attend(query: Tensor, key: Tensor, value: Tensor, there: Tensor | None, dropout: float) -> Tensor:
    if query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, there, dropout)
    # On a CPU torch's backward pass in bfloat16 takes five times as long as in float32 (torch 2.11).
    with torch.autocast("cpu", enabled=False):
        return F.scaled_dot_product_attention(query.float(), key.float(), value.float(), there, dropout)


def fuse_attention(module: nn.Module) -> None:
    """Replace every attention in a module, keeping its parameters."""
    for name, child in list(module.named_children()):
        if type(child) is nn.MultiheadAttention:
            fused = FusedAttention(child.embed_dim, child.num_heads, dropout=child.dropout)
            fused.load_state_dict(child.state_dict())
            setattr(module, name, fused)
        else:
            fuse_attention(child)
