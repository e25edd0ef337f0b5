"""A block chain: transactions wait in the mempool until `mine` puts them into a block."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from lsps.units import BlockHeight, NodeId, Outpoint, Sat

_FIRST_POSITION = 1
"""Position 0 of a block is the coinbase transaction's."""


@dataclass(frozen=True, slots=True)
class Output:
    """`owner` is the node whose wallet can spend it; None for what no wallet can spend alone (a channel's funding)."""

    amount: Sat
    owner: NodeId | None


@dataclass(frozen=True, slots=True)
class Transaction:
    txid: str
    inputs: tuple[Outpoint, ...]
    outputs: tuple[Output, ...]

    def outpoint(self, index: int) -> Outpoint:
        return Outpoint(self.txid, index)


@dataclass(frozen=True, slots=True)
class Block:
    height: BlockHeight
    transactions: tuple[Transaction, ...]

    def position(self, index: int) -> int:
        """Where in the block the transaction with this index stands (a short channel id's second part)."""
        return index + _FIRST_POSITION


class AlreadySpent(Exception):
    """The transaction spends an output that another one spent."""


class Chain:
    """`sat_per_kw` is what feerate estimates answer."""

    def __init__(self, random: Random, height: BlockHeight, sat_per_kw: int = 1000) -> None:
        self._random = random
        self.height = height
        self.sat_per_kw = sat_per_kw
        self._mempool: dict[str, Transaction] = {}
        self._spent_by: dict[Outpoint, str] = {}
        self._listeners: list[Callable[[Block], None]] = []

    def on_block(self, listener: Callable[[Block], None]) -> None:
        self._listeners.append(listener)

    def new_transaction(self, inputs: tuple[Outpoint, ...], outputs: tuple[Output, ...]) -> Transaction:
        return Transaction(self._random.randbytes(32).hex(), inputs, outputs)

    def broadcast(self, transaction: Transaction) -> None:
        """Into the mempool. Raises AlreadySpent."""
        if any(spent in self._spent_by for spent in transaction.inputs):
            raise AlreadySpent
        for spent in transaction.inputs:
            self._spent_by[spent] = transaction.txid
        self._mempool[transaction.txid] = transaction

    def spent_by(self, outpoint: Outpoint) -> str | None:
        """The id of the transaction that spends it, in the mempool or mined."""
        return self._spent_by.get(outpoint)

    def mine(self, blocks: int = 1) -> None:
        for _ in range(blocks):
            self.height += 1
            block = Block(self.height, tuple(self._mempool.values()))
            self._mempool.clear()
            for listener in self._listeners:
                listener(block)
