"""Hold invoices: open until paid, held until settled or cancelled; some end by themselves, as LND's do."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from lsps.lightning import bolt11
from lsps.lightning.features import BASIC_MPP, PAYMENT_SECRET, VAR_ONION_OPTIN
from lsps.node.contract import ChannelState, InvoiceAlreadySettled, InvoiceNotHeld, InvoiceState, InvoiceStatus, Refused
from lsps.node.simulated.streams import Feed
from lsps.units import BlockHeight, Msat

if TYPE_CHECKING:
    from lsps.node.simulated.lightning_node import LightningNode
    from lsps.node.simulated.payments import Htlc

CANCEL_BEFORE_EXPIRY_BLOCKS = 18
"""LND gives a held HTLC back so many blocks before it expires."""

_FEATURES = 1 << VAR_ONION_OPTIN | 1 << PAYMENT_SECRET | 1 << BASIC_MPP + 1
_HINT_CLTV_DELTA = 80
_MAX_HINTS = 3


@dataclass(slots=True, eq=False)
class HoldInvoice:
    payment_hash: bytes
    text: str
    state: InvoiceState = InvoiceState.OPEN
    htlc: Htlc | None = None

    def status(self) -> InvoiceStatus:
        return InvoiceStatus(
            payment_hash=self.payment_hash,
            state=self.state,
            held=Msat(0) if self.htlc is None else self.htlc.amount,
            earliest_expiry=self.htlc.expiry if self.htlc and self.state is InvoiceState.HELD else None,
        )


class InvoiceBook:
    """The hold invoices of one node."""

    def __init__(self, node: LightningNode) -> None:
        self.feed: Feed[InvoiceStatus] = Feed()
        self._node = node
        self._invoices: dict[bytes, HoldInvoice] = {}
        self._held: list[tuple[BlockHeight, bytes]] = []

    def add(
        self, payment_hash: bytes, amount: Msat, description: str, expiry_seconds: int, min_final_cltv_expiry: int
    ) -> str:
        """Raises Refused."""
        if payment_hash in self._invoices:
            return self._invoices[payment_hash].text
        if expiry_seconds <= 0 or min_final_cltv_expiry < CANCEL_BEFORE_EXPIRY_BLOCKS:
            raise Refused("an invoice needs an expiry above 0 seconds and a final CLTV of at least 18 blocks")
        world = self._node.world
        try:
            invoice = bolt11.Invoice(
                network=world.network,
                payee=self._node.node_id,
                timestamp=int(world.clock.now().timestamp()),
                payment_hash=payment_hash,
                payment_secret=world.random.randbytes(32),
                amount=amount,
                description=description,
                expiry_seconds=expiry_seconds,
                min_final_cltv_expiry=min_final_cltv_expiry,
                route_hints=self._hints(),
                features=_FEATURES,
            )
            text = bolt11.encode(invoice, self._node.key)
        except bolt11.InvalidInvoice as error:
            raise Refused(f"the node cannot make this invoice: {error.reason}") from None
        self._invoices[payment_hash] = HoldInvoice(payment_hash, text)
        world.timers.after(expiry_seconds, self._expiry_of(payment_hash))
        self._tell(payment_hash)
        return text

    def status(self, payment_hash: bytes) -> InvoiceStatus | None:
        invoice = self._invoices.get(payment_hash)
        return None if invoice is None else invoice.status()

    def hold(self, htlc: Htlc) -> bool:
        """Take an incoming HTLC into its invoice; False when there is none that is open."""
        invoice = self._invoices.get(htlc.payment_hash)
        if invoice is None or invoice.state is not InvoiceState.OPEN:
            return False
        invoice.state, invoice.htlc = InvoiceState.HELD, htlc
        heapq.heappush(self._held, (htlc.expiry, htlc.payment_hash))
        self._tell(htlc.payment_hash)
        return True

    def settle(self, preimage: bytes) -> None:
        """Raises InvoiceNotHeld."""
        invoice = self._invoices.get(sha256(preimage).digest())
        if invoice is None:
            raise InvoiceNotHeld("the node knows no invoice for this preimage")
        if invoice.state is InvoiceState.SETTLED:
            return
        if invoice.htlc is None or invoice.state is not InvoiceState.HELD:
            raise InvoiceNotHeld(f"nothing is held for this invoice: it is {invoice.state.value}")
        invoice.state = InvoiceState.SETTLED
        self._tell(invoice.payment_hash)
        invoice.htlc.settle()

    def cancel(self, payment_hash: bytes) -> None:
        """Raises InvoiceAlreadySettled."""
        invoice = self._invoices.get(payment_hash)
        if invoice is None or invoice.state is InvoiceState.CANCELLED:
            return
        if invoice.state is InvoiceState.SETTLED:
            raise InvoiceAlreadySettled("the invoice is settled: the payment cannot be given back any more")
        htlc, invoice.htlc = invoice.htlc, None
        invoice.state = InvoiceState.CANCELLED
        self._tell(payment_hash)
        if htlc is not None:
            htlc.fail("incorrect payment details")

    def cancel_due(self, height: BlockHeight) -> None:
        """Give back what is held too near to its expiry."""
        while self._held and self._held[0][0].blocks_since(height) <= CANCEL_BEFORE_EXPIRY_BLOCKS:
            _, payment_hash = heapq.heappop(self._held)
            if self._invoices[payment_hash].state is InvoiceState.HELD:
                self.cancel(payment_hash)

    def _expiry_of(self, payment_hash: bytes) -> Callable[[], None]:
        def expire() -> None:
            if self._invoices[payment_hash].state is InvoiceState.OPEN:
                self.cancel(payment_hash)

        return expire

    def _hints(self) -> tuple[tuple[bolt11.RouteHop, ...], ...]:
        """The private channels, by the alias that the peer knows them by (BOLT 2, channel_ready)."""
        private = [
            channel
            for channel in self._node.channels.values()
            if channel.private and channel.state is ChannelState.OPEN
        ]
        hops: list[tuple[bolt11.RouteHop, ...]] = []
        for channel in private[:_MAX_HINTS]:
            peer = self._node.world.nodes[channel.other(self._node.node_id)]
            fee = peer.policy
            alias = channel.aliases[peer.node_id]
            hops.append((bolt11.RouteHop(peer.node_id, alias, fee.base_fee.value, fee.fee_ppm, _HINT_CLTV_DELTA),))
        return tuple(hops)

    def _tell(self, payment_hash: bytes) -> None:
        self.feed.publish(self._invoices[payment_hash].status())
