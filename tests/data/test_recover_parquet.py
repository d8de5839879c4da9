"""Parquet files cut off at any byte: every row group that is whole comes back as it was written."""

import struct
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from etude.data.salvage.footer import has_footer, mend
from etude.data.salvage.thrift import Reader, encode_struct

SCHEMA = pa.schema(
    [
        ("state", pa.list_(pa.float32(), 3)),
        ("grid", pa.list_(pa.list_(pa.float32()))),
        ("done", pa.bool_()),
        ("note", pa.string()),
        ("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])),
        ("index", pa.int64()),
    ]
)


def table(rows: int, seed: int, image_bytes: int = 20) -> pa.Table:
    rng = np.random.default_rng(seed)
    return pa.Table.from_pylist(
        [
            {
                "state": rng.standard_normal(3),
                "grid": rng.standard_normal((2, 2)).tolist(),
                "done": bool(rng.integers(2)),
                "note": f"{rng.integers(3)}",
                "image": {"bytes": rng.bytes(image_bytes), "path": f"{t}.png"},
                "index": t,
            }
            for t in range(rows)
        ],
        schema=SCHEMA,
    )


def write(path: Path, tables: list[pa.Table]) -> list[int]:
    """Write row groups as LeRobot does; returns where each ends."""
    ends: list[int] = []
    with path.open("wb") as file, pyarrow.parquet.ParquetWriter(file, SCHEMA, compression="snappy") as writer:
        for each in tables:
            writer.write_table(each)
            ends.append(file.tell())
    return ends


def cut(path: Path, size: int) -> Path:
    shorter = path.with_name("cut.parquet")
    shorter.write_bytes(path.read_bytes()[:size])
    return shorter


def test_cut_anywhere_the_row_groups_before_are_read_as_they_were(tmp_path: Path):
    tables = [table(rows, rows) for rows in (5, 1, 9, 9)]
    path, target = tmp_path / "whole.parquet", tmp_path / "mended.parquet"
    ends = write(path, tables)
    size = path.stat().st_size
    for end in (*range(0, size, 41), *ends, *(e - 1 for e in ends), size - 1):
        whole = sum(e <= end for e in ends)
        assert mend(cut(path, end), target, table(1, 0)) == whole
        read = pyarrow.parquet.read_table(target)
        assert read.equals(pa.concat_tables([SCHEMA.empty_table(), *tables[:whole]]))
    assert has_footer(path)
    assert not has_footer(cut(path, size - 1))


def test_columns_of_many_pages_and_dictionaries_that_overflowed_are_read(tmp_path: Path):
    tables = [table(120, seed, image_bytes=40_000) for seed in (1, 2)]
    path, target = tmp_path / "large.parquet", tmp_path / "mended.parquet"
    ends = write(path, tables)
    assert mend(cut(path, ends[1]), target, table(1, 0)) == 2
    assert pyarrow.parquet.read_table(target).equals(pa.concat_tables(tables))
    assert mend(cut(path, ends[1] - 3), target, table(1, 0)) == 1


def test_zeros_that_a_power_cut_left_end_what_is_whole(tmp_path: Path):
    path, target = tmp_path / "whole.parquet", tmp_path / "mended.parquet"
    ends = write(path, [table(5, 1), table(6, 2)])
    path.write_bytes(path.read_bytes()[: ends[0] + 30] + bytes(500))
    assert mend(path, target, table(1, 0)) == 1


def test_a_footer_read_and_written_again_is_the_same(tmp_path: Path):
    path = tmp_path / "whole.parquet"
    write(path, [table(5, 1)] * 20)
    content = path.read_bytes()
    (size,) = struct.unpack("<I", content[-8:-4])
    footer = content[-8 - size : -8]
    assert encode_struct(Reader(footer).struct()) == footer


@pytest.mark.parametrize("content", [b"", b"\x15", b"\x15\x00" * 9, b"\x18\xff\xff\xff\xff\x07", b"\xfb\xff\xff"])
def test_what_is_no_struct_ends_in_an_error_of_its_own(content: bytes):
    with pytest.raises((IndexError, ValueError)):
        Reader(content).struct()
