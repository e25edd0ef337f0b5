"""A transaction to be signed, as a PSBT (BIP 174, version 0), and the id of the signed one.

lnd's FinalizePsbt finds the keys itself. All it needs of an input is the output that it spends, so these few fields are
written here rather than by a library.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from lsps.errors import LspsError
from lsps.units import Outpoint, Sat

_VERSION = (2).to_bytes(4, "little")
_LOCK_TIME = bytes(4)
_REPLACEABLE = (0xFFFFFFFD).to_bytes(4, "little")
"""BIP 125: any number below 0xfffffffe says that it may be replaced."""
_SIGHASH_ALL = (1).to_bytes(4, "little")

_WIDTHS = {0xFD: (2, 0xFD), 0xFE: (4, 0x10000), 0xFF: (8, 0x100000000)}
"""Bitcoin's compact size: after these marks, so many bytes for so large a number at least."""

_MAGIC = b"psbt\xff"
_END = b"\x00"
_UNSIGNED_TX, _WITNESS_UTXO, _SIGHASH_TYPE = 0x00, 0x01, 0x03
"""BIP 174: PSBT_GLOBAL_UNSIGNED_TX, PSBT_IN_WITNESS_UTXO, PSBT_IN_SIGHASH_TYPE."""


class NotASignedTransaction(LspsError, ValueError):
    """Bytes that are no transaction with witnesses (BIP 144)."""


@dataclass(frozen=True, slots=True)
class Output:
    """`script` is the scriptPubKey."""

    amount: Sat
    script: bytes

    def encode(self) -> bytes:
        return self.amount.value.to_bytes(8, "little") + _sized(self.script)


@dataclass(frozen=True, slots=True)
class Coin:
    """An output that there is, to be spent."""

    outpoint: Outpoint
    output: Output


def unsigned_transaction(coins: Sequence[Coin], outputs: Sequence[Output]) -> bytes:
    """Spends the coins, and can be replaced (BIP 125). Without witnesses, and with empty scriptSigs."""
    inputs = [
        bytes.fromhex(coin.outpoint.txid)[::-1] + coin.outpoint.index.to_bytes(4, "little") + _sized(b"") + _REPLACEABLE
        for coin in coins
    ]
    written = [output.encode() for output in outputs]
    return b"".join((_VERSION, _size(len(inputs)), *inputs, _size(len(written)), *written, _LOCK_TIME))


def psbt(coins: Sequence[Coin], outputs: Sequence[Output]) -> bytes:
    """Every signature covers the whole transaction: taproot's default (BIP 341), else SIGHASH_ALL."""
    parts = [_MAGIC, _pair(_UNSIGNED_TX, unsigned_transaction(coins, outputs)), _END]
    for coin in coins:
        parts.append(_pair(_WITNESS_UTXO, coin.output.encode()))
        if not is_taproot(coin.output.script):
            parts.append(_pair(_SIGHASH_TYPE, _SIGHASH_ALL))
        parts.append(_END)
    return b"".join((*parts, _END * len(outputs)))


def is_taproot(script: bytes) -> bool:
    """OP_1 and a push of 32 bytes (BIP 341)."""
    return len(script) == 34 and script[:2] == b"\x51\x20"


def transaction_id(signed: bytes) -> str:
    """Of the version, inputs, outputs and lock time, without the witnesses. Raises NotASignedTransaction."""
    if signed[4:6] != b"\x00\x01":
        raise NotASignedTransaction("these bytes are no transaction with witnesses")
    start = position = 6
    inputs, position = _read_size(signed, position)
    for _ in range(inputs):
        position = _skip(signed, position + 36) + 4
    outputs, position = _read_size(signed, position)
    for _ in range(outputs):
        position = _skip(signed, position + 8)
    witnesses = position
    for _ in range(inputs):
        items, position = _read_size(signed, position)
        for _ in range(items):
            position = _skip(signed, position)
    if position + len(_LOCK_TIME) != len(signed):
        raise NotASignedTransaction("this transaction is cut off, or more follows it")
    stripped = signed[:4] + signed[start:witnesses] + signed[position:]
    return sha256(sha256(stripped).digest()).digest()[::-1].hex()


def _pair(kind: int, value: bytes) -> bytes:
    return _sized(bytes([kind])) + _sized(value)


def _sized(value: bytes) -> bytes:
    return _size(len(value)) + value


def _size(number: int) -> bytes:
    """Bitcoin's compact size: one byte, or a mark and two or four in little endian."""
    if number < 0xFD:
        return bytes([number])
    if number <= 0xFFFF:
        return b"\xfd" + number.to_bytes(2, "little")
    return b"\xfe" + number.to_bytes(4, "little")


def _read_size(data: bytes, position: int) -> tuple[int, int]:
    """The number, and where it ends. Raises NotASignedTransaction past the end, so no count makes an endless loop."""
    if position >= len(data):
        raise NotASignedTransaction("this transaction is cut off")
    start = position + 1
    if data[position] not in _WIDTHS:
        return data[position], start
    length, least = _WIDTHS[data[position]]
    number = int.from_bytes(data[start : start + length], "little")
    if number < least:
        raise NotASignedTransaction("a count in this transaction is longer than it need be")
    return number, start + length


def _skip(data: bytes, position: int) -> int:
    """Where the bytes end whose length stands here."""
    length, start = _read_size(data, position)
    return start + length
