"""Bech32, bech32m and segwit addresses. The first byte chooses: a text, or symbols with the right checksum."""

from __future__ import annotations

from lsps.lightning import bech32
from lsps.lightning.bech32 import Encoding, InvalidAddress, InvalidBech32
from lsps.protocol.errors import ServiceError
from lsps.protocol.fields import OnchainAddress
from lsps.protocol.rules import check_refund_address
from lsps.units import Network
from tests.fuzz.target import Target, vectors

WITH_CHECKSUM = {1: Encoding.BECH32, 2: Encoding.BECH32M}


def check(data: bytes) -> None:
    """Decoded or the typed error; what is decoded is written as it was, in lower case."""
    text = text_of(data)
    if text is None:
        return
    try:
        hrp, symbols, encoding = bech32.decode(text)
        assert bech32.encode(hrp, symbols, encoding) == text.lower()
        assert bech32.from_bytes(bech32.to_bytes(symbols)) == symbols
    except InvalidBech32 as error:
        assert str(error)
    for network in Network:
        try:
            witness = bech32.decode_address(text, network)
            written = bech32.encode_address(witness, network)
            assert written == text.lower()
            assert 4 <= len(witness.script) <= 42
        except InvalidAddress as error:
            assert str(error)
        try:
            check_refund_address(OnchainAddress(text), network)
        except ServiceError as error:
            assert len(str(error)) < 1_000


def text_of(data: bytes) -> str | None:
    if not data:
        return None
    encoding = WITH_CHECKSUM.get(data[0] % 3)
    if encoding is None:
        return data[1:].decode(errors="replace")
    hrp, _, symbols = data[1:].partition(b"\xff")
    try:
        return bech32.encode(hrp.decode("ascii", "replace"), bytes(symbol & 31 for symbol in symbols), encoding)
    except InvalidBech32:
        return None


BECH32 = vectors("bech32")
TEXTS = [
    *BECH32["bech32"],
    *BECH32["bech32m"],
    *(case["text"] for name in ("invalid_bech32", "addresses", "invalid_addresses") for case in BECH32[name]),
]
TARGET = Target(
    check,
    (
        *(b"\0" + text.encode() for text in TEXTS),
        b"\1bc\xff\0" + bytes(32),
        b"\2bcrt\xff\1" + bytes(52),
        b"\2tb\xff\x10" + bytes(4),
    ),
    words=("bc1", "tb1", "bcrt1"),
    max_bytes=200,
)
