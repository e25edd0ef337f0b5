"""z-base-32, as LSPS0.ln_signature uses it (bLIP-50, Lightning Network Node Signatures)."""

from __future__ import annotations

import base64

from lsps.errors import LspsError

_ALPHABET = b"ybndrfg8ejkmcpqxot1uwisza345h769"
_BASE32 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_TO_ZBASE32 = bytes.maketrans(_BASE32, _ALPHABET)
_DIGITS = {character: value for value, character in enumerate(_ALPHABET.decode())}


class InvalidZbase32(LspsError, ValueError):
    """A text that is not z-base-32 of whole bytes."""


def encode(data: bytes) -> str:
    """Without padding characters; unused low bits of the last character are 0."""
    return base64.b32encode(data).rstrip(b"=").translate(_TO_ZBASE32).decode()


def decode(text: str) -> bytes:
    """The inverse of `encode`, and of nothing else. Raises InvalidZbase32."""
    value = 0
    for character in text:
        digit = _DIGITS.get(character)
        if digit is None:
            raise InvalidZbase32("a z-base-32 text has only the characters ybndrfg8ejkmcpqxot1uwisza345h769")
        value = value << 5 | digit
    length, unused = divmod(5 * len(text), 8)
    if unused >= 5 or value & ((1 << unused) - 1):
        raise InvalidZbase32("this z-base-32 text does not end at a whole byte; was all of it copied?")
    return (value >> unused).to_bytes(length, "big")
