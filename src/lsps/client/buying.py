"""Buying a channel: LSPS1 (bLIP-51)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import structs

from lsps.client.customer import Customer
from lsps.client.errors import RuleViolated
from lsps.client.ordering import Ordering
from lsps.client.purchase import NotThere, Purchase, key
from lsps.client.refusals import as_refusals
from lsps.client.terms import Terms
from lsps.node.contract import (
    LARGE_CHANNEL_FEATURES,
    LARGEST_ORDINARY_CHANNEL,
    Channel,
    Channels,
    ChannelState,
    NodeInfo,
    NotSupported,
    Opener,
    Payment,
    require,
)
from lsps.protocol import lsps1, lsps1_rules
from lsps.protocol.fields import OnchainAddress
from lsps.protocol.message import Message
from lsps.protocol.methods import Method, NoParams
from lsps.protocol.rules import RuleViolation, check_refund_address
from lsps.protocol.sanitize import sanitize
from lsps.store.journal import EntryState, OnchainTransaction
from lsps.units import OrderId, Sat

_CONFIRMATIONS = 1
_FUNDING_BLOCKS = 6
_LOOKED_THROUGH = 1_000
"""Entries of the journal, for a channel that was delivered before."""


@dataclass(frozen=True, slots=True)
class Wish:
    """`Lsps1.buy` explains each. A token never shows."""

    lsp_balance: Sat
    client_balance: Sat
    expiry_blocks: int
    announce: bool
    required_confirmations: int | None
    funding_confirms_within_blocks: int | None
    token: str | None = field(repr=False)
    refund_address: str | None

    def left_open(self) -> Iterator[str]:
        """The params that the payer does not name."""
        if self.required_confirmations is None:
            yield "required_channel_confirmations"
        if self.funding_confirms_within_blocks is None:
            yield "funding_confirms_within_blocks"

    def params(self, options: lsps1.Options | None) -> lsps1.CreateOrderParams:
        """What the payer leaves open is as low as we and the LSP allow."""
        confirmations, within = self.required_confirmations, self.funding_confirms_within_blocks
        if confirmations is None:
            least = 0 if options is None else options.min_required_channel_confirmations
            confirmations = max(_CONFIRMATIONS, least)
        if within is None:
            least = 0 if options is None else options.min_funding_confirms_within_blocks
            within = max(_FUNDING_BLOCKS, least)
        return lsps1.CreateOrderParams(
            lsp_balance_sat=self.lsp_balance,
            client_balance_sat=self.client_balance,
            required_channel_confirmations=confirmations,
            funding_confirms_within_blocks=within,
            channel_expiry_blocks=self.expiry_blocks,
            announce_channel=self.announce,
            token=self.token or None,
            refund_onchain_address=OnchainAddress(self.refund_address) if self.refund_address else None,
        )


@dataclass(frozen=True, slots=True)
class Bought:
    """`channel` as our own node sees it, None when it was ordered only. Paid over Lightning it has a `payment`,
    on-chain a `transaction`; a free one has neither."""

    order: lsps1.ChannelOrder
    channel: Channel | None
    payment: Payment | None
    transaction: OnchainTransaction | None
    resumed: bool


async def buy(customer: Customer, wish: Wish, terms: Terms) -> Bought:
    """See `Lsps1.buy`."""
    payments = require(customer.node.payments, "payments")
    channels = require(customer.node.channels, "channels")
    info = await customer.node.info()
    purchase = ChannelPurchase(customer, channels, wish, info)
    async with AsyncExitStack() as acceptor:
        if wish.required_confirmations == 0:
            offer = channels.accept_zero_conf(customer.session.lsp, wish.lsp_balance + wish.client_balance)
            await acceptor.enter_async_context(offer)
        outcome = await Ordering(customer, purchase, terms, info, payments).run()
    return Bought(outcome.order, outcome.delivered, outcome.payment, outcome.transaction, outcome.resumed)


def capacity(params: lsps1.CreateOrderParams) -> Sat:
    return params.lsp_balance_sat + params.client_balance_sat


class ChannelPurchase(Purchase[lsps1.ChannelOrder, Channel]):
    """Delivered is a channel that our own node lists, as it was ordered (bLIP-51 §4.1)."""

    create = lsps1.CREATE_ORDER

    def __init__(self, customer: Customer, channels: Channels, wish: Wish, info: NodeInfo) -> None:
        self._customer = customer
        self._channels = channels
        self._lsp = customer.session.lsp
        self._wish = wish
        self._info = info
        self.params: lsps1.CreateOrderParams = wish.params(None)

    async def prepare(self) -> None:
        # bLIP-51 §1: the client MUST call get_info first.
        options = await self._customer.session.call(lsps1.GET_INFO, NoParams())
        if broken := list(lsps1_rules.check_options(options)):
            raise RuleViolated(broken)
        self.params = self._wish.params(options)
        # What the LSP would refuse anyway (bLIP-51 §2), told before anything is ordered.
        with as_refusals():
            check_refund_address(self.params.refund_onchain_address, self._info.network)
            lsps1_rules.check_create_order(self.params, options)
        await self._check_large_channel()

    async def _check_large_channel(self) -> None:
        """bLIP-51 §2: the client MUST check the feature before it orders a large channel."""
        if capacity(self.params) <= LARGEST_ORDINARY_CHANNEL:
            return
        peer = await self._customer.node.messages.peer(self._lsp)
        sides = {"this node": self._info.features, "the LSP": peer.features if peer is not None else frozenset()}
        for side, features in sides.items():
            if not features & LARGE_CHANNEL_FEATURES:
                raise NotSupported(
                    f"a channel of more than {LARGEST_ORDINARY_CHANNEL} sat needs option_support_large_channel, which "
                    f"{side} does not have; order a smaller one. Nothing was ordered"
                )

    def key(self) -> str:
        return key(self.params)

    def is_wish(self, parameters: str) -> bool:
        # What the payer leaves open was the LSP's to say, which may say something else by now.
        mine, theirs = msgspec.json.decode(key(self.params)), msgspec.json.decode(parameters)
        for name in self._wish.left_open():
            mine.pop(name, None)
            theirs.pop(name, None)
        return bool(mine == theirs)

    def get_order(self, order_id: OrderId) -> tuple[Method[Any, lsps1.ChannelOrder], Message]:
        return lsps1.GET_ORDER, lsps1.GetOrderParams(order_id=order_id)

    def params_with(self, refund_address: str) -> lsps1.CreateOrderParams:
        given = self.params.refund_onchain_address
        return structs.replace(self.params, refund_onchain_address=given or OnchainAddress(refund_address) or None)

    def violations(self, order: lsps1.ChannelOrder, refund_address: str) -> Iterator[RuleViolation]:
        return lsps1_rules.check_order_reply(self.params_with(refund_address), order)

    def blocks(self) -> int:
        return self.params.channel_expiry_blocks

    def new_expiration(self, order: lsps1.ChannelOrder) -> None:
        return None

    async def find(self, promised: lsps1.ChannelOrder, completed: lsps1.ChannelOrder) -> Channel:
        if completed.channel is None:
            raise NotThere("its order names no channel (bLIP-51 §4)", final=True)
        funding = completed.channel.funding_outpoint
        for channel in await self._channels.list():
            # A splice changes the funding outpoint; the channel id stays (BOLT 2).
            if channel.channel_id == funding.channel_id():
                self._compare(channel)
                await self._check_new(channel, promised.order_id)
                return channel
        raise NotThere(f"this node has no channel with the funding outpoint {funding}")

    async def _check_new(self, channel: Channel, order_id: OrderId) -> None:
        """Raises NotThere: it is another order's, as far as the journal goes back."""
        for entry in await self._customer.journal.newest(_LOOKED_THROUGH):
            is_delivered = (entry.method, entry.state) == (self.create.name, EntryState.COMPLETED)
            if not is_delivered or entry.order_id == order_id or entry.node != self._info.node_id:
                continue
            other = self.read_order(entry.order).channel
            if other is not None and other.funding_outpoint.channel_id() == channel.channel_id:
                order = sanitize(entry.order_id or "", limit=64)
                text = f"channel {channel.funding} was delivered for order {order} already"
                raise NotThere(text, final=True)

    def _compare(self, channel: Channel) -> None:
        wanted = self.params
        # Before it opens, a node may not tell what was pushed; until then our balance is just that.
        given = max(channel.pushed, channel.local_balance) if channel.state is ChannelState.PENDING else channel.pushed
        wrong = []
        if channel.peer != self._lsp or channel.opener is not Opener.PEER:
            wrong.append("it is no channel that the LSP opened")
        if channel.capacity < capacity(wanted):
            wrong.append(f"its capacity is {channel.capacity} sat, not {capacity(wanted)}")
        if given < wanted.client_balance_sat:
            wrong.append(f"{given} sat were given to this side, not {wanted.client_balance_sat}")
        if channel.private == wanted.announce_channel:
            wrong.append("it is private" if channel.private else "it is announced")
        if wrong:
            raise NotThere(f"channel {channel.funding} is not what was ordered: {'; '.join(wrong)}", final=True)
