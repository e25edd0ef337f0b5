"""The order desk: what LSPS1 and LSPS7 share in taking an order and in telling of one.

create_order: draw the id, ask the node for the invoice (its hash derives from the id) and for an address, one commit,
reply. An invoice or an address whose order was never committed is known to nobody.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from lsps.clock import Clock, timeout
from lsps.node.contract import Invoices, NodeError, Wallet
from lsps.orders.events import Placed
from lsps.orders.model import (
    Bolt11Option,
    ChannelTerms,
    ExtensionTerms,
    OnchainOption,
    Order,
    PaymentMethod,
    Service,
)
from lsps.orders.wire import bolt11_state, onchain_state
from lsps.protocol.errors import ClientRejected, InvalidParams, NotFound, TokenInvalid
from lsps.protocol.fields import OnchainAddress
from lsps.protocol.payment import Bolt11Payment, OnchainPayment, Payment
from lsps.protocol.rules import MAX_INVOICE_LENGTH
from lsps.service.channels import ChannelMirror
from lsps.service.dispatcher import Shapes
from lsps.service.engine import Engine
from lsps.service.limits import TRY_AGAIN, InWork
from lsps.service.offer import Limits, PaymentTerms, Token
from lsps.service.preimages import Preimages
from lsps.service.pricing import PriceFunction, PriceRequest, PriceUnavailable, ask_price, discounted
from lsps.service.tokens import Tokens
from lsps.store.orders import OrderStore, TokenUsedUp
from lsps.units import Network, NodeId, OrderId, Sat


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A valid request for an order. `size`, `blocks` and `sat_per_kw` are what its price depends on (PriceRequest)."""

    principal: NodeId
    terms: ChannelTerms | ExtensionTerms
    size: Sat
    blocks: int
    sat_per_kw: int | None
    client_balance: Sat
    """0 in LSPS7: bLIP-57 has none, so the total is the fee."""
    token: Token | None
    refund_address: str | None
    description: str


