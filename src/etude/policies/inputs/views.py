"""What a network sees of an image: masked, cropped and resized, in this order; then varied, while training.

image ─ grey outside `keep`, inside `hide` ─ cut out `crop` ─ resize ─ shift, jitter ─> network
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from etude.core import MismatchError
from etude.policies.features import IMAGE_PREFIX, Size
from etude.policies.inputs.augmentation import jittered, random_shift
from etude.policies.inputs.settings import CameraView, FittedInputs, pixels

GREY = 0.5


def see(batch: Mapping[str, Tensor], fitted: FittedInputs, *, augment: bool) -> dict[str, Tensor]:
    """A batch as the network sees it.

    Args:
        batch: Tensors by LeRobot's names; images (…, 3, height, width), uint8 or floats in [0, 1].
        fitted: What is seen.
        augment: Vary the images at random, drawing from torch's global stream.
    Raises:
        MismatchError: An image of another size than the checkpoint was made for.
    """
    seen = dict(batch)
    for camera, size in fitted.raw.items():
        key = IMAGE_PREFIX + camera
        if key in batch:
            given = (batch[key].shape[-2], batch[key].shape[-1])
            if not fitted.takes(camera, given):
                raise MismatchError(
                    f"'{key}' is {given[0]} × {given[1]} px; the checkpoint's inputs were made for {size[0]} × "
                    f"{size[1]} px."
                )
            images = batch[key].reshape(-1, *batch[key].shape[-3:])
            images = view(images, fitted.view(camera), fitted.inputs.size)
            if augment:
                images = _varied(images, fitted)
            seen[key] = images.reshape(*batch[key].shape[:-3], *images.shape[-3:])
    return seen


def view(images: Tensor, camera: CameraView, size: Size | None) -> Tensor:
    """What is looked at of a camera's images.

    Args:
        images: (B, 3, height, width), uint8 or floats in [0, 1].
        camera: Which part.
        size: Height and width to resize it to; None leaves it.
    Returns:
        (B, 3, height', width') float32 in [0, 1].
    """
    whole = (images.shape[-2], images.shape[-1])
    rows, columns = pixels(camera.crop or (0, 0, 1, 1), whole)
    part = images[..., rows, columns]
    part = part.to(torch.float32) / 255 if part.dtype == torch.uint8 else part.to(torch.float32)
    if camera.keep or camera.hide:
        shown = _shown(camera, whole)[rows, columns].to(part.device)
        part = torch.where(shown, part, GREY)
    if size is None or size == tuple(part.shape[-2:]):
        return part
    if part.shape[-2] % size[0] == 0 and part.shape[-1] % size[1] == 0:
        return F.interpolate(part, size, mode="area")  # as datasets are, when they are decoded
    return F.interpolate(part, size, mode="bilinear", antialias=True)


def _shown(camera: CameraView, size: Size) -> Tensor:
    """Which pixels of the whole image are not grey, (height, width)."""
    shown = torch.zeros(size, dtype=torch.bool) if camera.keep else torch.ones(size, dtype=torch.bool)
    for box in camera.keep:
        shown[pixels(box, size)] = True
    for box in camera.hide:
        shown[pixels(box, size)] = False
    return shown


def _varied(images: Tensor, fitted: FittedInputs) -> Tensor:
    limit_px = round(fitted.inputs.shift * min(images.shape[-2:]))
    if limit_px:
        images = random_shift(images.permute(0, 2, 3, 1), limit_px).permute(0, 3, 1, 2)
    return jittered(images, fitted.inputs.colour_jitter) if fitted.inputs.colour_jitter else images
