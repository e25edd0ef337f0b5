"""What is paid on-chain: every output of a customer pays for something, or goes back, once; and the ledger balances."""

from __future__ import annotations

from lsps.node.simulated.chain import Transaction
from lsps.node.simulated.lightning_node import LightningNode
from lsps.node.simulated.network import World
from lsps.orders.ledger import accounts
from lsps.orders.model import Deposit, OnchainOption, Order, PaymentMethod, State
from lsps.units import BlockHeight, Outpoint
from tests.simulation.books import Books, Changes
from tests.simulation.invariants.verdict import Fail
from tests.simulation.lsp import OFFER

_DUST = 330


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
            if before is not None and before.state is not after.state:
                self._on_state(before, after)
            if before is not None and after.onchain is not None:
                self._on_refunds(before, after, after.onchain)

    def _on_state(self, before: Order, after: Order) -> None:
        if after.state is State.FAILED:
            self._must_be_returned(after)
        begun = after.state in (State.FULFILLING, State.COMPLETED) and before.state is not State.FULFILLING
        if begun and after.paid_by is PaymentMethod.ONCHAIN and after.onchain is not None:
            there = sum(int(deposit.amount) for deposit in after.onchain.deposits if deposit.height is not None)
            if there < int(after.onchain.order_total):
                self._fail("paid in full", f"order {after.id} is {after.state.value} for {there} sat in blocks")
        if after.state is State.FULFILLING and after.funding is not None:
            for outpoint in after.funding.inputs:
                self._must_be_ours(after, outpoint)

    def _must_be_ours(self, order: Order, outpoint: Outpoint) -> None:
        """An opening takes what a customer paid only once that is earned, and nothing of it is to go back."""
        output = self._world.chain.output(outpoint)
        for other in self._books.orders.values():
            if output is None or other.onchain is None or other.onchain.address != output.address:
                continue
            known = next((deposit for deposit in other.onchain.deposits if deposit.outpoint == outpoint), None)
            if other.state is not State.COMPLETED or known is None or not known.kept or known.refund_due:
                text = f"order {order.id} takes {known or outpoint} of order {other.id}, which is {other.state.value}"
                self._fail("what others paid is not spent", text)

    def _on_refunds(self, before: Order, after: Order, option: OnchainOption) -> None:
        stored = {} if before.onchain is None else {known.outpoint: known for known in before.onchain.deposits}
        for deposit in option.deposits:
            known = stored.get(deposit.outpoint)
            for refund in deposit.refunds[0 if known is None else len(known.refunds) :]:
                if Transaction.decode(refund.raw).inputs != (deposit.outpoint,):
                    self._fail("a deposit goes back once", f"order {after.id}: {refund} does not spend {deposit} alone")
            if deposit.refunds and not (known and known.refunds):
                self._must_stay_paid(after, option)

    def _must_stay_paid(self, order: Order, option: OnchainOption) -> None:
        """Once it is delivered only what is too much goes back."""
        stays = sum(int(deposit.amount) - _given_back(deposit) for deposit in option.deposits if not deposit.gone)
        delivered = order.state is State.COMPLETED and order.paid_by is PaymentMethod.ONCHAIN
        if delivered and stays < int(option.order_total):
            text = f"order {order.id} is delivered, and {stays} of {option.order_total} sat stay after its refunds"
            self._fail("what is delivered is paid for", text)

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
        self._check_once(transaction)

    def _check_once(self, transaction: Transaction) -> None:
        """What pays to a refund address is a stored refund, and spends the deposit: two such exclude each other."""
        if not any(self._world.owners.get(owner) == self._lsp.node_id for owner in self._payers(transaction)):
            return
        paid = {output.address for output in transaction.outputs}
        options = [order.onchain for order in self._books.orders.values() if order.onchain is not None]
        gives = any(option.refund_address in paid for option in options)
        if gives and not any(self._books.has_refund(transaction.txid, outpoint) for outpoint in transaction.inputs):
            self._fail("a deposit goes back once", f"{transaction} gives back, and is no stored refund")

    def _payers(self, transaction: Transaction) -> list[str]:
        spent = [self._world.chain.output(outpoint) for outpoint in transaction.inputs]
        return [output.address for output in spent if output is not None]

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
        """Whatever the chain shows is in the books, and pays for something or went back; no customer loses it. And
        whatever the books show is on the chain; the LSP does not lose it either."""
        chain = self._world.chain
        for known_order in self._books.orders.values():
            for listed in () if known_order.onchain is None else known_order.onchain.deposits:
                if not listed.gone and listed.height != chain.height_of(listed.outpoint.txid):
                    text = f"order {known_order.id}: {listed} is in block {chain.height_of(listed.outpoint.txid)}"
                    self._fail("the books say what the chain says", text)
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


def _given_back(deposit: Deposit) -> int:
    """A fee may have dust in it: what stays is too little for an output then."""
    return max((int(refund.paid) + max(0, int(refund.fee) - _DUST) for refund in deposit.refunds), default=0)
