"""BOLT 11. The first byte chooses: a text as it is, or symbols to which checksum and signature are made.

Without the second way no fuzzer would get past the checksum.
"""

from __future__ import annotations

from hashlib import sha256

from lsps.lightning import bech32, bolt11
from lsps.lightning.bech32 import Encoding, InvalidBech32
from lsps.lightning.bolt11 import InvalidInvoice
from lsps.lightning.keys import SecretKey
from tests.fuzz.target import Target, vectors

KEY = SecretKey(b"\x31" * 32)
TEXT, SIGNED, UNSIGNED = 0, 1, 2


def check(data: bytes) -> None:
    """An invoice or InvalidInvoice; signed by ourselves it reads the same."""
    text = text_of(data)
    if text is None:
        return
    try:
        invoice = bolt11.decode(text)
    except InvalidInvoice as error:
        assert len(str(error)) < 500
        return
    repr(invoice)
    assert invoice.expires_at >= 0
    if invoice.payee != KEY.node_id:
        return
    try:
        written = bolt11.encode(invoice, KEY)
    except InvalidInvoice:
        return  # a reader accepts what a writer must not make: feature bits, and what is longer in our order
    assert bolt11.decode(written) == invoice


def text_of(data: bytes) -> str | None:
    if not data:
        return None
    if data[0] % 3 == TEXT:
        return data[1:].decode(errors="replace")
    hrp_bytes, _, symbols = data[1:].partition(b"\xff")
    hrp, symbols = hrp_bytes.decode("ascii", "replace").lower(), bytes(symbol & 31 for symbol in symbols)
    if data[0] % 3 == SIGNED:
        padded = int(bech32.to_int(symbols)) << -5 * len(symbols) % 8
        signed = padded.to_bytes(-(-5 * len(symbols) // 8), "big")
        digest = sha256(hrp.encode(errors="replace") + signed).digest()
        symbols += bech32.from_bytes(KEY.sign_recoverable(digest))
    try:
        return bech32.encode(hrp, symbols, Encoding.BECH32, max_length=bolt11.MAX_LENGTH)
    except InvalidBech32:
        return None


TEXTS = [example["text"] for kind in ("valid", "invalid") for example in vectors("bolt11")[kind]]


def symbols_of(text: str, kind: int) -> bytes:
    hrp, symbols, _ = bech32.decode(text, max_length=bolt11.MAX_LENGTH)
    return bytes([kind]) + hrp.encode() + b"\xff" + (symbols[:-104] if kind == SIGNED else symbols)


VALID = [example["text"] for example in vectors("bolt11")["valid"]]
TARGET = Target(
    check,
    (
        *(bytes([TEXT]) + text.encode() for text in TEXTS),
        *(symbols_of(text, kind) for text in VALID for kind in (SIGNED, UNSIGNED)),
    ),
    words=("lnbc", "lntb", "lntbs", "lnbcrt", "lnbcrt1m", "1p", "10n", "2500u"),
    max_bytes=8_000,
)
