"""BOLT 1's bigsize and TLV stream, with their vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.lightning.wire import Malformed, Reader, decode_tlv_stream, encode_bigsize, encode_tlv_stream
from lsps.units import MAX_UINT64

VECTORS: dict[str, Any] = json.loads((Path(__file__).parent.parent / "vectors" / "bolt1.json").read_text("utf-8"))
N1 = frozenset({1, 2, 3, 254})
N2 = frozenset({0, 11})
ANY_INVALID = [vector["stream"] for vector in VECTORS["tlv_invalid_in_any"]]
VALID_IN_N1 = [vector["stream"] for vector in VECTORS["tlv_ignored"] + VECTORS["tlv_valid_in_n1"]]

bigsizes = st.one_of(st.integers(0, 300), st.integers(0, 2**17), st.integers(0, MAX_UINT64))


@pytest.mark.parametrize("vector", VECTORS["bigsize_decoding"], ids=lambda vector: vector["name"])
def test_bigsize_decoding(vector: dict[str, Any]) -> None:
    """BOLT 1, Appendix A: these decode to their value, and what is not the shortest form or ends early is refused."""
    reader = Reader(bytes.fromhex(vector["bytes"]))
    if "exp_error" not in vector:
        assert reader.bigsize() == vector["value"]
        assert reader.left == 0
        return
    with pytest.raises(Malformed, match="shortest" if "canonical" in vector["exp_error"] else "too early"):
        reader.bigsize()


@pytest.mark.parametrize("vector", VECTORS["bigsize_encoding"], ids=lambda vector: vector["name"])
def test_bigsize_encoding(vector: dict[str, Any]) -> None:
    """BOLT 1, Appendix A: these values are written so."""
    assert encode_bigsize(vector["value"]).hex() == vector["bytes"]


@given(bigsizes)
def test_bigsize_round_trip(value: int) -> None:
    """What is written as a bigsize is read back."""
    assert Reader(encode_bigsize(value)).bigsize() == value


@pytest.mark.parametrize("value", [-1, MAX_UINT64 + 1])
def test_no_bigsize(value: int) -> None:
    """A number outside 64 bits has no bigsize."""
    with pytest.raises(Malformed):
        encode_bigsize(value)


@pytest.mark.parametrize("known", [N1, N2])
@pytest.mark.parametrize("stream", ANY_INVALID)
def test_invalid_everywhere(stream: str, known: frozenset[int]) -> None:
    """BOLT 1, Appendix B: truncated, not minimal, unknown even: refused whatever types are known."""
    with pytest.raises(Malformed):
        decode_tlv_stream(bytes.fromhex(stream), known)


@pytest.mark.parametrize(
    ("stream", "known"),
    [(vector["stream"], N1) for vector in VECTORS["tlv_invalid_in_n1"]]
    + [(vector["stream"], N2) for vector in VECTORS["tlv_invalid_in_n2"]],
)
def test_invalid_here(stream: str, known: frozenset[int]) -> None:
    """BOLT 1, Appendix B: types that do not strictly increase, and an even type that only others know."""
    with pytest.raises(Malformed):
        decode_tlv_stream(bytes.fromhex(stream), known)


@pytest.mark.parametrize("known", [N1, N2])
@pytest.mark.parametrize("vector", VECTORS["tlv_ignored"], ids=lambda vector: vector["why"])
def test_ignored(vector: dict[str, str], known: frozenset[int]) -> None:
    """BOLT 1, Appendix B: unknown odd types are dropped."""
    assert decode_tlv_stream(bytes.fromhex(vector["stream"]), known) == {}


@pytest.mark.parametrize("vector", VECTORS["tlv_valid_in_n1"], ids=lambda vector: vector["why"])
def test_valid(vector: dict[str, str]) -> None:
    """BOLT 1, Appendix B: a known type's value is given as it came, and the stream is written in the same way."""
    stream = bytes.fromhex(vector["stream"])
    records = decode_tlv_stream(stream, N1)
    assert list(records) == [int(vector["why"][4]) if vector["why"][4] != "4" else 254]
    assert encode_tlv_stream(records) == stream


@pytest.mark.parametrize("valid", VALID_IN_N1)
def test_invalid_stream_appended(valid: str) -> None:
    """BOLT 1, Appendix B: an invalid stream after a valid one makes the whole invalid."""
    for invalid in ANY_INVALID:
        with pytest.raises(Malformed):
            decode_tlv_stream(bytes.fromhex(valid + invalid), N1)


def test_higher_stream_appended() -> None:
    """BOLT 1, Appendix B: a stream of higher types after one of lower types is valid."""
    assert decode_tlv_stream(bytes.fromhex("010101 02080000000000000226 2100 fd00fe020226"), N1) == {
        1: b"\1",
        2: bytes.fromhex("0000000000000226"),
        254: bytes.fromhex("0226"),
    }


@given(st.dictionaries(bigsizes, st.binary(max_size=300), max_size=5))
def test_stream_round_trip(records: dict[int, bytes]) -> None:
    """Records are written in order, whatever order they were given in, and read back."""
    backwards = dict(sorted(records.items(), reverse=True))
    assert decode_tlv_stream(encode_tlv_stream(backwards), records.keys()) == records


@given(st.binary(max_size=80))
def test_any_bytes(data: bytes) -> None:
    """Any bytes are a stream or Malformed; a stream whose types are all known is written back byte for byte."""
    try:
        records = decode_tlv_stream(data, frozenset(range(253)))
    except Malformed:
        return
    if all(record_type < 253 for record_type in records) and len(encode_tlv_stream(records)) == len(data):
        assert encode_tlv_stream(records) == data


def test_reading_past_the_end() -> None:
    """A field that is not all there is Malformed, and what is left is counted."""
    reader = Reader(b"\1\2\3")
    assert (reader.uint(2), reader.left) == (0x0102, 1)
    with pytest.raises(Malformed, match="2 more bytes are announced, 1 are there"):
        reader.take(2)
    assert reader.rest() == b"\3"
