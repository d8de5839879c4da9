"""How much several policies disagree about what to do."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.acquisition.anchors import Anchors, Indices
from etude.core import MismatchError
from etude.policies.model import ChunkModel


def disagree(models: Sequence[ChunkModel], anchors: Anchors, episodes: Indices) -> Float64[NDArray[np.float64], " N"]:
    """Variance between policies of the chunks they predict at the anchors from the same noise, (N,).

    Every number of an action counts in units of its deviation over the dataset.

    Raises:
        MismatchError: Their chunks are of different lengths.
    """
    horizons = sorted({model.horizon for model in models})
    if len(horizons) > 1:
        told = " and ".join(map(str, horizons))
        raise MismatchError(f"policies that predict {told} actions cannot be compared: give some of equal horizon.")
    scale = torch.from_numpy(anchors.action_scale).clamp(min=1e-2)
    device = next(models[0].module.parameters()).device
    noise = torch.from_numpy(anchors.draws.noise[:, 0]).to(device)
    found: list[NDArray[np.float64]] = []
    for part, batch in anchors.batches(episodes):
        start = noise.repeat(len(part), 1, 1)
        chunks = torch.stack([model.predict(batch, start).cpu() for model in models]) / scale  # (models, N · m, H, A)
        variance = chunks.var(0, correction=0).mean((1, 2)).view(len(part), -1).mean(1)
        found.append(variance.double().numpy())
    return np.concatenate(found)
