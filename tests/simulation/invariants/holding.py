"""No payment is held into its timeout while the LSP could have settled it or given it back; and limits are kept."""

from __future__ import annotations

from collections.abc import Callable

from lsps.node.contract import InvoiceState
from lsps.node.simulated.lightning_node import LightningNode
from lsps.orders.model import FINAL, Order, State
from lsps.units import NodeId
from tests.simulation.books import Books, Changes
from tests.simulation.invariants.verdict import Fail
from tests.simulation.loop import MICRO, SimulatedLoop
from tests.simulation.lsp import OFFER

CHANCE = 60 * MICRO
"""So long an LSP that is well may take: a call is tried again after half a minute at most."""


class Holding:
    def __init__(
        self, loop: SimulatedLoop, lsp: LightningNode, books: Books, is_well: Callable[[], bool], fail: Fail
    ) -> None:
        self._loop = loop
        self._lsp = lsp
        self._books = books
        self._is_well = is_well
        self._fail = fail
        self._well_since: int | None = None
        self._near_since: dict[bytes, int] = {}
        self._waits_since: dict[bytes, tuple[State, int]] = {}
        self.by_service: set[bytes] = set()
        self._cancel = lsp.invoices.cancel
        setattr(lsp.invoices, "cancel", self._on_cancel)  # noqa: B010  (mypy: a method is not to be assigned to)

    def on_step(self) -> None:
        """Between two actions."""
        now = self._loop.micros
        if not self._is_well():
            self._well_since = None
        elif self._well_since is None:
            self._well_since = now
        for payment_hash, order in self._books.by_hash.items():
            if order.state in FINAL:
                self._near_since.pop(payment_hash, None)
                self._waits_since.pop(payment_hash, None)
                continue
            status = self._lsp.invoices.status(payment_hash)
            held = status is not None and status.state is InvoiceState.HELD
            self._look_at_waiting(payment_hash, order, now, held=held)
            if held and status is not None and status.earliest_expiry is not None:
                left = status.earliest_expiry.blocks_since(self._lsp.world.chain.height)
                if left < OFFER.payment.hold_margin_blocks:
                    self._near_since.setdefault(payment_hash, now)

    def _look_at_waiting(self, payment_hash: bytes, order: Order, now: int, *, held: bool) -> None:
        """What only needs the LSP to act does not stay as it is: a payment is noticed, what is due is done."""
        if (
            order.state is not State.FULFILLED
            and not (order.bolt11 and order.bolt11.cancelling)
            and not (order.state is State.AWAITING_PAYMENT and held)
        ):
            self._waits_since.pop(payment_hash, None)
            return
        state, since = self._waits_since.setdefault(payment_hash, (order.state, now))
        if state is not order.state:
            self._waits_since[payment_hash] = (order.state, now)
        elif self._well_since is not None and now - max(since, self._well_since) >= CHANCE:
            what = (
                "is not noticed" if order.state is State.AWAITING_PAYMENT else f"is {order.state.value}, and stays so"
            )
            self._fail("nothing waits without need", f"the payment of order {order.id} is held, the order {what}")

    def _on_cancel(self, payment_hash: bytes) -> None:
        status = self._lsp.invoices.status(payment_hash)
        if status is not None and status.state is InvoiceState.HELD and payment_hash not in self.by_service:
            self._on_slipped(payment_hash)
        self._cancel(payment_hash)

    def _on_slipped(self, payment_hash: bytes) -> None:
        """The node gives a payment back by itself, since its timeout is near."""
        order = self._books.by_hash.get(payment_hash)
        near = self._near_since.get(payment_hash)
        if order is None or near is None or self._well_since is None or order.state is State.FULFILLING:
            return
        if self._loop.micros - max(near, self._well_since) >= CHANCE:
            text = f"the payment of order {order.id}, which is {order.state.value}, was held until its node gave up"
            self._fail("no payment is held into its timeout", text)

    # --- limits -----------------------------------------------------------------------------------------------------

    def on_commit(self, changes: Changes) -> None:
        if not any(before is None for before, _ in changes.orders):
            return
        unpaid: dict[NodeId, int] = {}
        for order in self._books.orders.values():
            if order.state is State.AWAITING_PAYMENT:
                unpaid[order.principal] = unpaid.get(order.principal, 0) + 1
        limits = OFFER.limits
        if unpaid and max(unpaid.values()) > limits.requests_per_peer:
            self._fail("limits", f"a peer has {max(unpaid.values())} unpaid orders")
        if sum(unpaid.values()) > limits.unpaid_orders_in_all:
            self._fail("limits", f"there are {sum(unpaid.values())} unpaid orders in all")
        for token in OFFER.tokens:
            count = self._books.token(token.code)
            if token.uses is not None and count.reserved + count.consumed > token.uses:
                self._fail("limits", f"{count} of {token.uses} uses of a token")
