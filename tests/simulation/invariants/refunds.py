"""What is paid on-chain: every output of a customer pays for something, or goes back, once; and the ledger balances."""

from __future__ import annotations

from lsps.node.simulated.chain import Transaction
from lsps.node.simulated.lightning_node import LightningNode
from lsps.node.simulated.network import World
from lsps.orders.ledger import accounts
from lsps.orders.model import Order, State
from lsps.units import BlockHeight, Outpoint
from tests.simulation.books import Books, Changes
from tests.simulation.invariants.verdict import Fail
from tests.simulation.lsp import OFFER


class Refunds:
    def __init__(self, world: World, lsp: LightningNode, books: Books, fail: Fail) -> None:
        self._world = world
        self._lsp = lsp
        self._books = books
        self._fail = fail

    def on_commit(self, changes: Changes) -> None:
        for before, after in changes.orders:
            if accounts(after).balance:
                self._fail("the ledger balances", f"order {after.id}, {after.state.value}: {accounts(after)}")
            if after.state is State.FAILED and (before is None or before.state is not State.FAILED):
                self._must_be_returned(after)

    def _must_be_returned(self, order: Order) -> None:
        """Money rule 5: FAILED only after what was paid is on its way back (bLIP-51 §3.3)."""
        for deposit in () if order.onchain is None else order.onchain.deposits:
            owed = deposit.height is not None and not deposit.gone and not deposit.left
            if owed and deposit.excess >= OFFER.payment.min_refund and not deposit.is_returned:
                self._fail("REFUNDED is what the chain says", f"order {order.id} failed and kept {deposit}")

    def on_transaction(self, transaction: Transaction) -> None:
        for spent in transaction.inputs:
            order = self._order_paid_by(spent)
            if order is not None and self._books.has_refund(transaction.txid, spent):
                self._check_refund(order, spent, transaction)

    def _check_refund(self, order: Order, spent: Outpoint, transaction: Transaction) -> None:
        """To the refund address, and no more than is owed; the rest comes back to the LSP."""
        if order.onchain is None:
            return
        deposit = next(known for known in order.onchain.deposits if known.outpoint == spent)
        paid = sum(int(out.amount) for out in transaction.outputs if out.address == order.onchain.refund_address)
        elsewhere = [
            out
            for out in transaction.outputs
            if out.address != order.onchain.refund_address and self._world.owners.get(out.address) != self._lsp.node_id
        ]
        if paid > int(deposit.excess) or not paid or elsewhere:
            self._fail("refunds are exact", f"order {order.id} gives {paid} sat of {deposit} back, and {elsewhere}")

    def _order_paid_by(self, outpoint: Outpoint) -> Order | None:
        for order in self._books.orders.values():
            if order.onchain is not None and any(known.outpoint == outpoint for known in order.onchain.deposits):
                return order
        return None

    def at_the_end(self) -> None:
        """Whatever the chain shows is in the books, and pays for something or went back; no customer loses it."""
        chain = self._world.chain
        by_address = {order.onchain.address: order for order in self._books.orders.values() if order.onchain}
        for deposit in self._lsp.wallet.deposits(BlockHeight(0)):
            order = by_address.get(deposit.address)
            if order is None or order.onchain is None or deposit.height is None:
                continue
            known = next((one for one in order.onchain.deposits if one.outpoint == deposit.outpoint), None)
            if known is None or known.gone:
                self._fail("no payment disappears", f"order {order.id} does not know of {deposit}")
            elif not known.left and known.excess >= OFFER.payment.min_refund:
                spender = chain.confirmed_spender(deposit.outpoint)
                if all(refund.txid != spender for refund in known.refunds):
                    self._fail("no payment disappears", f"order {order.id}, {order.state.value}, kept {known}")
