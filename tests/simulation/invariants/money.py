"""The money rules of docs/architecture.md, held against each commit and each call at the node when it is made."""

from __future__ import annotations

from hashlib import sha256

from lsps.node.contract import InvoiceState, OpenRequest
from lsps.node.simulated.chain import Transaction
from lsps.node.simulated.lightning_node import LightningNode
from lsps.node.simulated.network import World
from lsps.orders.model import ChannelTerms, ExtensionTerms, Order, PaymentMethod, State
from lsps.units import OrderId, Outpoint
from tests.simulation.books import Books, Changes
from tests.simulation.invariants.verdict import Fail

S = State
STEPS: dict[State | None, frozenset[State]] = {
    None: frozenset({S.AWAITING_PAYMENT, S.PAID, S.COMPLETED, S.FAILED}),
    S.AWAITING_PAYMENT: frozenset({S.PAID, S.FULFILLED, S.COMPLETED, S.CLOSING, S.FAILED}),
    S.PAID: frozenset({S.FULFILLING, S.FULFILLED, S.COMPLETED, S.CLOSING, S.FAILED}),
    S.FULFILLING: frozenset({S.FULFILLED, S.COMPLETED, S.UNPAID, S.CLOSING, S.FAILED}),
    S.FULFILLED: frozenset({S.COMPLETED, S.UNPAID}),
    S.CLOSING: frozenset({S.FAILED}),
    S.COMPLETED: frozenset(),
    S.UNPAID: frozenset(),
    S.FAILED: frozenset(),
}
"""The table of docs/architecture.md, written down a second time: where an order may go from where."""

DELIVERED = frozenset({S.FULFILLED, S.COMPLETED, S.UNPAID})


