"""The order desk: what LSPS1 and LSPS7 share in taking an order and in telling of one.

create_order: draw the id, ask the node for the invoice (its hash derives from the id), one commit, reply. An invoice
whose order was never committed is known to nobody and expires.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lsps.clock import Clock, timeout
from lsps.node.contract import Invoices, NodeError
from lsps.orders.events import Placed
from lsps.orders.model import Bolt11Option, ChannelTerms, ExtensionTerms, Order, PaymentMethod, Service
from lsps.orders.wire import bolt11_state
from lsps.protocol.errors import ClientRejected, NotFound, TokenInvalid
from lsps.protocol.payment import Bolt11Payment, Payment
from lsps.protocol.rules import MAX_INVOICE_LENGTH
from lsps.service.channels import ChannelMirror
from lsps.service.engine import Engine
from lsps.service.limits import TRY_AGAIN, InWork
from lsps.service.offer import Limits, PaymentTerms, Token
from lsps.service.preimages import Preimages
from lsps.service.pricing import PriceFunction, PriceRequest, PriceUnavailable, ask_price, discounted
from lsps.service.tokens import Tokens
from lsps.store.orders import OrderStore, TokenUsedUp
from lsps.units import Network, NodeId, OrderId, Sat


@dataclass(frozen=True, slots=True)
class OrderDesk:
    lsp: NodeId
    network: Network
    invoices: Invoices
    mirror: ChannelMirror
    store: OrderStore
    engine: Engine
    clock: Clock
    token_bytes: Callable[[int], bytes]
    preimages: Preimages
    price: PriceFunction
    tokens: Tokens
    payment: PaymentTerms
    limits: Limits
    in_work: InWork

    @asynccontextmanager
    async def admitted(self, principal: NodeId) -> AsyncIterator[None]:
        """While an order is being created it counts with the unpaid ones. Raises ClientRejected at a limit."""
        self.in_work.creating(principal, +1)
        try:
            unpaid = await self.store.unpaid(principal)
            if unpaid.of_principal + self.in_work.orders_in_creation(principal) > self.limits.requests_per_peer:
                raise ClientRejected("you have too many unpaid orders; pay one, or wait until one expires")
            in_all = unpaid.in_all + self.in_work.orders_in_creation_in_all()
            room = self.limits.unpaid_orders_in_all
            if in_all > (room if self.mirror.of_peer(principal) else room // 2):
                raise ClientRejected("the LSP has too many unpaid orders; try again later")
            yield
        finally:
            self.in_work.creating(principal, -1)

    @asynccontextmanager
    async def asking_node(self) -> AsyncIterator[None]:
        """A node that is away or slow costs the customer a "try again", and us nothing."""
        try:
            async with timeout(self.clock, self.limits.node_seconds):
                yield
        except (NodeError, TimeoutError) as error:
            raise ClientRejected(TRY_AGAIN) from error

    async def fee(self, request: PriceRequest, token: Token | None) -> Sat:
        try:
            price = await ask_price(self.price, request, self.clock, self.limits.price_seconds)
        except PriceUnavailable as error:
            raise ClientRejected(TRY_AGAIN) from error
        return price if token is None else discounted(price, token.discount_percent)

    async def place(
        self,
        principal: NodeId,
        terms: ChannelTerms | ExtensionTerms,
        fee: Sat,
        client_balance: Sat,
        token: Token | None,
        description: str,
    ) -> Order:
        """Durable and payable when this returns (money rule 7)."""
        # bLIP-51 §2: SHOULD be a valid UUID version 4.
        order_id = OrderId(str(uuid.UUID(bytes=self.token_bytes(16), version=4)))
        order_total = fee + client_balance
        bolt11 = await self._bolt11(order_id, fee, order_total, description) if order_total else None
        placed = Placed(
            id=order_id,
            lsp=self.lsp,
            principal=principal,
            terms=terms,
            bolt11=bolt11,
            token="" if token is None else token.code,
            token_uses=None if token is None else token.uses,
        )
        try:
            return await self.engine.place(placed)
        except TokenUsedUp:
            raise TokenInvalid from None

    async def _bolt11(self, order_id: OrderId, fee: Sat, order_total: Sat, description: str) -> Bolt11Option:
        payment_hash = self.preimages.payment_hash(order_id)
        expiry = self.payment.bolt11_expiry
        expires_at = (self.clock.now() + expiry).replace(microsecond=0)
        async with self.asking_node():
            invoice = await self.invoices.add_hold(
                payment_hash,
                order_total.to_msat(),
                description,
                int(expiry.total_seconds()),
                self.payment.min_final_cltv_expiry,
            )
        if len(invoice) > MAX_INVOICE_LENGTH:  # bLIP-51 §3.1: MUST be at most 2048 characters long
            raise ClientRejected(TRY_AGAIN)
        return Bolt11Option(payment_hash, invoice, expires_at, fee, order_total)

    async def find(self, principal: NodeId, order_id: OrderId, service: Service) -> Order:
        """The principal's own order. Another's is answered as if it did not exist: raises NotFound."""
        order = await self.store.order(order_id)
        if order is None or order.principal != principal or order.service is not service:
            raise NotFound
        return order


def payment(order: Order) -> Payment:
    """The payment object (bLIP-51 §3); empty for a free order."""
    option = order.bolt11
    if option is None:
        return Payment()
    return Payment(
        bolt11=Bolt11Payment(
            state=bolt11_state(order, option),
            expires_at=option.expires_at,
            fee_total_sat=option.fee_total,
            order_total_sat=option.order_total,
            invoice=option.invoice,
        )
    )


METHOD = PaymentMethod.BOLT11
