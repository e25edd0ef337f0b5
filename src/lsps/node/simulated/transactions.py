"""Transactions and blocks of the simulated chain, and how a transaction is written as bytes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import sha256

from lsps.errors import LspsError
from lsps.units import BlockHeight, Outpoint, Sat

BASE_WEIGHT = 10 * 4 + 2
"""Of a transaction without inputs and outputs."""
INPUT_WEIGHT = 41 * 4 + 67
"""Of a taproot key spend."""

TAPROOT_OUTPUT_WEIGHT = 43 * 4
"""The funding output of a channel (P2WSH) weighs the same."""

_FIRST_POSITION = 1
"""Position 0 of a block is the coinbase transaction's."""

_OUTPUT_BYTES = 8 + 1 + 2
"""Amount, length of the script, and the script's version and push."""
_SPENDING_BYTES = 67
"""What Bitcoin Core reckons that spending a segwit output takes."""
_DUST_SAT_PER_BYTE = 3


class InvalidTransaction(LspsError, ValueError):
    """Bytes that are no transaction of the simulated chain."""


@dataclass(frozen=True, slots=True)
class Output:
    amount: Sat
    address: str

    @property
    def weight(self) -> int:
        return (_OUTPUT_BYTES + _program_length(self.address)) * 4


def dust_limit(address: str) -> Sat:
    """Less than this to a segwit address is not relayed (Bitcoin Core's dust relay fee)."""
    return Sat((_OUTPUT_BYTES + _program_length(address) + _SPENDING_BYTES) * _DUST_SAT_PER_BYTE)


def _program_length(address: str) -> int:
    """A segwit address is a prefix, 1, the version, the program and 6 characters of checksum (BIP-173)."""
    return (len(address) - address.rindex("1") - 1 - 1 - 6) * 5 // 8


@dataclass(frozen=True, slots=True)
class Transaction:
    """Made by `make`; its id is a hash of its bytes, so the same inputs and outputs are the same transaction.

    `bumped`: its owners see to its being mined whatever that takes, out of pockets of their own (an anchor output).
    """

    txid: str
    inputs: tuple[Outpoint, ...]
    outputs: tuple[Output, ...]
    bumped: bool
    weight: int = field(compare=False)

    @classmethod
    def make(cls, inputs: tuple[Outpoint, ...], outputs: tuple[Output, ...], *, bumped: bool = False) -> Transaction:
        txid = sha256(_encode(inputs, outputs)).hexdigest()
        return cls(txid, inputs, outputs, bumped, transaction_weight(len(inputs), outputs))

    @classmethod
    def decode(cls, raw: bytes) -> Transaction:
        """Raises InvalidTransaction."""
        try:
            fields = json.loads(raw)
            inputs = tuple(Outpoint.parse(text) for text in fields["inputs"])
            outputs = tuple(Output(Sat(amount), str(address)) for amount, address in fields["outputs"])
        except (ValueError, TypeError, KeyError) as error:
            raise InvalidTransaction(f"these bytes are no transaction of the simulated chain: {error}") from None
        return cls.make(inputs, outputs)

    def encode(self) -> bytes:
        return _encode(self.inputs, self.outputs)

    def outpoint(self, index: int) -> Outpoint:
        return Outpoint(self.txid, index)


def transaction_weight(inputs: int, outputs: tuple[Output, ...]) -> int:
    return BASE_WEIGHT + INPUT_WEIGHT * inputs + sum(output.weight for output in outputs)


def fee_of(weight: int, sat_per_kw: int) -> int:
    """In satoshi, rounded up."""
    return -(-weight * sat_per_kw // 1000)


def _encode(inputs: tuple[Outpoint, ...], outputs: tuple[Output, ...]) -> bytes:
    fields = {
        "inputs": [str(outpoint) for outpoint in inputs],
        "outputs": [[output.amount.value, output.address] for output in outputs],
    }
    return json.dumps(fields, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Block:
    height: BlockHeight
    transactions: tuple[Transaction, ...]

    def position(self, index: int) -> int:
        """Where in the block the transaction with this index stands (a short channel id's second part)."""
        return index + _FIRST_POSITION