@dataclass(frozen=True, slots=True)
class OrderDesk:
    lsp: NodeId
    network: Network
    invoices: Invoices
    wallet: Wallet
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
    shapes: Shapes

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

    async def place(self, wanted: Wanted) -> Order:
        """Durable and payable when this returns (money rule 7). Raises ClientRejected, InvalidParams, TokenInvalid."""
        # bLIP-51 §2: SHOULD be a valid UUID version 4.
        order_id = OrderId(str(uuid.UUID(bytes=self.token_bytes(16), version=4)))
        bolt11 = onchain = None
        fees = {method: await self._fee(wanted, method) for method in self._methods(wanted)}
        if all(fee + wanted.client_balance for fee in fees.values()):
            bolt11 = await self._bolt11(order_id, wanted, fees.get(PaymentMethod.BOLT11))
            onchain = await self._onchain(wanted, fees.get(PaymentMethod.ONCHAIN))
            if bolt11 is None and onchain is None:
                least = self.payment.min_onchain_payment
                raise ClientRejected(
                    f"an order of less than {least} sat cannot be paid on-chain, and this LSP knows no other way"
                )
        token = wanted.token
        placed = Placed(
            id=order_id,
            lsp=self.lsp,
            principal=wanted.principal,
            terms=wanted.terms,
            bolt11=bolt11,
            onchain=onchain,
            token="" if token is None else token.code,
            token_uses=None if token is None else token.uses,
        )
        try:
            return await self.engine.place(placed)
        except TokenUsedUp:
            raise TokenInvalid from None

    def _methods(self, wanted: Wanted) -> tuple[PaymentMethod, ...]:
        """How this order can be paid. Raises InvalidParams when a refund address would be needed and is missing."""
        methods = [PaymentMethod.BOLT11] if self.payment.bolt11 else []
        if self.payment.onchain and wanted.refund_address is not None and self._reads_onchain(wanted.principal):
            # bLIP-51 §3.3: MUST be omitted if the client gave no refund address.
            methods.append(PaymentMethod.ONCHAIN)
        if not methods:
            name = "refund_onchain_address"
            raise InvalidParams(name, f"this LSP takes on-chain payment only, which needs a {name}")
        return tuple(methods)

    def _reads_onchain(self, peer: NodeId) -> bool:
        """LDK drops an on-chain option without min_fee_for_0conf, which must be null if confirmations are required."""
        return self.payment.min_onchain_payment_confirmations == 0 or self.shapes.of(peer) != "ldk"

    async def _fee(self, wanted: Wanted, method: PaymentMethod) -> Sat:
        service = Service.LSPS1 if isinstance(wanted.terms, ChannelTerms) else Service.LSPS7
        request = PriceRequest(service, wanted.size, wanted.blocks, method, wanted.sat_per_kw, wanted.principal)
        try:
            price = await ask_price(self.price, request, self.clock, self.limits.price_seconds)
        except PriceUnavailable as error:
            raise ClientRejected(TRY_AGAIN) from error
        return price if wanted.token is None else discounted(price, wanted.token.discount_percent)

    async def _bolt11(self, order_id: OrderId, wanted: Wanted, fee: Sat | None) -> Bolt11Option | None:
        if fee is None:
            return None
        payment_hash = self.preimages.payment_hash(order_id)
        expiry = self.payment.bolt11_expiry
        expires_at = (self.clock.now() + expiry).replace(microsecond=0)
        order_total = fee + wanted.client_balance
        async with self.asking_node():
            invoice = await self.invoices.add_hold(
                payment_hash,
                order_total.to_msat(),
                wanted.description,
                int(expiry.total_seconds()),
                self.payment.min_final_cltv_expiry,
            )
        if len(invoice) > MAX_INVOICE_LENGTH:  # bLIP-51 §3.1: MUST be at most 2048 characters long
            raise ClientRejected(TRY_AGAIN)
        return Bolt11Option(payment_hash, invoice, expires_at, fee, order_total)

    async def _onchain(self, wanted: Wanted, fee: Sat | None) -> OnchainOption | None:
        if (
            fee is None
            or wanted.refund_address is None
            or fee + wanted.client_balance < self.payment.min_onchain_payment
        ):
            return None
        confirmations = self.payment.min_onchain_payment_confirmations
        min_fee = None
        async with self.asking_node():
            address = await self.wallet.new_address()
            if confirmations == 0:
                # bLIP-51 §3.3: SHOULD be high enough to lower the risk of a double spend: the next block's feerate.
                min_fee = await self.wallet.feerate(1)
        return OnchainOption(
            address=address,
            refund_address=wanted.refund_address,
            expires_at=(self.clock.now() + self.payment.onchain_expiry).replace(microsecond=0),
            fee_total=fee,
            order_total=fee + wanted.client_balance,
            min_confirmations=confirmations,
            min_fee_for_0conf=min_fee,
        )

    async def find(self, principal: NodeId, order_id: OrderId, service: Service) -> Order:
        """The principal's own order. Another's is answered as if it did not exist: raises NotFound."""
        order = await self.store.order(order_id)
        if order is None or order.principal != principal or order.service is not service:
            raise NotFound
        return order


def payment(order: Order) -> Payment:
    """The payment object (bLIP-51 §3); empty for a free order."""
    bolt11 = onchain = None
    if (invoice := order.bolt11) is not None:
        bolt11 = Bolt11Payment(
            state=bolt11_state(order, invoice),
            expires_at=invoice.expires_at,
            fee_total_sat=invoice.fee_total,
            order_total_sat=invoice.order_total,
            invoice=invoice.invoice,
        )
    if (option := order.onchain) is not None:
        onchain = OnchainPayment(
            state=onchain_state(order),
            expires_at=option.expires_at,
            fee_total_sat=option.fee_total,
            order_total_sat=option.order_total,
            address=OnchainAddress(option.address),
            min_onchain_payment_confirmations=option.min_confirmations,
            min_fee_for_0conf=option.min_fee_for_0conf,
            refund_onchain_address=OnchainAddress(option.refund_address),
        )
    return Payment(bolt11=bolt11, onchain=onchain)
