"""BOLT 1's fundamental types: u16, bigsize, and the strict TLV stream."""

from __future__ import annotations

from collections.abc import Mapping, Set

from lsps.errors import LspsError
from lsps.units import MAX_UINT64

_BIGSIZE_WIDTHS = {0xFD: 2, 0xFE: 4, 0xFF: 8}


class Malformed(LspsError, ValueError):
    """Bytes that are no encoding of what was expected; the text says which rule of BOLT 1 they break."""


class Reader:
    """Reads a message's fields from left to right. Every method raises Malformed when too few bytes are left."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._position = 0

    @property
    def left(self) -> int:
        """Bytes not yet read."""
        return len(self._data) - self._position

    def take(self, length: int) -> bytes:
        if length > self.left:
            raise Malformed(f"it ends too early: {length} more bytes are announced, {self.left} are there")
        start = self._position
        self._position += length
        return self._data[start : self._position]

    def uint(self, width: int) -> int:
        """An unsigned big-endian integer of `width` bytes."""
        return int.from_bytes(self.take(width), "big")

    def bigsize(self) -> int:
        """BOLT 1, Appendix A. Raises Malformed also for an encoding that is not the shortest."""
        first = self.uint(1)
        width = _BIGSIZE_WIDTHS.get(first)
        if width is None:
            return first
        value = self.uint(width)
        if value < (0xFD if width == 2 else 1 << 8 * (width // 2)):
            raise Malformed("a bigsize is not written in its shortest form")
        return value

    def rest(self) -> bytes:
        return self.take(self.left)


def encode_bigsize(value: int) -> bytes:
    """The shortest form of an unsigned 64-bit integer. Raises Malformed for another."""
    if not 0 <= value <= MAX_UINT64:
        raise Malformed("a bigsize is from 0 to 2^64-1")
    if value < 0xFD:
        return value.to_bytes(1, "big")
    first, width = next((first, width) for first, width in _BIGSIZE_WIDTHS.items() if value < 1 << 8 * width)
    return bytes([first]) + value.to_bytes(width, "big")


def decode_tlv_stream(data: bytes, known: Set[int]) -> dict[int, bytes]:
    """The values of the known types; unknown odd ones are dropped (BOLT 1, TLV, receiving node). Raises Malformed for
    an unknown even type, types that do not strictly increase, and encodings that are not minimal or not complete."""
    reader = Reader(data)
    records: dict[int, bytes] = {}
    previous = -1
    while reader.left:
        record_type = reader.bigsize()
        if record_type <= previous:
            raise Malformed("the types of its TLV records do not increase")
        previous = record_type
        value = reader.take(reader.bigsize())
        if record_type in known:
            records[record_type] = value
        elif record_type % 2 == 0:
            raise Malformed(f"its TLV record {record_type} is unknown and even, so it may not be ignored")
    return records


def encode_tlv_stream(records: Mapping[int, bytes]) -> bytes:
    """The records by increasing type, as BOLT 1 demands of a sending node."""
    return b"".join(
        encode_bigsize(record_type) + encode_bigsize(len(value)) + value
        for record_type, value in sorted(records.items())
    )
