"""Extending a channel's lease: LSPS7 (bLIP-57)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from msgspec.structs import replace

from lsps.client.customer import Customer
from lsps.client.errors import OptionMismatch
from lsps.client.ordering import Ordering
from lsps.client.purchase import NotThere, Purchase, key
from lsps.client.refusals import as_refusals
from lsps.client.session import Session
from lsps.client.terms import Terms
from lsps.node.contract import Channel, Channels, ChannelState, NodeInfo, Payment, require
from lsps.protocol import lsps7, lsps7_rules
from lsps.protocol.errors import OPTION_MISMATCH
from lsps.protocol.fields import OnchainAddress
from lsps.protocol.message import Message
from lsps.protocol.methods import Method, NoParams
from lsps.protocol.rules import RuleViolation, check_refund_address
from lsps.store.journal import OnchainTransaction
from lsps.units import BlockHeight, NodeId, OrderId, Scid


@dataclass(frozen=True, slots=True)
class Extended:
    """`expiration_block`: what the LSP's list shows now, or, when it lists the channel no longer (nothing more can be
    added), what the order says. `listed` is None then, and when it was ordered only (`delivered` is False). Paid over
    Lightning it has a `payment`, on-chain a `transaction`; a free one has neither."""

    order: lsps7.ExtensionOrder
    delivered: bool
    expiration_block: BlockHeight
    listed: lsps7.ExtendableChannel | None
    payment: Payment | None
    transaction: OnchainTransaction | None
    resumed: bool


@dataclass(frozen=True, slots=True)
class Seen:
    """What the list says of the channel after the extension; None: it has it no longer, and need not."""

    listed: lsps7.ExtendableChannel | None


async def extend(
    customer: Customer, scid: Scid, blocks: int, token: str | None, refund_address: str | None, terms: Terms
) -> Extended:
    """See `Lsps7.extend`."""
    payments = require(customer.node.payments, "payments")
    channels = require(customer.node.channels, "channels")
    info = await customer.node.info()
    params = lsps7.CreateOrderParams(
        short_channel_id=scid,
        channel_extension_expiry_blocks=blocks,
        token=token or None,
        refund_onchain_address=OnchainAddress(refund_address) if refund_address else None,
    )
    names = _names(scid, customer.session.lsp, await channels.list())
    purchase = ExtensionPurchase(customer.session, channels, params, names, info)
    outcome = await Ordering(customer, purchase, terms, info, payments).run()
    seen = None if outcome.delivered is None else outcome.delivered.listed
    return Extended(
        order=outcome.order,
        delivered=outcome.delivered is not None,
        expiration_block=outcome.order.new_channel_expiry_block if seen is None else seen.expiration_block,
        listed=seen,
        payment=outcome.payment,
        transaction=outcome.transaction,
        resumed=outcome.resumed,
    )


def _names(scid: Scid, lsp: NodeId, channels: Iterable[Channel]) -> frozenset[Scid]:
    """All SCIDs of our open channel with the LSP that has this one; none when there is no such channel."""
    for channel in channels:
        names = {name for name in (channel.scid, channel.peer_alias, *channel.aliases) if name is not None}
        if channel.peer == lsp and channel.state is ChannelState.OPEN and scid in names:
            return frozenset(names)
    return frozenset()


def _listed(names: Iterable[Scid], listing: Iterable[lsps7.ExtendableChannel]) -> lsps7.ExtendableChannel | None:
    """The list's entry for the channel; an LSP may call it by another of its SCIDs."""
    wanted = frozenset(names)
    return next((entry for entry in listing if entry.short_channel_id in wanted), None)


