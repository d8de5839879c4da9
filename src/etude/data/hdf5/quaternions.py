"""The order of quaternions in Isaac Lab's arrays: a dataset has wxyz, a file has what its Isaac Lab wrote."""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

type Order = Literal["wxyz", "xyzw"]

_OBJECTS = {39: (3, 10, 17)}  # three cubes, each position and quaternion, then six differences of positions


def quaternion_starts(path: str, size: int) -> tuple[int, ...]:
    """Where the quaternions begin among a dataset's numbers.

    Args:
        path: Path of the dataset in its demonstration.
        size: Numbers per frame.
    """
    name = path.rpartition("/")[2]
    if name == "root_pose" and size == 7:
        return (3,)
    if name.endswith("_quat") and size == 4:
        return (0,)
    if name.endswith("_orientations") and size % 4 == 0:
        return tuple(range(0, size, 4))
    return _OBJECTS.get(size, ()) if name == "object" else ()


def reorder(path: str, values: NDArray[Any], *, given: Order, wanted: Order) -> NDArray[Any]:
    """An array with its quaternions in another order.

    Args:
        path: Path of the dataset in its demonstration.
        values: Its numbers, (T, n).
        given: The order they are in.
        wanted: The order to bring them to.
    """
    if given == wanted or values.ndim != 2:
        return values
    columns = np.arange(values.shape[1])
    for start in quaternion_starts(path, values.shape[1]):
        columns[start : start + 4] = np.roll(columns[start : start + 4], 1 if wanted == "wxyz" else -1)
    return values[:, columns]
