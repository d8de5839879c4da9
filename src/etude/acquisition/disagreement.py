"""How much several policies disagree about what to do."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.acquisition.anchors import Anchors, Indices
from etude.policies.model import ChunkModel


def disagree(models: Sequence[ChunkModel], anchors: Anchors, episodes: Indices) -> Float64[NDArray[np.float64], " N"]:
    """Variance between policies of the chunks they predict at the anchors from the same noise, mean over draws, (N,).

    Every number of an action counts in units of its deviation over the dataset. Where no policy starts from noise one
    draw is as good as all.
    """
    scale = torch.from_numpy(anchors.action_scale).clamp(min=1e-2)
    device = next(models[0].module.parameters()).device
    noise = torch.from_numpy(anchors.draws.noise).to(device).transpose(0, 1)  # (K, m, H, A)
    noise = noise if any(model.takes_noise for model in models) else noise[:1]
    found: list[NDArray[np.float64]] = []
    for part, batch in anchors.batches(episodes):
        total = torch.zeros(len(part), dtype=torch.double)
        for draw in noise:  # one after the other: images of every window are in memory once
            start = draw.repeat(len(part), 1, 1)
            chunks = torch.stack([model.predict(batch, start).cpu() for model in models]) / scale  # (models, N · m, …)
            total += chunks.var(0, correction=0).mean((1, 2)).view(len(part), -1).mean(1)
        found.append((total / len(noise)).numpy())
    return np.concatenate(found)
