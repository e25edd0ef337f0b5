"""When faults are over and time has passed: every order is final, all money is where it belongs, nothing leaked."""

from __future__ import annotations

from lsps.node.contract import InvoiceState, PaymentStatus
from lsps.node.simulated.lightning_node import LightningNode
from lsps.node.simulated.network import World
from lsps.orders import pending
from lsps.orders.model import FINAL, Order, PaymentMethod, State
from tests.simulation.books import Books
from tests.simulation.invariants.verdict import Fail
from tests.simulation.lsp import OFFER


class Ends:
    def __init__(self, world: World, lsp: LightningNode, books: Books, fail: Fail) -> None:
        self._world = world
        self._lsp = lsp
        self._books = books
        self._fail = fail

    def at_the_end(self) -> None:
        for order in self._books.orders.values():
            self._order(order)
        self._leftovers()
        self._money()

    def _order(self, order: Order) -> None:
        if order.state not in FINAL:
            self._fail("every order ends", f"order {order.id} is still {order.state.value} ({order.reason})")
        if order.bolt11 is None:
            return
        payment_hash = order.bolt11.payment_hash
        status = self._lsp.invoices.status(payment_hash)
        if status is not None and status.state in (InvoiceState.HELD, InvoiceState.OPEN):
            self._fail("every payment ends", f"the invoice of order {order.id} is still {status.state.value}")
        for node in self._world.nodes.values():
            payment = node.payments.find(payment_hash)
            if payment is None:
                continue
            if payment.status is PaymentStatus.IN_FLIGHT:
                self._fail("every payment ends", f"{node.alias}'s payment for order {order.id} is still in flight")
            elif payment.status is PaymentStatus.SUCCEEDED and order.state is not State.COMPLETED:
                self._fail("paid is delivered", f"{node.alias} paid order {order.id}, which is {order.state.value}")
            elif payment.status is PaymentStatus.SUCCEEDED and order.paid_by is not PaymentMethod.BOLT11:
                self._fail("nobody pays twice", f"{node.alias} paid order {order.id}, which was paid on-chain")

    def _leftovers(self) -> None:
        if reserved := self._books.reserved_inputs():
            self._fail("nothing leaks", f"inputs are still reserved: {reserved}")
        due = self._books.effects()
        for order_id, order in self._books.orders.items():
            wanted = {name.value for name in pending.effects(order)}
            if due.pop(order_id, set()) != wanted:
                self._fail("nothing leaks", f"order {order_id} is {order.state.value}; its effects are not {wanted}")
        if any(self._books.unpaid().values()):
            self._fail("nothing leaks", f"orders are still counted as unpaid: {self._books.unpaid()}")
        for token in OFFER.tokens:
            uses = [order for order in self._books.orders.values() if order.token == token.code]
            consumed = sum(order.state in (State.COMPLETED, State.UNPAID) for order in uses)
            count = self._books.token(token.code)
            if (count.reserved, count.consumed) != (0, consumed):
                self._fail("nothing leaks", f"a token's uses are {count}; {consumed} orders were delivered with it")

    def _money(self) -> None:
        """Every channel holds what it was funded with, and what was settled is what was sold."""
        channels = {
            channel.channel_id: channel for node in self._world.nodes.values() for channel in node.channels.values()
        }
        for channel in channels.values():
            held = sum(channel.balances.values())
            if channel.in_flight:
                self._fail("every payment ends", f"channel {channel.channel_id} still has payments in flight")
            elif held != channel.capacity.to_msat().value:
                self._fail("no money appears or disappears", f"channel {channel.channel_id} holds {held} msat")
