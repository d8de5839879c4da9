"""Maps of a network as pictures: heat over an image, features as colours, points."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32, UInt8
from numpy.typing import NDArray
from PIL import Image as Pillow
from PIL import ImageDraw

type Heat = Float32[NDArray[np.float32], "h w"]
type Picture = UInt8[NDArray[np.uint8], "height width 3"]

# Dark to bright, so that it reads in grey and for the colour-blind.
_RAMP = np.array([(20, 11, 52), (107, 24, 110), (187, 55, 84), (243, 120, 25), (252, 255, 164)], np.float32)
_POINTS = [(0, 158, 115), (230, 159, 0), (86, 180, 233), (240, 228, 66), (213, 94, 0), (204, 121, 167)]
_VEIL = 0.35  # of the ramp's darkest colour over the image where nothing is


def scaled(maps: Float32[NDArray[np.float32], "N h w"], *, blur: int = 0) -> Float32[NDArray[np.float32], "N h w"]:
    """Maps on one scale from 0 (their lowest) to 1 (the top half per cent), which is common to all frames.

    Args:
        maps: Of any size.
        blur: Radius of a box in pixels over which to average first, for maps of single pixels.
    """
    smooth = np.stack([_blurred(m, blur) for m in maps]) if blur else maps
    low, high = float(smooth.min()), float(np.quantile(smooth, 0.995))
    return np.clip((smooth - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)


def overlaid(image: Picture, heat: Heat, side_px: int) -> Picture:
    """Heat in [0, 1] over an image, the longer side of which becomes `side_px`."""
    base = _large(image, side_px)
    strength = np.asarray(Pillow.fromarray(heat).resize(base.size, Pillow.Resampling.BICUBIC))
    strength = np.clip(strength, 0, 1)[..., None]
    place = strength * (len(_RAMP) - 1)
    below = np.minimum(place.astype(int), len(_RAMP) - 2)[..., 0]
    colour = _RAMP[below] + (place - below[..., None]) * (_RAMP[below + 1] - _RAMP[below])
    share = _VEIL + (0.85 - _VEIL) * strength
    grey = np.asarray(base.convert("L"), np.float32)[..., None]
    return np.clip((1 - share) * grey + share * colour, 0, 255).astype(np.uint8)


def pointed(image: Picture, points: Float32[NDArray[np.float32], "K 2"], side_px: int) -> Picture:
    """Points (x and y in [−1, 1]) on an image, each always in the same colour."""
    base = _large(image, side_px)
    draw, radius = ImageDraw.Draw(base), max(2, side_px / 60)
    for index, (x, y) in enumerate(points):
        centre = ((x + 1) / 2 * (base.width - 1), (y + 1) / 2 * (base.height - 1))
        box = (centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius)
        draw.ellipse(box, fill=_POINTS[index % len(_POINTS)], outline=(0, 0, 0))
    return np.asarray(base)


def principal_colours(
    features: Float32[NDArray[np.float32], "N C h w"],
) -> UInt8[NDArray[np.uint8], "N h w 3"]:
    """The three directions in which features differ most, as red, green and blue: the same colour, a like feature."""
    count, channels, height, width = features.shape
    rows = features.transpose(0, 2, 3, 1).reshape(-1, channels).astype(np.float64)
    rows -= rows.mean(0)
    _, vectors = np.linalg.eigh(rows.T @ rows)  # ascending
    chosen = vectors[:, ::-1][:, :3]
    chosen = chosen * np.sign(chosen[np.abs(chosen).argmax(0), np.arange(chosen.shape[1])])  # eigh leaves signs open
    values = rows @ chosen
    low, high = np.quantile(values, 0.01, axis=0), np.quantile(values, 0.99, axis=0)
    colours = np.zeros((len(values), 3))
    colours[:, : values.shape[1]] = np.clip((values - low) / np.maximum(high - low, 1e-12), 0, 1)
    return (255 * colours).astype(np.uint8).reshape(count, height, width, 3)


def strongest_channels(features: Float32[NDArray[np.float32], "N C h w"], count: int) -> Sequence[int]:
    """The channels that differ most between places, strongest first."""
    spread = features.std(axis=(2, 3)).mean(0)
    return [int(channel) for channel in np.argsort(-spread, kind="stable")[:count]]


def enlarged(image: Picture, side_px: int) -> Picture:
    """The picture with its longer side this long."""
    return np.asarray(_large(image, side_px))


def _large(image: Picture, side_px: int) -> Pillow.Image:
    height, width = image.shape[:2]
    scale = side_px / max(height, width)
    size = (max(1, round(scale * width)), max(1, round(scale * height)))
    return Pillow.fromarray(np.ascontiguousarray(image)).resize(size, Pillow.Resampling.BICUBIC)


def _blurred(heat: Heat, radius: int) -> Heat:
    """Mean over squares, borders repeated."""
    padded = np.pad(heat.astype(np.float64), radius, mode="edge")
    total = np.pad(padded, ((1, 0), (1, 0))).cumsum(0).cumsum(1)
    size = 2 * radius + 1
    sums = total[size:, size:] - total[:-size, size:] - total[size:, :-size] + total[:-size, :-size]
    return (sums / size**2).astype(np.float32)
