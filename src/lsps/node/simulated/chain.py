"""A block chain: transactions wait in the mempool until `mine` takes them; blocks can be taken away again."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from random import Random

from lsps.errors import LspsError
from lsps.node.simulated.mempool import AlreadySpent, FeeTooLow, Mempool, Rejected
from lsps.node.simulated.transactions import Block, Output, Transaction
from lsps.units import BlockHeight, Outpoint

__all__ = ["AlreadySpent", "Block", "Chain", "FeeTooLow", "Output", "Rejected", "TooDeep", "Transaction"]


class TooDeep(LspsError, ValueError):
    """A reorganisation of more blocks than were mined since the world began."""


class Chain:
    """`sat_per_kw` is what feerate estimates answer; what pays less than `least_sat_per_kw` is left out of blocks."""

    def __init__(self, random: Random, height: BlockHeight, sat_per_kw: int = 1000) -> None:
        self._random = random
        self.height = height
        self.sat_per_kw = sat_per_kw
        self.least_sat_per_kw = 0
        self._mempool = Mempool(self)
        self._blocks: list[Block] = []
        self._heights: dict[str, BlockHeight] = {}
        self._spent: dict[Outpoint, str] = {}
        self._transactions: dict[str, Transaction] = {}
        self._on_block: list[Callable[[Block], None]] = []
        self._on_disconnected: list[Callable[[Block], None]] = []
        self._on_seen: list[Callable[[Transaction], None]] = []

    def on_block(self, listener: Callable[[Block], None]) -> None:
        self._on_block.append(listener)

    def on_disconnected(self, listener: Callable[[Block], None]) -> None:
        """Told of each block that is taken away, newest first; the height is the one below it by then."""
        self._on_disconnected.append(listener)

    def on_seen(self, listener: Callable[[Transaction], None]) -> None:
        """Told of each transaction that comes into the mempool, or into a block without having been there."""
        self._on_seen.append(listener)

    # --- transactions -----------------------------------------------------------------------------------------------

    def new_transaction(
        self, inputs: tuple[Outpoint, ...], outputs: tuple[Output, ...], *, bumped: bool = False
    ) -> Transaction:
        return Transaction.make(inputs, outputs, bumped=bumped)

    def mint(self, output: Output) -> Outpoint:
        """An output that has been in the chain since before it is looked at: the world's money comes from here."""
        coin = Transaction.make((Outpoint(self._random.randbytes(32).hex(), 0),), (output,))
        self._transactions[coin.txid] = coin
        self._heights[coin.txid] = BlockHeight(0)
        return coin.outpoint(0)

    def broadcast(self, transaction: Transaction) -> None:
        """Into the mempool; one that is there, or in a block, stays. Raises Rejected."""
        if not self.knows(transaction.txid):
            self._mempool.add(transaction)
            self._see(transaction)

    def evict(self, txid: str) -> None:
        """Out of the mempool, with all that spends it, as when a full mempool forgets what pays least."""
        self._mempool.remove(txid)

    def waiting(self) -> tuple[Transaction, ...]:
        """What is in the mempool, parents before children."""
        return tuple(self._mempool.transactions.values())

    def transaction(self, txid: str) -> Transaction | None:
        """One that was ever seen, whatever became of it."""
        return self._transactions.get(txid)

    def blocks(self) -> tuple[Block, ...]:
        """Those mined in this world, oldest first."""
        return tuple(self._blocks)

    def height_of(self, txid: str) -> BlockHeight | None:
        """Of the block it is in."""
        return self._heights.get(txid)

    def knows(self, txid: str) -> bool:
        """Whether it is in a block or in the mempool."""
        return txid in self._heights or txid in self._mempool.transactions

    def output(self, outpoint: Outpoint) -> Output | None:
        """One that was ever seen."""
        transaction = self._transactions.get(outpoint.txid)
        if transaction is None or outpoint.index >= len(transaction.outputs):
            return None
        return transaction.outputs[outpoint.index]

    def spent_by(self, outpoint: Outpoint) -> str | None:
        """The id of the transaction that spends it, in the mempool or mined."""
        return self._spent.get(outpoint) or self._mempool.spender(outpoint)

    def fee(self, transaction: Transaction) -> int:
        """Its inputs less its outputs, in satoshi; the inputs must have been seen."""
        spent = [self.output(outpoint) for outpoint in transaction.inputs]
        paid = sum(output.amount.value for output in transaction.outputs)
        return sum(output.amount.value for output in spent if output is not None) - paid

    def sat_per_kw_of(self, transaction: Transaction) -> int:
        return self.fee(transaction) * 1000 // transaction.weight

    def is_impossible(self, transaction: Transaction) -> bool:
        """Whether a block spends one of its inputs otherwise, or one that such a transaction made."""
        for outpoint in transaction.inputs:
            spender = self._spent.get(outpoint)
            if spender is not None and spender != transaction.txid:
                return True
            parent = self._transactions.get(outpoint.txid)
            if parent is not None and parent.txid not in self._heights and self.is_impossible(parent):
                return True
        return False

    def confirmed_output(self, outpoint: Outpoint) -> Output | None:
        return self.output(outpoint) if outpoint.txid in self._heights else None

    def confirmed_spender(self, outpoint: Outpoint) -> str | None:
        return self._spent.get(outpoint)

    # --- blocks -----------------------------------------------------------------------------------------------------

    def mine(self, blocks: int = 1) -> None:
        """So many blocks with all that waits and pays enough."""
        for _ in range(blocks):
            self._connect(self._mempool.take(self.least_sat_per_kw))

    def mine_only(self, *transactions: Transaction) -> None:
        """A block with these alone, in or out of the mempool; what waits and spends the same is no more.
        Raises AlreadySpent."""
        if any(outpoint in self._spent for transaction in transactions for outpoint in transaction.inputs):
            raise AlreadySpent("bad-txns-inputs-missingorspent")
        self._connect(transactions)

    def disconnect(self, blocks: int, dropped: Container[str] = ()) -> None:
        """Take the newest blocks away. Their transactions wait again, but for the dropped ones and what spends them.
        A chain of more blocks should follow. Raises TooDeep."""
        if blocks > len(self._blocks):
            raise TooDeep(f"{len(self._blocks)} blocks were mined in this world; {blocks} cannot be taken away")
        waiting: list[Transaction] = []
        for _ in range(blocks):
            block = self._blocks.pop()
            self.height = BlockHeight(block.height.value - 1)
            for transaction in block.transactions:
                del self._heights[transaction.txid]
                for outpoint in transaction.inputs:
                    del self._spent[outpoint]
            waiting[:0] = block.transactions
            _tell(self._on_disconnected, block)
        self._mempool.restore(waiting, dropped)

    def _connect(self, transactions: tuple[Transaction, ...]) -> None:
        self.height += 1
        block = Block(self.height, transactions)
        self._blocks.append(block)
        for transaction in transactions:
            if transaction.txid not in self._transactions:
                self._see(transaction)
            self._mempool.confirm(transaction)
            self._heights[transaction.txid] = self.height
            self._spent.update(dict.fromkeys(transaction.inputs, transaction.txid))
        _tell(self._on_block, block)

    def _see(self, transaction: Transaction) -> None:
        self._transactions[transaction.txid] = transaction
        for listener in self._on_seen:
            listener(transaction)


def _tell(listeners: Iterable[Callable[[Block], None]], block: Block) -> None:
    for listener in listeners:
        listener(block)
