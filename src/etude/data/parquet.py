"""Parquet files in and out of plain values and arrays; pyarrow, which has no types, stays in here."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from etude.core import EtudeError

_AT_ONCE = 16  # files

type Row = dict[str, Any]
"""One record of a Parquet file: column name -> plain value."""


def encode_columns(columns: Mapping[str, NDArray[Any]], pictures: Mapping[str, Sequence[bytes]] | None = None) -> bytes:
    """A Parquet file of arrays, (N,) as plain columns and (N, n, …) as lists of fixed size.

    Args:
        columns: Name -> array.
        pictures: Name -> N image files, kept as LeRobot keeps them.
    """
    images = {name: _pictures(files) for name, files in (pictures or {}).items()}
    return _file(pa.table({**images, **{name: _column(values) for name, values in columns.items()}}))


def encode_rows(rows: Sequence[Row], types: Mapping[str, str] | None = None) -> bytes:
    """A Parquet file of records; a column that one lacks is None there.

    Args:
        rows: The records.
        types: Column -> Arrow type, for columns that may be None in all of them.
    """
    names = list(dict.fromkeys(name for row in rows for name in row))
    table = pa.table({name: pa.array([row.get(name) for row in rows]) for name in names})
    for index, field in enumerate(table.schema):
        if types and field.name in types:
            column = table.column(index).cast(pa.type_for_alias(types[field.name]))
            table = table.set_column(index, field.name, column)
    return _file(table)


def join_rows(paths: Sequence[Path], by: str, constants: Mapping[str, int]) -> bytes:
    """The records of some files as one file, without making Python values of them.

    Args:
        paths: The files.
        by: Column to sort them by.
        constants: Column -> the number that it has in all records.

    Raises:
        EtudeError: A file is damaged.
    """
    table = pa.table({})
    for start in range(0, len(paths), _AT_ONCE):
        # Hundreds of columns of one number each take a hundred times their size until they are joined.
        tables = [table, _read(paths[start : start + _AT_ONCE], lambda _name: True)]
        table = pa.concat_tables(tables[start == 0 :], promote_options="default").combine_chunks()
    table = table.sort_by(by).combine_chunks()
    for name, value in constants.items():
        column = pa.array([value] * table.num_rows, pa.int64())
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return _file(table)


def encode_tasks(tasks: Sequence[str]) -> bytes:
    """The content of meta/tasks.parquet: the text is pandas' index, which is how LeRobot looks for it."""
    columns = [("task_index", "int64", "int64"), ("task", "unicode", "object")]
    pandas = {
        "index_columns": ["task"],
        "column_indexes": [],
        "columns": [
            {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
            for name, kind, numpy in columns
        ],
        "pandas_version": "2.0.0",
    }
    table = pa.table({"task_index": pa.array(range(len(tasks)), pa.int64()), "task": pa.array(tasks, pa.string())})
    return _file(table.replace_schema_metadata({"pandas": json.dumps(pandas)}))


def task_texts(rows: Iterable[Row]) -> dict[int, str]:
    """The task texts in records of LeRobot's tasks, by index."""
    # pandas keeps the text as an index, which older versions did not name.
    return {int(row["task_index"]): str(row.get("task", row.get("__index_level_0__", ""))) for row in rows}


def read_rows(paths: Sequence[Path], *, without: str = "") -> list[Row]:
    """All records of some files; a column that a file lacks is None there.

    Args:
        paths: The files.
        without: Leave out columns whose names begin with this.

    Raises:
        EtudeError: A file is damaged.
    """

    def keep(name: str) -> bool:
        return not without or not name.startswith(without)

    return _read(paths, keep).to_pylist()


def read_columns(
    paths: Sequence[Path], columns: Iterable[str], *, episode: int | None = None
) -> dict[str, NDArray[Any]]:
    """Numeric columns of some files, each (N, n); n = 1 for columns of plain numbers.

    Args:
        paths: The files.
        columns: Names of the columns.
        episode: Leave out parts of the files that have no frame of this episode.

    Raises:
        EtudeError: A file is damaged or lacks a column.
    """
    wanted = list(columns)
    table = _read(paths, wanted.__contains__, episode)
    missing = sorted(set(wanted) - set(table.column_names))
    if missing:
        raise EtudeError(f"the Parquet files in '{paths[0].parent.parent}' have no column '{missing[0]}'.")
    try:
        return {name: as_numbers(table.column(name).combine_chunks(), len(table)) for name in wanted}
    except ValueError as error:
        raise EtudeError(f"a column of '{paths[0]}' has rows of different lengths: {error}.") from error


def read_pictures(path: Path, column: str, episode: int) -> Iterator[bytes]:
    """The image files that a column holds for one episode, in the order they lie in, a few at a time in memory.

    Raises:
        EtudeError: The file is damaged, or has only names of images that are not there.
    """
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            groups = _groups(file, episode)
            for batch in file.iter_batches(batch_size=16, row_groups=groups, columns=["episode_index", column]):
                for of, picture in zip(*(batch.column(name).to_pylist() for name in batch.schema.names), strict=True):
                    if of == episode:
                        yield _picture(picture, path)
    except (OSError, KeyError, pa.ArrowException) as error:
        raise _unreadable(f"'{path}', column '{column}'", error) from error


def as_numbers(column: Any, rows: int) -> NDArray[Any]:
    """A column of numbers, or of lists of equal length, nested or not, as (rows, n)."""
    while pa.types.is_nested(column.type) or isinstance(column, pa.ExtensionArray):
        column = column.storage if isinstance(column, pa.ExtensionArray) else column.flatten()
    return column.to_numpy(zero_copy_only=False).reshape(rows, -1)


def _groups(file: Any, episode: int | None) -> list[int]:
    """The row groups of a file that may hold frames of an episode; all if there is none."""
    groups = range(file.num_row_groups)
    return [i for i in groups if episode is None or _may_hold(file.metadata.row_group(i), episode)]


def _may_hold(group: Any, episode: int) -> bool:
    columns = [group.column(i) for i in range(group.num_columns)]
    found = next((c.statistics for c in columns if c.path_in_schema == "episode_index"), None)
    return found is None or not found.has_min_max or found.min <= episode <= found.max


def _picture(value: Any, path: Path) -> bytes:
    if isinstance(value, bytes):
        return value
    if value.get("bytes") is not None:
        return value["bytes"]
    return (path.parent / value["path"]).read_bytes()


def _read(paths: Sequence[Path], keep: Callable[[str], bool], episode: int | None = None) -> Any:
    tables: list[Any] = []
    for path in paths:
        try:
            # Not pyarrow.dataset or read_table: they import pandas, which takes seconds.
            with pyarrow.parquet.ParquetFile(path) as file:
                names = [name for name in file.schema_arrow.names if keep(name)]
                groups = _groups(file, episode)
                tables.append(file.read_row_groups(groups, columns=names))
        except FileNotFoundError as error:
            raise EtudeError(f"'{path}' does not exist: copy the dataset anew.") from error
        except (OSError, pa.ArrowException) as error:
            raise _unreadable(f"'{path}'", error) from error
    return pa.concat_tables(tables, promote_options="default") if tables else pa.table({})


def _unreadable(what: str, error: Exception) -> EtudeError:
    return EtudeError(f"{what} cannot be read: {str(error).rstrip('.')}; copy the file anew.")


def _column(values: NDArray[Any]) -> Any:
    column = pa.array(np.ascontiguousarray(values).ravel())
    for size in reversed(values.shape[1:]):
        # LeRobot declares matrices as lists of any length.
        lists = pa.FixedSizeListArray.from_arrays(column, size)
        column = lists if values.ndim == 2 else lists.cast(pa.list_(column.type))
    return column


def _pictures(files: Sequence[bytes]) -> Any:
    names = [f"frame-{index:06d}.png" for index in range(len(files))]
    return pa.StructArray.from_arrays([pa.array(files, pa.binary()), pa.array(names, pa.string())], ["bytes", "path"])


def _file(table: Any) -> bytes:
    buffer = BytesIO()
    # One episode's values hardly repeat: dictionaries would cost more time than they save space.
    pyarrow.parquet.write_table(table, buffer, use_dictionary=False)
    return buffer.getvalue()
