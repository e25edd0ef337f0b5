"""Bech32 (BIP-173), bech32m (BIP-350), and segwit addresses.

Symbols are bytes of which each holds 5 bits (0 to 31): what stands between the separator and the checksum.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple

from lsps.errors import LspsError
from lsps.units import Network

_CHARSET = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_BASE32HEX = b"0123456789ABCDEFGHIJKLMNOPQRSTUV"
_SYMBOLS = bytes(range(32))
_NOT_A_SYMBOL = 0xFF
_TO_SYMBOL = bytes(_CHARSET.find(character) & 0xFF for character in range(256))
_TO_CHARACTER = bytes.maketrans(_SYMBOLS, _CHARSET)
_TO_DIGIT = bytes.maketrans(_SYMBOLS, _BASE32HEX)
_FROM_DIGIT = bytes.maketrans(_BASE32HEX, _SYMBOLS)
_CHECKSUM_LENGTH = 6
_MAX_HRP_LENGTH = 83


class Encoding(IntEnum):
    """Which checksum; the value is the constant that tells them apart (BIP-350)."""

    BECH32 = 1
    BECH32M = 0x2BC830A3


class InvalidBech32(LspsError, ValueError):
    """A text that is not bech32 or bech32m; the text names the rule."""


class InvalidAddress(LspsError, ValueError):
    """A text that is no segwit address of the network, or a witness program that cannot be; the text names the rule."""


class Bech32(NamedTuple):
    """A decoded text: the human-readable part in lower case, the symbols without the checksum, and which checksum."""

    hrp: str
    symbols: bytes
    encoding: Encoding


def decode(text: str, *, max_length: int = 90) -> Bech32:
    """`max_length` is in characters: 90 by BIP-173, more for BOLT 11. Raises InvalidBech32."""
    if len(text) > max_length:
        raise InvalidBech32(f"it is longer than {max_length} characters")
    if not text.isascii():
        raise InvalidBech32("it has a character that is not ASCII")
    lower = text.lower()
    if text not in (lower, text.upper()):
        raise InvalidBech32("it mixes upper and lower case")
    hrp, separator, data = lower.rpartition("1")
    if not separator:
        raise InvalidBech32("it has no separator '1'")
    _check_hrp(hrp)
    if len(data) < _CHECKSUM_LENGTH:
        raise InvalidBech32("it is too short for a checksum")
    symbols = data.encode().translate(_TO_SYMBOL)
    if _NOT_A_SYMBOL in symbols:
        raise InvalidBech32("it has a character that bech32 does not use after the separator")
    checksum = _polymod(_expand(hrp) + symbols)
    if checksum not in (Encoding.BECH32, Encoding.BECH32M):
        raise InvalidBech32("its checksum is wrong; a character was lost or changed")
    return Bech32(hrp, symbols[:-_CHECKSUM_LENGTH], Encoding(checksum))


def encode(hrp: str, symbols: bytes, encoding: Encoding, *, max_length: int = 90) -> str:
    """The text in lower case. Raises InvalidBech32."""
    _check_hrp(hrp)
    if hrp != hrp.lower():
        raise InvalidBech32("its human-readable part has upper case")
    if symbols.translate(None, _SYMBOLS):
        raise InvalidBech32("it has a symbol over 31")
    if len(hrp) + 1 + len(symbols) + _CHECKSUM_LENGTH > max_length:
        raise InvalidBech32(f"it is longer than {max_length} characters")
    checksum = _polymod(_expand(hrp) + symbols + bytes(_CHECKSUM_LENGTH)) ^ encoding
    checked = symbols + bytes(checksum >> 5 * place & 31 for place in reversed(range(_CHECKSUM_LENGTH)))
    return f"{hrp}1{checked.translate(_TO_CHARACTER).decode()}"


def to_int(symbols: bytes) -> int:
    """The number whose big-endian digits to the base 32 are the symbols; 0 for none."""
    return int(symbols.translate(_TO_DIGIT), 32) if symbols else 0


def from_int(value: int) -> bytes:
    """The inverse of `to_int`, with the fewest symbols: none for 0."""
    symbols = bytearray()
    while value:
        symbols.append(value & 31)
        value >>= 5
    symbols.reverse()
    return bytes(symbols)


def to_bytes(symbols: bytes) -> bytes:
    """The whole bytes that the symbols carry. Raises InvalidBech32 if over 4 bits are left, or one that is not 0."""
    length, unused = divmod(5 * len(symbols), 8)
    value = to_int(symbols)
    if unused >= 5 or value & ((1 << unused) - 1):
        raise InvalidBech32("its padding has more than 4 bits, or is not zero")
    return (value >> unused).to_bytes(length, "big")


def from_bytes(data: bytes) -> bytes:
    """Symbols that carry `data`, padded with 0 bits."""
    return base64.b32hexencode(data).rstrip(b"=").translate(_FROM_DIGIT)


@dataclass(frozen=True, slots=True)
class WitnessProgram:
    """What a segwit address pays to: version 0 to 16, program of 2 to 40 bytes (BIP-141). Raises InvalidAddress."""

    version: int
    program: bytes

    def __post_init__(self) -> None:
        if not 0 <= self.version <= 16:
            raise InvalidAddress("a witness version is from 0 to 16")
        if not 2 <= len(self.program) <= 40:
            raise InvalidAddress("a witness program has 2 to 40 bytes")
        if self.version == 0 and len(self.program) not in (20, 32):
            raise InvalidAddress("a witness program of version 0 has 20 or 32 bytes (BIP-141)")

    @property
    def is_defined(self) -> bool:
        """P2WPKH, P2WSH or Taproot, which writers SHOULD keep to (bLIP-50 LSPS0.onchain_address); anything else has no
        meaning yet, and whoever mines a block may take it."""
        return self.version == 0 or (self.version == 1 and len(self.program) == 32)

    @property
    def script(self) -> bytes:
        """The scriptPubKey: OP_0 or OP_1 to OP_16, and a push of the program."""
        opcode = 0x50 + self.version if self.version else 0
        return bytes([opcode, len(self.program)]) + self.program


_ADDRESS_HRP = {Network.MAINNET: "bc", Network.TESTNET: "tb", Network.SIGNET: "tb", Network.REGTEST: "bcrt"}


def decode_address(text: str, network: Network, *, future_versions: bool = True) -> WitnessProgram:
    """Read a segwit address of `network`; testnet's and signet's look alike. Raises InvalidAddress.

    BIP-350 wants every version to 16 read. With `future_versions` off, only what readers MUST support is
    (bLIP-50 LSPS0.onchain_address): version 0, and version 1 of 32 bytes.
    """
    try:
        hrp, symbols, encoding = decode(text)
        if hrp != _ADDRESS_HRP[network]:
            raise InvalidAddress(f"an address on {network} begins with {_ADDRESS_HRP[network]}1")
        if not symbols:
            raise InvalidAddress("this address has no witness version")
        witness = WitnessProgram(symbols[0], to_bytes(symbols[1:]))
    except InvalidBech32 as error:
        raise InvalidAddress(f"this is no segwit address: {error}") from None
    if encoding is not _address_encoding(witness):
        raise InvalidAddress("this address has the checksum of another witness version (bech32 and bech32m, BIP-350)")
    if not future_versions and not witness.is_defined:
        raise InvalidAddress("this address has a witness version without a meaning yet; use P2WPKH, P2WSH or Taproot")
    return witness


def encode_address(witness: WitnessProgram, network: Network) -> str:
    """The address of a witness program, in lower case."""
    symbols = bytes([witness.version]) + from_bytes(witness.program)
    return encode(_ADDRESS_HRP[network], symbols, _address_encoding(witness))


def _address_encoding(witness: WitnessProgram) -> Encoding:
    return Encoding.BECH32M if witness.version else Encoding.BECH32


def _check_hrp(hrp: str) -> None:
    if not 1 <= len(hrp) <= _MAX_HRP_LENGTH:
        raise InvalidBech32(f"its human-readable part must have 1 to {_MAX_HRP_LENGTH} characters")
    if not all("!" <= character <= "~" for character in hrp):
        raise InvalidBech32("its human-readable part has a character out of range")


def _expand(hrp: str) -> bytes:
    """The human-readable part as the checksum covers it (BIP-173)."""
    raw = hrp.encode()
    return bytes(character >> 5 for character in raw) + b"\0" + bytes(character & 31 for character in raw)


def _generator_sums() -> tuple[int, ...]:
    """What the top five bits of the running checksum add to it, for each of their 32 values (BIP-173)."""
    generator = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
    sums = [0]
    for term in generator:
        sums += [total ^ term for total in sums]
    return tuple(sums)


_GENERATOR_SUMS = _generator_sums()


def _polymod(values: bytes) -> int:
    sums = _GENERATOR_SUMS
    checksum = 1
    for value in values:
        checksum = (checksum & 0x1FFFFFF) << 5 ^ value ^ sums[checksum >> 25]
    return checksum
