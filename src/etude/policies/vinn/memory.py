"""Remembered moments, and what to do where they look most alike: no learning in here.

    d_i = |key − key_i|        chunk = Σ exp(−d_i) · chunk_i / Σ exp(−d_i)        over the k nearest, nearest first

Source: Pari et al. 2021, Sec. III-C.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def nearest(queries: Tensor, keys: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Find the nearest keys of every query.

    Args:
        queries: (B, D).
        keys: (M, D).
        count: How many, k ≤ M.
    Returns:
        Euclidean distances (B, k), ascending, and the keys' indices (B, k) in the same order.
    """
    # Differences first: through a matrix product, near keys would lose their distance to rounding.
    distances = torch.cdist(queries, keys, compute_mode="donot_use_mm_for_euclid_dist")
    found = distances.topk(count, dim=1, largest=False, sorted=True)
    return found.values, found.indices


def weighted_mean(distances: Tensor, chunks: Tensor) -> Tensor:
    """Mean of chunks (B, k, H, A), each weighted by exp(−its distance) (B, k): (B, H, A)."""
    return torch.einsum("bk,bkha->bha", (-distances).softmax(dim=1), chunks)


class Memory(nn.Module):
    """Keys and the chunks that followed them, as buffers, so that they are part of a checkpoint.

    A key has parts (cameras, state). Each is scaled so that over the memory it varies as much as the others, number by
    number of one part's size: no part drowns the rest, and distances mean the same in every memory.

    Args:
        size: Moments it has room for, M.
        parts: Sizes of the key's parts.
        weights: How much each part counts.
        chunk: (H, A).
    """

    def __init__(self, size: int, parts: Sequence[int], weights: Sequence[float], chunk: tuple[int, int]) -> None:
        super().__init__()
        self.parts, self.weights = tuple(parts), tuple(weights)
        self.register_buffer("keys", torch.zeros(size, sum(parts)))
        self.register_buffer("chunks", torch.zeros(size, *chunk))
        self.register_buffer("written", torch.zeros((), dtype=torch.int64))

    @property
    def filled(self) -> int:
        """Moments it holds."""
        return min(int(self.get_buffer("written")), len(self.get_buffer("keys")))

    def replace(self, keys: Tensor, chunks: Tensor) -> None:
        """Forget everything, and remember these: (M, D) and (M, H, A)."""
        self.keys, self.chunks = keys.clone(), chunks.clone()
        self.get_buffer("written").fill_(len(keys))

    def write(self, keys: Tensor, chunks: Tensor) -> None:
        """Remember the last M moments: these, (B, D) and (B, H, A), in the place of the oldest."""
        written, size = self.get_buffer("written"), len(self.get_buffer("keys"))
        if not size:
            return
        keys, chunks = keys[-size:], chunks[-size:]
        places = (int(written) + torch.arange(len(keys), device=keys.device)) % size
        self.get_buffer("keys")[places] = keys.to(torch.float32)
        self.get_buffer("chunks")[places] = chunks.to(torch.float32)
        written += len(keys)

    def look_up(self, queries: Tensor, count: int) -> Tensor:
        """The chunk (B, H, A) for each query (B, D), made of `count` neighbours, or of all where there are fewer."""
        filled = self.filled
        keys, chunks = self.get_buffer("keys")[:filled], self.get_buffer("chunks")[:filled]
        scale = self._scale(keys)
        distances, indices = nearest(queries * scale, keys * scale, min(count, filled))
        return weighted_mean(distances, chunks[indices])

    def _scale(self, keys: Tensor) -> Tensor:
        """What each number of a key is multiplied by, (D,)."""
        size = max(self.parts)
        factors = [
            (weight * (size / part) ** 0.5 / values.std(dim=0, correction=0).square().mean().sqrt().clamp(min=1e-6))
            .expand(part)
            for part, weight, values in zip(self.parts, self.weights, keys.split(self.parts, dim=1), strict=True)
        ]  # fmt: skip
        return torch.cat(factors)
