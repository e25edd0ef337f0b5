"""Transactions that wait for a block: what is taken in, what replaces what, and what goes with what is thrown out."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Protocol

from lsps.node.simulated.transactions import Output, Transaction
from lsps.units import Outpoint

LEAST_RELAYED_SAT_PER_KW = 250
"""1 sat per virtual byte."""


class Rejected(Exception):
    """The transaction is not taken; the text says why, in bitcoind's words where it has some."""


class AlreadySpent(Rejected):
    """It spends an output that another transaction spent in a block, or that never was or is no more."""


class FeeTooLow(Rejected):
    """It pays less than is relayed, or too little to replace what spends the same outputs (BIP 125)."""


class Confirmed(Protocol):
    """What the mempool has to know of the blocks."""

    def confirmed_output(self, outpoint: Outpoint) -> Output | None:
        """One that a block made, spent or not."""
        ...

    def confirmed_spender(self, outpoint: Outpoint) -> str | None: ...


class Mempool:
    """Parents come before their children in `transactions`."""

    def __init__(self, confirmed: Confirmed) -> None:
        self._confirmed = confirmed
        self._spent: dict[Outpoint, str] = {}
        self._fees: dict[str, int] = {}
        self.transactions: dict[str, Transaction] = {}

    def add(self, transaction: Transaction) -> None:
        """Raises Rejected. One that is here already stays as it is."""
        if transaction.txid in self.transactions:
            return
        fee = self._fee(transaction)
        if fee is None:
            raise AlreadySpent("bad-txns-inputs-missingorspent")
        if fee * 1000 < LEAST_RELAYED_SAT_PER_KW * transaction.weight and not transaction.bumped:
            raise FeeTooLow("min relay fee not met")
        replaced = self._replaced_by(transaction, fee)
        for txid in replaced:
            self._drop(txid)
        self._insert(transaction, fee)

    def spender(self, outpoint: Outpoint) -> str | None:
        return self._spent.get(outpoint)

    def output(self, outpoint: Outpoint) -> Output | None:
        """One that a waiting transaction makes."""
        transaction = self.transactions.get(outpoint.txid)
        if transaction is None or outpoint.index >= len(transaction.outputs):
            return None
        return transaction.outputs[outpoint.index]

    def remove(self, txid: str) -> None:
        """With everything that spends it. One that is not here: fine."""
        for gone in self._with_descendants([txid]):
            self._drop(gone)

    def take(self, least_sat_per_kw: int) -> tuple[Transaction, ...]:
        """Out of here, for a block: what pays at least so much, and does not build on something that pays less."""
        taken: list[Transaction] = []
        for transaction in list(self.transactions.values()):
            pays = self._fees[transaction.txid] * 1000 >= least_sat_per_kw * transaction.weight or transaction.bumped
            if pays and not any(outpoint.txid in self.transactions for outpoint in transaction.inputs):
                taken.append(transaction)
                self._drop(transaction.txid)
        return tuple(taken)

    def confirm(self, transaction: Transaction) -> None:
        """It is in a block: it waits no more, and what spends the same cannot be any more."""
        if transaction.txid in self.transactions:
            self._drop(transaction.txid)
        for outpoint in transaction.inputs:
            if outpoint in self._spent:
                self.remove(self._spent[outpoint])

    def restore(self, disconnected: Iterable[Transaction], dropped: Container[str]) -> None:
        """Blocks were disconnected: what was in them waits again, before all that came since and may build on it. The
        dropped ones do not, and neither does what builds on them."""
        waiting = [*disconnected, *self.transactions.values()]
        self._spent.clear()
        self._fees.clear()
        self.transactions.clear()
        for transaction in waiting:
            fee = self._fee(transaction)
            if transaction.txid not in dropped and fee is not None:
                self._insert(transaction, fee)

    def _fee(self, transaction: Transaction) -> int | None:
        """None when an input is missing, or spent in a block."""
        total = 0
        for outpoint in transaction.inputs:
            output = self._confirmed.confirmed_output(outpoint) or self.output(outpoint)
            if output is None or self._confirmed.confirmed_spender(outpoint) is not None:
                return None
            total += output.amount.value
        return total - sum(output.amount.value for output in transaction.outputs)

    def _replaced_by(self, transaction: Transaction, fee: int) -> list[str]:
        """What has to go for it (BIP 125). Everything can be replaced. Raises FeeTooLow."""
        direct = [self._spent[outpoint] for outpoint in transaction.inputs if outpoint in self._spent]
        replaced = self._with_descendants(direct)
        if not replaced:
            return []
        if any(outpoint.txid in replaced for outpoint in transaction.inputs):
            raise AlreadySpent("bad-txns-spends-conflicting-tx")
        for txid in direct:
            if fee * self.transactions[txid].weight <= self._fees[txid] * transaction.weight:
                raise FeeTooLow("insufficient fee, rejecting replacement: new feerate <= old feerate")
        # Rules 3 and 4: all that is replaced, and its own relaying.
        least = sum(self._fees[txid] for txid in replaced) + -(-transaction.weight * LEAST_RELAYED_SAT_PER_KW // 1000)
        if fee < least and not transaction.bumped:
            raise FeeTooLow(f"insufficient fee, rejecting replacement: it pays {fee} sat, {least} sat are needed")
        return replaced

    def _with_descendants(self, txids: Iterable[str]) -> list[str]:
        found = dict.fromkeys(txid for txid in txids if txid in self.transactions)
        for txid, transaction in self.transactions.items():
            if any(outpoint.txid in found for outpoint in transaction.inputs):
                found[txid] = None
        return list(found)

    def _insert(self, transaction: Transaction, fee: int) -> None:
        self.transactions[transaction.txid] = transaction
        self._fees[transaction.txid] = fee
        self._spent.update(dict.fromkeys(transaction.inputs, transaction.txid))

    def _drop(self, txid: str) -> None:
        transaction = self.transactions.pop(txid)
        del self._fees[txid]
        for outpoint in transaction.inputs:
            del self._spent[outpoint]
