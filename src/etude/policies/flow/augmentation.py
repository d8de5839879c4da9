"""Images into the network: random changes that leave the action right, and the scale to [−1, 1].

Everything works on (B, height, width, 3) with the channels last in memory, where a row of pixels is one run of numbers.
"""

import torch
from torch import Tensor


def random_shift(images: Tensor, limit_px: int) -> Tensor:
    """Shift every image by its own whole number of pixels, repeating the border.

    Args:
        images: (B, height, width, C), any type.
        limit_px: Largest shift along each axis.
    """
    batch, height, width, _ = images.shape
    padded = _repeat_border(images, limit_px)
    shifted = torch.empty_like(images)
    # A copy per image is several times faster than one gather or grid_sample for the whole batch.
    starts = torch.randint(0, 2 * limit_px + 1, (batch, 2)).tolist()
    for index, (top, left) in enumerate(starts):
        shifted[index] = padded[index, top : top + height, left : left + width]
    return shifted


def _repeat_border(images: Tensor, margin: int) -> Tensor:
    """Pad both image axes (F.pad does not replicate uint8)."""
    batch, height, width, channels = images.shape
    padded = images.new_empty(batch, height + 2 * margin, width + 2 * margin, channels)
    columns = slice(margin, margin + width)
    padded[:, margin : margin + height, columns] = images
    padded[:, :margin, columns] = images[:, :1]
    padded[:, margin + height :, columns] = images[:, -1:]
    padded[:, :, :margin] = padded[:, :, margin : margin + 1]
    padded[:, :, margin + width :] = padded[:, :, margin + width - 1 : margin + width]
    return padded


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
        stretch, offset = torch.rand(batch, 1 + channels).mul_(2 * jitter).sub_(jitter).split([1, channels], dim=1)
        stretch = 1 + stretch
    scale = stretch.to(images.device) * (2 / 255 if images.dtype == torch.uint8 else 2)
    offset = (offset - stretch).to(images.device)
    # One offset per number of a row: broadcasting over three channels would run in steps of three.
    offset = offset[:, None].expand(batch, width, channels).reshape(batch, 1, width * channels)
    rows = images.reshape(batch, height, width * channels).to(dtype)
    return torch.addcmul(offset.to(dtype), rows, scale[:, :, None].to(dtype)).view(images.shape)
