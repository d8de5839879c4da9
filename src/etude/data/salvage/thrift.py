"""Thrift's compact protocol, read and written without a schema: what Parquet's page headers and footers are made of.

A struct is {field number: (kind, value)}; a list is (kind of its elements, values). Integers are zigzag varints.
Source: github.com/apache/thrift, doc/specs/thrift-compact-protocol.md.
"""

import struct
from typing import Any

TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)

type Struct = dict[int, tuple[int, Any]]


class Reader:
    """Reads values one after the other.

    Args:
        data: Bytes that hold them.
        position: Where the first one starts; moves on with every value.

    Raises:
        IndexError: A value goes on past the end.
        ValueError: This is something else.
    """

    def __init__(self, data: bytes | memoryview, position: int = 0) -> None:
        self.data, self.position = data, position

    def struct(self) -> Struct:
        """A struct, to its end."""
        fields: Struct = {}
        number = 0
        while head := self._byte():
            kind, step = head & 15, head >> 4
            number = number + step if step else self._zigzag()
            fields[number] = (kind, self._value(kind))
        return fields

    def _value(self, kind: int) -> Any:
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind == BYTE:
            return self._byte()
        if kind in (I16, I32, I64):
            return self._zigzag()
        if kind == DOUBLE:
            return struct.unpack("<d", self._take(8))[0]
        if kind == BINARY:
            return bytes(self._take(self._varint()))
        if kind in (LIST, SET):
            return self._list()
        if kind == STRUCT:
            return self.struct()
        raise ValueError(f"no such kind of value: {kind}")  # maps do not occur in Parquet

    def _list(self) -> tuple[int, list[Any]]:
        head = self._byte()
        kind, size = head & 15, head >> 4
        size = self._varint() if size == 15 else size
        if size > len(self.data):
            raise IndexError(size)
        # In a list a truth value has a byte of its own.
        return kind, [self._byte() == TRUE if kind in (TRUE, FALSE) else self._value(kind) for _ in range(size)]

    def _byte(self) -> int:
        self.position += 1
        return self.data[self.position - 1]

    def _take(self, size: int) -> bytes | memoryview:
        if self.position + size > len(self.data):
            raise IndexError(self.position + size)
        self.position += size
        return self.data[self.position - size : self.position]

    def _varint(self) -> int:
        value = shift = 0
        while (byte := self._byte()) & 128:
            value |= (byte & 127) << shift
            shift += 7
            if shift > 63:
                raise ValueError("an integer of more than 64 bits")
        return value | byte << shift

    def _zigzag(self) -> int:
        value = self._varint()
        return value >> 1 ^ -(value & 1)


def encode_struct(fields: Struct) -> bytes:
    """The inverse of `Reader.struct`."""
    out, last = bytearray(), 0
    for number, (kind, value) in sorted(fields.items()):
        if kind in (TRUE, FALSE):
            kind = TRUE if value else FALSE
        step = number - last
        out += bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + _zigzag(number)
        out += b"" if kind in (TRUE, FALSE) else _encode(kind, value)
        last = number
    return bytes(out) + b"\0"


def _encode(kind: int, value: Any) -> bytes:
    if kind in (TRUE, FALSE):
        return bytes([TRUE if value else FALSE])
    if kind == BYTE:
        return bytes([value])
    if kind in (I16, I32, I64):
        return _zigzag(value)
    if kind == DOUBLE:
        return struct.pack("<d", value)
    if kind == BINARY:
        return _varint(len(value)) + value
    if kind in (LIST, SET):
        element, values = value
        head = bytes([len(values) << 4 | element]) if len(values) < 15 else bytes([0xF0 | element])
        return (
            head + (_varint(len(values)) if len(values) >= 15 else b"") + b"".join(_encode(element, v) for v in values)
        )
    return encode_struct(value)


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def _zigzag(value: int) -> bytes:
    return _varint((value << 1) ^ (value >> 63))