class ExtensionPurchase(Purchase[lsps7.ExtensionOrder, Seen]):
    """Delivered is the new expiration, as the LSP's list shows it (bLIP-57 §1)."""

    create = lsps7.CREATE_ORDER

    def __init__(
        self,
        session: Session,
        channels: Channels,
        params: lsps7.CreateOrderParams,
        own: frozenset[Scid],
        info: NodeInfo,
    ) -> None:
        """`own` are the names of our own node's channel that is to be extended, if it has it."""
        self._session = session
        self._channels = channels
        self._own = own
        self._asked = params.short_channel_id
        self._listed: lsps7.ExtendableChannel | None = None
        self._info = info
        self.params: lsps7.CreateOrderParams = params

    async def prepare(self) -> None:
        listing = await self._session.call(lsps7.GET_EXTENDABLE_CHANNELS, NoParams())
        self._listed = listed = _listed(self._names, listing)
        if listed is None and not self._own:
            # A full list may leave channels out, so one of our own can be ordered for all the same.
            raise OptionMismatch(
                f"the LSP does not list {self._asked} as extendable, and this node has no channel of that id with it: "
                "nothing was ordered",
                code=OPTION_MISMATCH,
                option="short_channel_id",
            )
        if listed is not None:
            self.params = replace(self.params, short_channel_id=listed.short_channel_id)
        with as_refusals():
            check_refund_address(self.params.refund_onchain_address, self._info.network)
            if listed is None:
                lsps7_rules.check_bounds(self.params)
            else:
                lsps7_rules.check_create_order(self.params, listed)

    @property
    def _names(self) -> frozenset[Scid]:
        return self._own | {self._asked}

    def key(self) -> str:
        # By the name that the payer gave: a splice or a reorganisation may take the listed one away, and the same call
        # again must find it.
        return key(replace(self.params, short_channel_id=self._asked))

    def is_wish(self, parameters: str) -> bool:
        # The channel may have been ordered for by another of its names.
        return any(key(replace(self.params, short_channel_id=name)) == parameters for name in self._names)

    def get_order(self, order_id: OrderId) -> tuple[Method[Any, lsps7.ExtensionOrder], Message]:
        return lsps7.GET_ORDER, lsps7.GetOrderParams(order_id=order_id)

    def params_with(self, refund_address: str) -> lsps7.CreateOrderParams:
        given = self.params.refund_onchain_address
        return replace(self.params, refund_onchain_address=given or OnchainAddress(refund_address) or None)

    def violations(self, order: lsps7.ExtensionOrder, refund_address: str) -> Iterator[RuleViolation]:
        return lsps7_rules.check_order_reply(self.params_with(refund_address), self._listed, self._info.height, order)

    def blocks(self) -> int:
        return self.params.channel_extension_expiry_blocks

    def new_expiration(self, order: lsps7.ExtensionOrder) -> BlockHeight:
        return order.new_channel_expiry_block

    async def find(self, promised: lsps7.ExtensionOrder, completed: lsps7.ExtensionOrder) -> Seen:
        listing = await self._session.call(lsps7.GET_EXTENDABLE_CHANNELS, NoParams())
        # A 0-conf channel that confirmed meanwhile is listed by a name that it did not have when it was ordered for.
        own = await self._channels.list()
        names = self._names | {promised.channel.short_channel_id}
        listed = _listed(names.union(*(_names(name, self._session.lsp, own) for name in names)), listing)
        if listed is None:
            # A reorganisation took the name away: the list tells which orders extended a channel (bLIP-57 §1).
            by_order = (entry for entry in listing if promised.order_id in (entry.extension_order_ids or ()))
            listed = next(by_order, None)
        wanted = promised.new_channel_expiry_block
        if listed is None:
            # An LSP lists what it allows to extend (bLIP-57 §1): not a channel to which nothing can be added any more,
            # and one that it did not list before may stay unlisted.
            maximum = promised.channel.max_channel_extension_expiry_blocks
            if self._listed is None or maximum <= self.params.channel_extension_expiry_blocks:
                return Seen(None)
            raise NotThere(f"the LSP lists channel {self.params.short_channel_id} no longer")
        if listed.expiration_block < wanted:
            raise NotThere(f"its list says {listed.expiration_block} for the channel's lease, not {wanted}")
        return Seen(listed)
