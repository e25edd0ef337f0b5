"""LSPS1 as a service: get_info, create_order, get_order (bLIP-51)."""

from __future__ import annotations

from dataclasses import dataclass

from lsps.node.contract import LARGE_CHANNEL_FEATURES, LARGEST_ORDINARY_CHANNEL, Messages
from lsps.orders.model import ChannelTerms, Order, Service
from lsps.orders.wire import order_state
from lsps.protocol import lsps1, lsps1_rules
from lsps.protocol.errors import ClientRejected, OptionMismatch
from lsps.protocol.methods import NoParams
from lsps.protocol.rules import check_refund_address
from lsps.service.desk import OrderDesk, Wanted, payment
from lsps.service.offer import ChannelOffer
from lsps.service.opening import Opening, capacity
from lsps.units import NodeId


@dataclass(frozen=True, slots=True)
class Lsps1:
    offer: ChannelOffer
    desk: OrderDesk
    opening: Opening
    messages: Messages

    async def get_info(self, _peer: NodeId, _params: NoParams) -> lsps1.Options:
        return self.offer.options

    async def create_order(self, peer: NodeId, params: lsps1.CreateOrderParams) -> lsps1.ChannelOrder:
        desk = self.desk
        lsps1_rules.check_create_order(params, self.offer.options)
        check_refund_address(params.refund_onchain_address, desk.network)
        token = desk.tokens.check(
            params.token,
            lsp_balance=params.lsp_balance_sat,
            blocks=params.channel_expiry_blocks,
            now=desk.clock.now(),
        )
        terms = ChannelTerms(
            lsp_balance=params.lsp_balance_sat,
            client_balance=params.client_balance_sat,
            required_channel_confirmations=params.required_channel_confirmations,
            funding_confirms_within_blocks=params.funding_confirms_within_blocks,
            channel_expiry_blocks=params.channel_expiry_blocks,
            announce_channel=params.announce_channel,
        )
        async with desk.admitted(peer):
            sat_per_kw = await self._can_open(peer, terms)
            order = await desk.place(
                Wanted(
                    principal=peer,
                    terms=terms,
                    size=terms.lsp_balance,
                    blocks=terms.channel_expiry_blocks,
                    sat_per_kw=sat_per_kw,
                    client_balance=terms.client_balance,
                    token=token,
                    refund_address=params.refund_onchain_address,
                    description="LSPS1 channel",
                )
            )
        return await self._told(order, terms)

    async def get_order(self, peer: NodeId, params: lsps1.GetOrderParams) -> lsps1.ChannelOrder:
        order = await self.desk.find(peer, params.order_id, Service.LSPS1)
        if not isinstance(order.terms, ChannelTerms):
            raise TypeError("an LSPS1 order has channel terms")
        return await self._told(order, order.terms)

    async def _can_open(self, peer: NodeId, terms: ChannelTerms) -> int:
        """The feerate an opening would pay now. What cannot be opened now is refused before it is paid for."""
        async with self.desk.asking_node():
            if capacity(terms) > LARGEST_ORDINARY_CHANNEL:
                known = await self.messages.peer(peer)
                if known is not None and not known.features & LARGE_CHANNEL_FEATURES:
                    text = f"your node takes no channel above {LARGEST_ORDINARY_CHANNEL} sat: it lacks large channels"
                    raise OptionMismatch("max_channel_balance_sat", text)
            sat_per_kw = await self.opening.feerate(terms)
            if sat_per_kw is None:
                raise ClientRejected("on-chain fees are too high now; try again later")
            if await self.opening.inputs_for(terms, sat_per_kw) is None:
                raise ClientRejected("no liquidity for a channel of this size now; try again later")
        return sat_per_kw

    async def _told(self, order: Order, terms: ChannelTerms) -> lsps1.ChannelOrder:
        return lsps1.ChannelOrder(
            order_id=order.id,
            lsp_balance_sat=terms.lsp_balance,
            client_balance_sat=terms.client_balance,
            required_channel_confirmations=terms.required_channel_confirmations,
            funding_confirms_within_blocks=terms.funding_confirms_within_blocks,
            channel_expiry_blocks=terms.channel_expiry_blocks,
            token=order.token,
            created_at=order.created_at,
            announce_channel=terms.announce_channel,
            order_state=order_state(order),
            payment=payment(order),
            channel=await self._channel(order),
        )

    async def _channel(self, order: Order) -> lsps1.Channel | None:
        """bLIP-51 §4: null until the funding transaction is published. An extension moves expires_at later."""
        funded = order.channel
        if funded is None:
            return None
        lease = await self.desk.store.lease(funded.funding_outpoint.channel_id())
        later = None if lease is None else lease.expires_at
        return lsps1.Channel(
            funded_at=funded.funded_at,
            funding_outpoint=funded.funding_outpoint,
            expires_at=max(funded.expires_at, later or funded.expires_at),
        )
