"""Random changes of training images that leave the action right; drawn from torch's global stream."""

import torch
from torch import Tensor


def random_shift(images: Tensor, limit_px: int) -> Tensor:
    """Shift every image by its own whole number of pixels, repeating the border.

    Args:
        images: (B, height, width, C), any type; fastest with the channels last in memory.
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


def draw_jitter(batch: int, channels: int, limit: float) -> tuple[Tensor, Tensor]:
    """Draw how each image's contrast and channels change, for images scaled to [−1, 1].

    Args:
        batch: Images, B.
        channels: Their channels, C.
        limit: Largest relative change of contrast, and largest offset.
    Returns:
        Factors (B, 1) around 1 and offsets (B, C).
    """
    change, offset = torch.rand(batch, 1 + channels).mul_(2 * limit).sub_(limit).split([1, channels], dim=1)
    return 1 + change, offset


def jittered(fractions: Tensor, limit: float) -> Tensor:
    """Stretch every image's contrast around grey and offset its channels.

    Args:
        fractions: (B, C, height, width) floats in [0, 1]; what comes out may lie a little outside.
        limit: See `draw_jitter`.
    """
    stretch, offset = draw_jitter(fractions.shape[0], fractions.shape[1], limit)
    grey = (0.5 * (1 + offset - stretch))[:, :, None, None]  # what keeps 0.5 where it is, and the offset on [−1, 1]
    return torch.addcmul(grey.to(fractions), fractions, stretch[:, :, None, None].to(fractions))
