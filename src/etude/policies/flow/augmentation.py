"""Images into the network: the scale to [−1, 1], and random changes of colour on the way.

Everything works on (B, height, width, 3) with the channels last in memory, where a row of pixels is one run of numbers.
"""

import torch
from torch import Tensor

from etude.policies.inputs.augmentation import draw_jitter


def to_unit_range(images: Tensor, dtype: torch.dtype, jitter: float = 0.0) -> Tensor:
    """Scale images to [−1, 1], with each one's contrast stretched and its channels offset at random.

    Args:
        images: (B, height, width, 3), uint8, or float in [0, 1].
        dtype: Of the result.
        jitter: Largest relative change of contrast, and largest offset; 0 draws nothing.
    """
    batch, height, width, channels = images.shape
    stretch, offset = torch.ones(batch, 1), torch.zeros(batch, channels)
    if jitter:
        stretch, offset = draw_jitter(batch, channels, jitter)
    scale = stretch.to(images.device) * (2 / 255 if images.dtype == torch.uint8 else 2)
    offset = (offset - stretch).to(images.device)
    # One offset per number of a row: broadcasting over three channels would run in steps of three.
    offset = offset[:, None].expand(batch, width, channels).reshape(batch, 1, width * channels)
    rows = images.reshape(batch, height, width * channels).to(dtype)
    return torch.addcmul(offset.to(dtype), rows, scale[:, :, None].to(dtype)).view(images.shape)
