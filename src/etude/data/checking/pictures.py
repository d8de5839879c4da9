"""What is wrong with a camera's pictures, judged by a few numbers per frame that are taken while they stream by."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8
from numpy.typing import NDArray

from etude.data.checking.signals import Span, spans

BLOCKS = 8
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
SAME = 0.5
"""Pictures are the same where they differ by no more than this [of 255] in any block, on average: a still view that was
encoded twice differs by up to 0.3, and a robot's slow motion by more within a few frames."""
CLEAR = 5.0
"""A change that a video codec does not round to nothing; slower motion it repeats now and then, [of 255]."""
DARK = 12.0
"""A picture whose brightest percent is darker than this [of 255] is black; video stores black as 0 to 16."""
FLAT = 4.0
"""A picture whose darkest and brightest percent differ by less than this [of 255] has one colour."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Traits:
    """A camera's T pictures in a few numbers each.

    Attributes:
        low, high: First and last percentile of the grey values, [of 255].
        change: Difference from the picture before, mean of the block that changed most [of 255]; 0 for the first.
        still: Frames since the picture last changed; 0 where it is new.
        colour: Mean of each channel over the pictures, (3,), in [0, 1].
    """

    low: Float[NDArray[np.float64], " T"]
    high: Float[NDArray[np.float64], " T"]
    change: Float[NDArray[np.float64], " T"]
    still: Int[NDArray[np.int64], " T"]
    colour: Float[NDArray[np.float64], " 3"]

    def __len__(self) -> int:
        return len(self.change)


class Look:
    """Takes a camera's pictures one after the other and keeps their traits; large ones are best made small before."""

    def __init__(self) -> None:
        self._rows: list[tuple[float, float, float, int]] = []
        self._colours: list[NDArray[np.float64]] = []
        self._before = self._anchor = np.zeros((0, 0), np.float32)

    def add(self, image: UInt8[NDArray[np.uint8], "H W 3"]) -> None:
        """Look at the next picture."""
        grey = image.astype(np.float32) @ _LUMA
        change, still = 0.0, 0
        if self._rows:
            change = _difference(grey, self._before)
            # Also against the last picture that was new: a slow motion is no frozen camera.
            same = change <= SAME and _difference(grey, self._anchor) <= 4 * SAME
            still = self._rows[-1][3] + 1 if same else 0
        low, high = np.percentile(grey, (1, 99))
        self._rows.append((float(low), float(high), change, still))
        self._colours.append(image.reshape(-1, 3).mean(axis=0) / 255)
        self._before, self._anchor = grey, self._anchor if still else grey

    @property
    def traits(self) -> Traits:
        """The traits of all pictures so far."""
        table = np.array(self._rows, np.float64).reshape(-1, 4)
        colour = np.mean(self._colours, axis=0) if self._colours else np.zeros(3)
        low, high, change, still = table.T
        return Traits(low=low, high=high, change=change, still=still.astype(np.int64), colour=colour)


def traits(images: Iterable[UInt8[NDArray[np.uint8], "H W 3"]]) -> Traits:
    """The traits of a camera's pictures, first to last."""
    look = Look()
    for image in images:
        look.add(image)
    return look.traits


def black_spans(seen: Traits) -> list[Span]:
    """Runs of black frames."""
    return spans(seen.high < DARK)


def flat_spans(seen: Traits) -> list[Span]:
    """Runs of frames of one colour that is not black."""
    return spans((seen.high - seen.low < FLAT) & (seen.high >= DARK))


def frozen_spans(seen: Traits, least: int) -> list[Span]:
    """Runs of at least `least` frames that show the same picture, the first of them included."""
    runs: list[Span] = []
    for first, last in spans(seen.still > 0):
        # A key frame in the middle of a still view is coded a little differently.
        if runs and first - runs[-1][1] == 2 and seen.change[first - 1] <= 4 * SAME:
            runs[-1] = (runs[-1][0], last)
        else:
            runs.append((max(first - 1, 0), last))
    return [run for run in runs if run[1] - run[0] + 1 >= least]


def repeated_frames(seen: Traits, moving: Bool[NDArray[np.bool_], " T"], most: int) -> list[int]:
    """Frames that repeat the one before for fewer than `most` frames while the picture changes around them.

    Args:
        seen: The pictures.
        moving: Whether the robot moved at each frame; where it rests pictures may well repeat.
        most: From how many on it is no repetition but a frozen camera.
    """
    found: list[int] = []
    for first, last in spans((seen.still > 0) & moving):
        around = [*seen.change[max(first - 2, 1) : first], *seen.change[last + 1 : last + 2]]
        if last - first + 2 < most and len(around) > 1 and min(max(around[:-1]), around[-1]) > CLEAR:
            found += range(first, last + 1)
    return found


def picture_jumps(seen: Traits, largest_usual: float) -> list[int]:
    """Frames that differ from the one before more than usual."""
    return [int(t) for t in np.flatnonzero(seen.change > largest_usual)]


def _difference(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Mean absolute difference in the block where it is largest."""
    if a.shape != b.shape:
        return 255.0
    difference = np.abs(a - b)
    height, width = difference.shape[0] // BLOCKS, difference.shape[1] // BLOCKS
    if not height or not width:
        return float(difference.mean())
    cut = difference[: height * BLOCKS, : width * BLOCKS].reshape(BLOCKS, height, BLOCKS, width)
    return float(cut.mean(axis=(1, 3)).max())
