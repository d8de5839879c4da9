"""What a policy looks at, as rows of pictures."""

from typing import TYPE_CHECKING

import numpy as np

from etude.core import Image
from etude.evaluation.heatmaps import enlarged, overlaid, pointed, principal_colours, scaled, strongest_channels

if TYPE_CHECKING:
    from etude.policies.attention.looking import CameraLook

_CHANNELS = ("1st channel", "2nd channel")
_BLUR = 40  # an image's longer side in radii of the blur of its pixels' influence


def rows_of(look: "CameraLook", side_px: int) -> dict[str, list[Image]]:
    """Name -> one picture per frame, of this size: the image, and what is made of it.

    Args:
        look: What a policy looks at through one camera.
        side_px: The longer side of every picture.
    """
    blur = max(1, round(max(look.images.shape[1:3]) / _BLUR))
    # Gradients differ by orders of magnitude between frames: their square root shows the quiet ones, too.
    heats = {f"moves its {look.moved}": np.sqrt(scaled(look.influence, blur=blur))}
    heats |= {name: scaled(values) for name, values in look.maps.items()}
    rows: dict[str, list[Image]] = {"image": [enlarged(image, side_px) for image in look.images]}
    for name, heat in heats.items():
        rows[name] = [overlaid(image, h, side_px) for image, h in zip(look.images, heat, strict=True)]
    if look.keypoints is not None:
        pairs = zip(look.images, look.keypoints, strict=True)
        rows["keypoints"] = [pointed(image, points, side_px) for image, points in pairs]
    if look.features is not None:
        rows["features"] = [enlarged(picture, side_px) for picture in principal_colours(look.features)]
        for name, channel in zip(_CHANNELS, strongest_channels(look.features, len(_CHANNELS)), strict=False):
            heat = scaled(abs(look.features[:, channel]))
            rows[name] = [overlaid(i, h, side_px) for i, h in zip(look.images, heat, strict=True)]
    return rows
