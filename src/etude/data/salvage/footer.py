"""Parquet files that lost their footer: which row groups are whole, and a footer that makes them readable again.

A Parquet file is pages, each after a header that tells its size, and at the very end a footer that says which pages
make up which column of which row group. Who is killed before writing it leaves all pages and no way to read them. But
the pages come in a fixed order:

    row group 0: column 0: [dictionary page] data page …   column 1: [dictionary page] data page …   …
    row group 1: …

and with one row written by the same writer we know the columns and how many values a row has in each, so the
pages can be told apart by counting. A row group counts only if every page of every column is there.
"""

import copy
import mmap
import shutil
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet

from etude.data.salvage.thrift import I32, LIST, STRUCT, Reader, Struct, encode_struct

_MAGIC = b"PAR1"
# parquet.thrift: kinds of pages, and the field of PageHeader that describes each kind.
_DATA, _DICTIONARY, _DATA_V2 = 0, 2, 3
_DESCRIBED_BY = {_DATA: 5, _DICTIONARY: 7, _DATA_V2: 8}


@dataclass(frozen=True)
class Page:
    """One page with its header.

    Attributes:
        start, end: Where in the file it lies.
        dictionary: Whether it holds the column's dictionary.
        values: Values in it.
        unpacked: Bytes of the header and of the page decompressed.
    """

    start: int
    end: int
    dictionary: bool
    values: int
    unpacked: int


@dataclass(frozen=True)
class RowGroup:
    """A whole row group: its pages, column by column."""

    rows: int
    columns: tuple[tuple[Page, ...], ...]

    @property
    def pages(self) -> tuple[Page, ...]:
        """All pages, in order."""
        return tuple(page for column in self.columns for page in column)


def has_footer(path: Path) -> bool:
    """Whether a Parquet file was finished."""
    try:
        with pyarrow.parquet.ParquetFile(path):
            return True
    except (OSError, pyarrow.ArrowException):
        return False


def mend(source: Path, target: Path, row: Any) -> int:
    """Copy what is whole of a Parquet file without footer, and give it one.

    Args:
        source: The file; it is only read.
        target: The readable copy.
        row: Table of one row as the killed writer would have written it.

    Returns:
        How many row groups were whole.
    """
    footer = _footer_of(row)
    values_per_row = [column[3][1][5][1] for column in footer[4][1][1][0][1][1][1]]
    groups = _whole_groups(source, values_per_row)
    footer = _footer(footer, groups)
    end = groups[-1].pages[-1].end if groups else len(_MAGIC)
    shutil.copyfile(source, target)
    with target.open("r+b") as file:
        file.truncate(end)
        file.seek(0)
        file.write(_MAGIC)
        file.seek(end)
        encoded = encode_struct(footer)
        file.write(encoded + struct.pack("<I", len(encoded)) + _MAGIC)
    return len(groups)


def _whole_groups(path: Path, values_per_row: Sequence[int]) -> list[RowGroup]:
    if path.stat().st_size <= len(_MAGIC):
        return []
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        view = memoryview(content)
        try:
            pages = list(_pages(view))
        finally:
            view.release()
    groups: list[RowGroup] = []
    first = 0
    while group := _group(pages[first:], values_per_row):
        groups.append(group)
        first += len(group.pages)
    return groups


def _pages(content: memoryview) -> Iterator[Page]:
    """All whole pages from the beginning on."""
    start = len(_MAGIC)
    while start < len(content):
        reader = Reader(content, start)
        try:
            header = reader.struct()
            kind, unpacked, packed = (_integer(header, field) for field in (1, 2, 3))
            described = header[_DESCRIBED_BY[kind]]
            values = _integer(described[1], 1) if described[0] == STRUCT else -1
        except (IndexError, KeyError, ValueError):
            return
        end = reader.position + packed
        if end > len(content) or packed < 0 or unpacked < 0 or values < 0:
            return
        yield Page(start, end, kind == _DICTIONARY, values, reader.position - start + unpacked)
        start = end


def _integer(fields: Struct, number: int) -> int:
    kind, value = fields[number]
    if kind != I32:
        raise ValueError(f"field {number} is of kind {kind}")
    return value


def _group(pages: Sequence[Page], values_per_row: Sequence[int]) -> RowGroup | None:
    """The row group that the pages begin with, if it is whole: the smallest number of rows that fits all columns."""
    values = 0
    for page in pages:
        values += 0 if page.dictionary else page.values
        rows, rest = divmod(values, values_per_row[0])
        if page.dictionary or rest or not rows:
            continue
        columns: list[tuple[Page, ...]] = []
        first = 0
        for per_row in values_per_row:
            if (column := _column(pages[first:], rows * per_row)) is None:
                break
            columns.append(column)
            first += len(column)
        else:
            return RowGroup(rows, tuple(columns))
    return None


def _column(pages: Sequence[Page], values: int) -> tuple[Page, ...] | None:
    """The pages of one column, of exactly so many values, if they are all there."""
    for count, page in enumerate(pages):
        if page.dictionary:
            if count:
                return None
            continue
        values -= page.values
        if values <= 0:
            return tuple(pages[: count + 1]) if values == 0 else None
    return None


def _footer_of(table: Any) -> Struct:
    """The footer of a file that LeRobot would write of a table."""
    buffer = BytesIO()
    # As in lerobot.datasets.dataset_writer.
    with pyarrow.parquet.ParquetWriter(buffer, table.schema, compression="snappy", use_dictionary=True) as writer:
        writer.write_table(table)
    content = buffer.getvalue()
    (size,) = struct.unpack("<I", content[-8:-4])
    return Reader(content, len(content) - 8 - size).struct()


def _footer(one_row: Struct, groups: Sequence[RowGroup]) -> Struct:
    footer = copy.deepcopy(one_row)
    (template,) = footer[4][1][1]
    _set(footer, 3, sum(group.rows for group in groups))
    footer[4] = (LIST, (STRUCT, [_row_group(template, group, ordinal) for ordinal, group in enumerate(groups)]))
    return footer


def _row_group(template: Struct, group: RowGroup, ordinal: int) -> Struct:
    filled = copy.deepcopy(template)
    for column, pages in zip(filled[1][1][1], group.columns, strict=True):
        for field in (4, 5, 6, 7):  # places of indices that were never written
            column.pop(field, None)
        described = column[3][1]
        for field in (12, 13, 14, 15, 16):  # statistics of the one row
            described.pop(field, None)
        _set(described, 5, sum(page.values for page in pages if not page.dictionary))
        _set(described, 6, sum(page.unpacked for page in pages))
        _set(described, 7, pages[-1].end - pages[0].start)
        _set(described, 9, next(page.start for page in pages if not page.dictionary))
        if pages[0].dictionary:
            _set(described, 11, pages[0].start)
        else:
            described.pop(11, None)
    _set(filled, 2, sum(page.unpacked for page in group.pages))
    _set(filled, 3, group.rows)
    _set(filled, 5, group.pages[0].start)
    _set(filled, 6, group.pages[-1].end - group.pages[0].start)
    _set(filled, 7, min(ordinal, 2**15 - 1))
    return filled


def _set(fields: Struct, number: int, value: int) -> None:
    """Replace a number, where the writer gave it."""
    if number in fields:
        fields[number] = (fields[number][0], value)