class Money:
    def __init__(self, world: World, lsp: LightningNode, books: Books, fail: Fail) -> None:
        self._world = world
        self._lsp = lsp
        self._books = books
        self._fail = fail
        self._opened: dict[OrderId, str] = {}
        """The funding transaction of each order."""
        self._given_up: set[bytes] = set()
        """Hashes that the service cancelled."""
        self._seen: set[str] = set()
        self.others_spend = False
        """Whether somebody else's program is using the LSP's wallet right now."""

    # --- what is committed ----------------------------------------------------------------------------------------

    def on_commit(self, changes: Changes) -> None:
        for before, after in changes.orders:
            if before is None or before.state is not after.state:
                self._on_state(before, after)
            if after.bolt11 is not None and after.bolt11.cancelled and not (before and _is_cancelled(before)):
                self._must_be_given_back(after)
        for extension in changes.extensions:
            order = self._books.orders[extension.order_id]
            if order.state not in DELIVERED:
                self._fail("one extension a payment", f"order {order.id} extended a lease and is {order.state.value}")

    def _on_state(self, before: Order | None, order: Order) -> None:
        came_from = None if before is None else before.state
        if order.state not in STEPS[came_from]:
            was = "not there" if came_from is None else came_from.value
            self._fail("the table", f"order {order.id} was {was} and is {order.state.value}")
        if order.state in DELIVERED and came_from not in DELIVERED:
            self._must_be_delivered(order)
        if order.state is S.COMPLETED and order.paid_by is PaymentMethod.BOLT11:
            self._must_be_settled(order)
        if order.state is S.FAILED and order.bolt11 is not None:
            self._must_be_given_back(order)
        if order.state is S.FAILED and order.id in self._opened:
            self._fail("one channel an order", f"order {order.id} has failed, and its channel is there")
        if order.state is S.UNPAID and order.bolt11 is not None and order.bolt11.payment_hash in self._given_up:
            self._fail("no loss by our own hand", f"order {order.id} was delivered, and cancelled by the service")

    def _must_be_delivered(self, order: Order) -> None:
        """Money rules 1 and 2: what fulfils it is in the same commit."""
        if isinstance(order.terms, ExtensionTerms):
            if order.id not in self._books.extensions:
                self._fail("one extension a payment", f"order {order.id} is {order.state.value} without an extension")
            return
        channel = order.channel
        if channel is None or channel.funding_outpoint.txid != self._opened.get(order.id):
            self._fail("one channel an order", f"order {order.id} is {order.state.value} without its channel")
        elif channel.funding_outpoint.channel_id() not in self._books.leases:
            self._fail("durable before settled", f"the channel of order {order.id} has no lease")

    def _must_be_settled(self, order: Order) -> None:
        if order.bolt11 is not None and self._invoice(order.bolt11.payment_hash) is not InvoiceState.SETTLED:
            self._fail("PAID is what the node says", f"order {order.id} is completed, its invoice is not settled")

    def _must_be_given_back(self, order: Order) -> None:
        """Money rule 5."""
        if order.bolt11 is None:
            return
        state = self._invoice(order.bolt11.payment_hash)
        if state not in (None, InvoiceState.CANCELLED):
            text = f"order {order.id} says that its payment went back, while its invoice is {state.value}"
            self._fail("REFUNDED is what the node says", text)

    def _invoice(self, payment_hash: bytes) -> InvoiceState | None:
        status = self._lsp.invoices.status(payment_hash)
        return None if status is None else status.state

    # --- what the service does at its node ------------------------------------------------------------------------

    def on_settle(self, preimage: bytes) -> None:
        """Money rule 1."""
        payment_hash = sha256(preimage).digest()
        order = self._books.by_hash.get(payment_hash)
        status = self._lsp.invoices.status(payment_hash)
        if order is not None and order.bolt11 is not None and status is not None:
            short = status.held < order.bolt11.order_total.to_msat()
            if short and status.state is InvoiceState.HELD:
                self._fail("paid in full", f"order {order.id} is settled for {status.held} msat")
        if order is None or order.state not in DELIVERED:
            what = (
                "an order that is not durable" if order is None else f"order {order.id}, which is {order.state.value}"
            )
            self._fail("durable before settled", f"the service settles the invoice of {what}")

    def on_cancel(self, payment_hash: bytes) -> None:
        """Given back is only what the order's durable state says is to be; never while a channel may be coming."""
        self._given_up.add(payment_hash)
        order = self._books.by_hash.get(payment_hash)
        if order is None or order.bolt11 is None or not (order.bolt11.cancelling or order.bolt11.cancelled):
            what = (
                "an order that is not durable" if order is None else f"order {order.id}, which is {order.state.value}"
            )
            self._fail("never cancelled while owed", f"the service cancels the invoice of {what}")

    def on_open(self, request: OpenRequest) -> None:
        """Money rule 3: the inputs are recorded before the node is asked."""
        order = self._order_of_inputs(request.inputs)
        if order is None:
            self._fail("one channel an order", f"the service opens a channel with inputs no order reserved: {request}")
            return
        terms = order.terms
        if not isinstance(terms, ChannelTerms) or (request.peer, request.capacity, request.push, request.private) != (
            order.principal,
            terms.lsp_balance + terms.client_balance,
            terms.client_balance,
            not terms.announce_channel,
        ):
            self._fail("delivered as sold", f"order {order.id} asked for {terms}, and this is opened: {request}")

    def on_transaction(self, transaction: Transaction) -> None:
        """Money rule 3: each order's inputs become one channel; but for refunds, nothing else leaves the wallet."""
        if self.others_spend or transaction.txid in self._seen or not self._spends(transaction):
            return
        self._seen.add(transaction.txid)
        if any(self._books.has_refund(transaction.txid, outpoint) for outpoint in transaction.inputs):
            return
        order = self._order_of_inputs(transaction.inputs)
        if order is None:
            self._fail("one channel an order", f"a transaction spends what no order reserved: {transaction.inputs}")
        elif order.id in self._opened:
            self._fail("one channel an order", f"order {order.id} gets a second channel")
        else:
            self._opened[order.id] = transaction.txid

    def _spends(self, transaction: Transaction) -> bool:
        """Whether the LSP's wallet pays."""
        spent = [self._world.chain.output(outpoint) for outpoint in transaction.inputs]
        return any(self._world.owners.get(output.address) == self._lsp.node_id for output in spent if output)

    def _order_of_inputs(self, inputs: tuple[Outpoint, ...]) -> Order | None:
        """The order that is fulfilling, durably, with exactly these."""
        for order in self._books.orders.values():
            if order.state is S.FULFILLING and order.funding is not None and order.funding.inputs == inputs:
                return order
        return None


def _is_cancelled(order: Order) -> bool:
    return order.bolt11 is not None and order.bolt11.cancelled
