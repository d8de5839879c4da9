"""The velocity field that carries noise to actions, given what was observed."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TIME_FREQUENCIES = 16


class VelocityField(nn.Module):
    """v(x_t, t | c) over flattened chunks: a residual MLP whose layers are scaled and shifted by (c, t).

    Noise is in every number of x_t, and v has to carry all of it: a chunk of more numbers than the MLP is wide cannot
    get through. Then x_t, times a gate that (c, t) sets, is led around it, and the MLP is left with the actions: with
    14 joints and 32 steps the loss fell from 0.61 to 0.07. Chunks that fit do better without (docs/results.md).
    """

    def __init__(self, chunk_size: int, condition_size: int, width: int, blocks: int) -> None:
        super().__init__()
        self.time = nn.Linear(2 * TIME_FREQUENCIES, condition_size)
        self.enter = nn.Linear(chunk_size, width)
        self.blocks = nn.ModuleList(ModulatedBlock(width, condition_size) for _ in range(blocks))
        self.leave = nn.Linear(width, chunk_size)
        self.around = nn.Linear(condition_size, 1) if chunk_size > width else None
        for layer in (self.leave, self.around):
            if layer is not None:
                nn.init.zeros_(layer.weight)
                nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        """Evaluate the field.

        Args:
            x: Noised chunks, (N, H, A).
            time: Where they are between noise (0) and actions (1), (N,).
            condition: What was observed, (N, condition_size).
        Returns:
            Velocities, (N, H, A).
        """
        context = F.silu(condition + self.time(_fourier(time)))
        return self._velocity(x, [block.modulation(context) for block in self._modulated()], self._gate(context))

    def integrate(self, noise: Tensor, condition: Tensor, steps: int) -> Tensor:
        """Carry noise to actions by Euler's method.

        What does not depend on x is computed for all steps at once: on a processor these are small tensors, and every
        operation costs about the same.

        Args:
            noise: (B, H, A).
            condition: What was observed, (B, condition_size).
            steps: How many, of equal length.
        Returns:
            Chunks, (B, H, A).
        """
        times = torch.arange(steps, device=noise.device) / steps
        context = F.silu(condition + self.time(_fourier(times))[:, None])  # (steps, B, condition_size)
        modulations = [block.modulation(context) for block in self._modulated()]
        gates = self._gate(context)
        x = noise
        for i in range(steps):
            at_step = [(scale[i], shift[i]) for scale, shift in modulations]
            x = x + self._velocity(x, at_step, None if gates is None else gates[i]) / steps
        return x

    def _velocity(self, x: Tensor, modulations: Sequence[tuple[Tensor, Tensor]], gate: Tensor | None) -> Tensor:
        hidden = self.enter(x.flatten(1))
        for block, (scale, shift) in zip(self.blocks, modulations, strict=True):
            hidden = block(hidden, scale, shift)
        velocity = self.leave(F.silu(hidden)).view_as(x)
        return velocity if gate is None else velocity + gate[:, :, None] * x

    def _modulated(self) -> list["ModulatedBlock"]:
        return [block for block in self.blocks if isinstance(block, ModulatedBlock)]  # as they are typed

    def _gate(self, context: Tensor) -> Tensor | None:
        """How much of x_t is led around, (…, N, 1); None where nothing is."""
        return None if self.around is None else self.around(context)


class ModulatedBlock(nn.Module):
    """hidden + MLP(scale · norm(hidden) + shift), with scale and shift from the context."""

    def __init__(self, width: int, condition_size: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulate = nn.Linear(condition_size, 2 * width)
        self.expand = nn.Linear(width, 2 * width)
        self.contract = nn.Linear(2 * width, width)

    def modulation(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """1 + scale, and shift, (…, width) each, for contexts (…, condition_size)."""
        scale, shift = self.modulate(context).chunk(2, dim=-1)
        return 1 + scale, shift

    def forward(self, hidden: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """(N, width) → (N, width)."""
        modulated = self.norm(hidden) * scale + shift
        return hidden + self.contract(F.silu(self.expand(modulated)))


def _fourier(time: Tensor) -> Tensor:
    """Times in [0, 1] as sines and cosines of up to 64 half-turns, (N,) → (N, 2 · TIME_FREQUENCIES)."""
    frequencies = torch.logspace(0, 6, TIME_FREQUENCIES, base=2, device=time.device) * math.pi
    angles = time[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=1)
