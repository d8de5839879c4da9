"""A Parquet file read as far as it can be: what is no array is told, not raised."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from etude.core import EtudeError


@dataclass(frozen=True, kw_only=True, eq=False)
class Columns:
    """The columns of one file of N rows.

    Attributes:
        rows: N.
        numbers: Column -> (N, n).
        pictures: Column -> N encoded images, None where one is missing.
        unusable: Column -> why it is no array.
    """

    rows: int
    numbers: Mapping[str, NDArray[Any]]
    pictures: Mapping[str, list[bytes | None]]
    unusable: Mapping[str, str]


def load(path: Path) -> Columns:
    """Read all columns of a data file.

    Raises:
        EtudeError: It is no Parquet file, or cut short.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            table: Any = file.read()
    except (OSError, pa.ArrowException) as error:
        raise EtudeError(f"'{path}' cannot be read: {str(error).splitlines()[0]}.") from error
    numbers: dict[str, NDArray[Any]] = {}
    pictures: dict[str, list[bytes | None]] = {}
    unusable: dict[str, str] = {}
    for name in table.column_names:
        column: Any = table.column(name).combine_chunks()
        if pa.types.is_struct(column.type):
            pictures[name] = [(value or {}).get("bytes") for value in column.to_pylist()]
            continue
        try:
            numbers[name] = _numbers(column)
        except ValueError as error:
            unusable[name] = str(error)
    return Columns(rows=int(table.num_rows), numbers=numbers, pictures=pictures, unusable=unusable)


def _numbers(column: Any) -> NDArray[Any]:
    """(N, n) of a column of numbers or of lists of equal length, nested or not.

    Raises:
        ValueError: It holds something else.
    """
    flat, rows = column, len(column)
    while pa.types.is_nested(flat.type):
        if flat.null_count:
            raise ValueError("some rows are empty")
        if not pa.types.is_fixed_size_list(flat.type):
            sizes = flat.value_lengths().to_numpy()
            if len(sizes) and sizes.min() != sizes.max():
                raise ValueError(f"its rows have {sizes.min()} to {sizes.max()} numbers")
        flat = flat.flatten()
    if not (pa.types.is_floating(flat.type) or pa.types.is_integer(flat.type) or pa.types.is_boolean(flat.type)):
        raise ValueError(f"it holds {flat.type}")
    if flat.null_count and not pa.types.is_floating(flat.type):
        raise ValueError(f"{flat.null_count} of its values are missing")
    return np.asarray(flat.to_numpy(zero_copy_only=False)).reshape(rows, -1 if rows else 0)
