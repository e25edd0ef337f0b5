"""Amounts, heights and identifiers: types of their own, so that none can be mistaken for another.

A `Sat` and an `Msat` do not add, compare or equal; neither does either with an int. Durations in blocks are plain
ints named `…_blocks`; points in the chain are `BlockHeight`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType, Self

from lsps.errors import LspsError

MAX_UINT64 = 2**64 - 1
MAX_UINT32 = 2**32 - 1

OrderId = NewType("OrderId", str)
"""At most 64 characters (bLIP-51 §2, bLIP-57 §2)."""


class InvalidUnit(LspsError, ValueError):
    """A text or number that is not a value of the unit; the text names the unit and the rule."""


def _shown(value: object) -> str:
    """For an error's text: short, and no failure of Python's for an int of thousands of digits."""
    if isinstance(value, int) and value.bit_length() > 128:
        return "one that large" if value > 0 else "one that low"
    return f"{value!r:.40}"


class Network(StrEnum):
    """The chain. The value is LND's and the command line's name for it."""

    MAINNET = "mainnet"
    TESTNET = "testnet"
    SIGNET = "signet"
    REGTEST = "regtest"


@dataclass(frozen=True, slots=True, order=True, repr=False)
class _Uint64:
    """An unsigned 64-bit amount (bLIP-50, Monetary Amounts). Subclasses never mix."""

    value: int

    def __post_init__(self) -> None:
        if type(self.value) is not int or not 0 <= self.value <= MAX_UINT64:
            raise InvalidUnit(f"{type(self).__name__} must be an integer from 0 to 2^64-1, not {_shown(self.value)}")

    def __int__(self) -> int:
        return self.value

    def __bool__(self) -> bool:
        return self.value != 0

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.value})"

    def __add__(self, other: Self) -> Self:
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(self.value + other.value)

    def __sub__(self, other: Self) -> Self:
        """Raises InvalidUnit when the result would be negative."""
        if type(other) is not type(self):
            return NotImplemented
        return type(self)(self.value - other.value)

    def __mul__(self, factor: int) -> Self:
        if type(factor) is not int:
            return NotImplemented
        return type(self)(self.value * factor)


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Sat(_Uint64):
    """An amount in satoshi."""

    def to_msat(self) -> Msat:
        return Msat(self.value * 1000)


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Msat(_Uint64):
    """An amount in millisatoshi."""

    def to_sat_ceil(self) -> Sat:
        """In whole satoshi, rounded up: fees round up to a whole sat."""
        return Sat(-(-self.value // 1000))

    def to_sat_floor(self) -> Sat:
        return Sat(self.value // 1000)


@dataclass(frozen=True, slots=True, order=True, repr=False)
class BlockHeight:
    """A height of the best chain. Adding an int of blocks gives a height; subtracting two heights gives blocks."""

    value: int

    def __post_init__(self) -> None:
        if type(self.value) is not int or not 0 <= self.value <= MAX_UINT32:
            raise InvalidUnit(f"a block height must be an integer from 0 to 2^32-1, not {_shown(self.value)}")

    def __int__(self) -> int:
        return self.value

    def __str__(self) -> str:
        return str(self.value)

    def __repr__(self) -> str:
        return f"BlockHeight({self.value})"

    def __add__(self, blocks: int) -> BlockHeight:
        if type(blocks) is not int:
            return NotImplemented
        return BlockHeight(self.value + blocks)

    def blocks_since(self, other: BlockHeight) -> int:
        """Blocks from `other` to this height; negative when this one is lower."""
        return self.value - other.value


_SCID = re.compile(r"(0|[1-9][0-9]{0,7})x(0|[1-9][0-9]{0,7})x(0|[1-9][0-9]{0,4})", re.ASCII)


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Scid:
    """A short channel id: block (24 bits), transaction (24 bits), output (16 bits). BOLT 7; bLIP-50 LSPS0.scid."""

    block: int
    transaction: int
    output: int

    def __post_init__(self) -> None:
        if not (0 <= self.block < 2**24 and 0 <= self.transaction < 2**24 and 0 <= self.output < 2**16):
            raise InvalidUnit("a short channel id is BLOCKxTRANSACTIONxOUTPUT with parts of 24, 24 and 16 bits")

    @classmethod
    def parse(cls, text: str) -> Scid:
        """From `BBBxTTTxOOO`. Raises InvalidUnit."""
        match = _SCID.fullmatch(text)
        if match is None:
            raise InvalidUnit("a short channel id is written BLOCKxTRANSACTIONxOUTPUT in decimal, like 539268x845x1")
        return cls(int(match[1]), int(match[2]), int(match[3]))

    @classmethod
    def from_int(cls, value: int) -> Scid:
        """From the 64-bit form of BOLT 7. Raises InvalidUnit."""
        if not 0 <= value <= MAX_UINT64:
            raise InvalidUnit("a short channel id is 64 bits")
        return cls(value >> 40, value >> 16 & 0xFFFFFF, value & 0xFFFF)

    def __int__(self) -> int:
        return self.block << 40 | self.transaction << 16 | self.output

    def __str__(self) -> str:
        return f"{self.block}x{self.transaction}x{self.output}"

    def __repr__(self) -> str:
        return f"Scid({str(self)!r})"


_TXID = re.compile(r"[0-9a-fA-F]{64}", re.ASCII)
_OUTPUT_INDEX = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True, repr=False)
class ChannelId:
    """A channel's BOLT 2 id, 64 hex digits: the same for the channel's whole life, through splices as well."""

    hex: str

    def __post_init__(self) -> None:
        if not _TXID.fullmatch(self.hex) or self.hex != self.hex.lower():
            raise InvalidUnit("a channel id is 64 lowercase hex digits")

    def __str__(self) -> str:
        return self.hex

    def __repr__(self) -> str:
        return f"ChannelId({self.hex!r})"


@dataclass(frozen=True, slots=True, order=True, repr=False)
class Outpoint:
    """A transaction's output: `txid` in the order block explorers show, lowercase. bLIP-50 LSPS0.outpoint."""

    txid: str
    index: int

    def __post_init__(self) -> None:
        if not _TXID.fullmatch(self.txid) or self.txid != self.txid.lower():
            raise InvalidUnit("a transaction id is 64 lowercase hex digits")
        if not 0 <= self.index < 2**16:
            raise InvalidUnit("an output index is from 0 to 65535 (bLIP-50 LSPS0.output_index)")

    @classmethod
    def parse(cls, text: str) -> Outpoint:
        """From `txid:index`, hex in either case. Raises InvalidUnit."""
        txid, colon, index = text.partition(":")
        if not colon or not _TXID.fullmatch(txid) or not _OUTPUT_INDEX.fullmatch(index):
            raise InvalidUnit("an outpoint is written TXID:INDEX, 64 hex digits and a decimal number")
        return cls(txid.lower(), int(index))

    def channel_id(self) -> ChannelId:
        """The id of the channel that this outpoint funds (BOLT 2: txid, its last two bytes XORed with the index)."""
        raw = bytearray(reversed(bytes.fromhex(self.txid)))
        raw[30] ^= self.index >> 8
        raw[31] ^= self.index & 0xFF
        return ChannelId(raw.hex())

    def __str__(self) -> str:
        return f"{self.txid}:{self.index}"

    def __repr__(self) -> str:
        return f"Outpoint({str(self)!r})"


_NODE_ID = re.compile(r"0[23][0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, order=True, repr=False)
class NodeId:
    """A node's compressed public key, 66 lowercase hex digits. That it is on the curve, lightning.keys checks."""

    hex: str

    def __post_init__(self) -> None:
        if not _NODE_ID.fullmatch(self.hex):
            raise InvalidUnit("a node id is 66 hex digits that begin with 02 or 03")

    @classmethod
    def parse(cls, text: str) -> NodeId:
        """From hex in either case (bLIP-50 LSPS0.pubkey). Raises InvalidUnit."""
        return cls(text.lower())

    def __bytes__(self) -> bytes:
        return bytes.fromhex(self.hex)

    def __str__(self) -> str:
        return self.hex

    def __repr__(self) -> str:
        return f"NodeId({self.hex!r})"
