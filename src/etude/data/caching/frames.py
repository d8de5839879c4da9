"""Images that lie in several files, seen as one array."""

import numpy as np
from jaxtyping import UInt8
from numpy.typing import NDArray


class Frames:
    """Images of one camera, (N, H, W, 3) uint8, that lie in several memory-mapped arrays; read-only.

    Args:
        parts: Arrays of images of one size.
        part: The array each image is in, (N,).
        row: Its index there, (N,).
    """

    def __init__(self, parts: list[NDArray[np.uint8]], part: NDArray[np.int64], row: NDArray[np.int64]) -> None:
        self._parts, self._part, self._row = parts, part, row

    @staticmethod
    def black(shape: tuple[int, ...]) -> "Frames":
        """Black images, (N, H, W, 3), that take no space."""
        nothing = np.zeros(shape[0], np.int64)
        return Frames([np.broadcast_to(np.uint8(0), (1, *shape[1:]))], nothing, nothing)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """(N, H, W, 3)."""
        height, width, channels = self._parts[0].shape[1:]
        return len(self._row), height, width, channels

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """Always uint8."""
        return np.dtype(np.uint8)

    @property
    def nbytes(self) -> int:
        """Size of all images as they are here, uncompressed."""
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self._row)

    def __getitem__(self, index: int | slice | NDArray[np.int64]) -> NDArray[np.uint8]:
        if isinstance(index, int | np.integer):
            return self._parts[self._part[index]][self._row[index]]
        return self.take(np.arange(len(self))[index])

    def take(
        self, rows: NDArray[np.int64], out: UInt8[NDArray[np.uint8], "B H W 3"] | None = None
    ) -> UInt8[NDArray[np.uint8], "B H W 3"]:
        """Copy some images.

        Args:
            rows: Which, (B,).
            out: Where to; by default a new array.
        """
        out = np.empty((len(rows), *self.shape[1:]), np.uint8) if out is None else out
        for target, part, row in zip(out, self._part[rows], self._row[rows], strict=True):
            target[...] = self._parts[part][row]
        return out

    def __array__(self, dtype: object = None, copy: bool | None = None) -> NDArray[np.uint8]:
        return self.take(np.arange(len(self)))
