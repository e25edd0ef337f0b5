"""Opening the channel of an LSPS1 order, at most once (bLIP-51 §4.1, money rule 3).

The inputs are the opening's identity: they are chosen and recorded before the node is asked, every repeat names the
same ones, and an unknown outcome is settled by their fate before anything else is tried.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass

from lsps import logs
from lsps.failpoints import Failpoint
from lsps.node import coins
from lsps.node.contract import (
    Channels,
    Messages,
    NodeError,
    NodeUnreachable,
    NotOpened,
    Opened,
    Opener,
    OpenRequest,
    PeerNotConnected,
    Utxo,
    Wallet,
)
from lsps.orders import deposits
from lsps.orders.events import ChannelOpened, Event, InputsChosen, OpenFailed
from lsps.orders.model import ChannelTerms, Funding, Order
from lsps.protocol.sanitize import sanitize
from lsps.service.channels import ChannelMirror
from lsps.service.offer import ChannelOffer
from lsps.service.putoff import PutOff
from lsps.store.orders import DueEffect, OrderStore
from lsps.units import Outpoint, Sat

_log = logging.getLogger("lsps.service")

WEIGHT_PER_VBYTE = 4


@dataclass(frozen=True, slots=True)
class Opening:
    messages: Messages
    channels: Channels
    wallet: Wallet
    store: OrderStore
    offer: ChannelOffer | None
    """None when LSPS1 is not offered any more: then nothing is begun, and what was begun is brought to its end."""
    failpoint: Failpoint

    async def feerate(self, terms: ChannelTerms) -> int | None:
        """Satoshi per 1000 weight to confirm in time (bLIP-51 §4.1); None when that is more than the operator pays."""
        sat_per_kw = await self.wallet.feerate(terms.funding_confirms_within_blocks)
        limit = 0 if self.offer is None else self.offer.max_open_sat_per_vbyte * 1000 // WEIGHT_PER_VBYTE
        return sat_per_kw if sat_per_kw <= limit else None

    async def inputs_for(self, terms: ChannelTerms, sat_per_kw: int) -> tuple[Outpoint, ...] | None:
        """Free wallet outputs that fund the channel and leave the reserve; None when there are not enough."""
        if self.offer is None:
            return None
        taken = await self.store.reserved_inputs()
        free = [utxo for utxo in await self.wallet.inputs() if utxo.outpoint not in taken]
        wanted, reserve = capacity(terms), self.offer.reserve
        if coins.choose(free, wanted, sat_per_kw, reserve) is None:
            return None
        ours = await self._ours(free, wanted + reserve, sat_per_kw)
        return coins.choose(ours, wanted, sat_per_kw, reserve)

    async def _ours(self, utxos: Iterable[Utxo], enough: Sat, sat_per_kw: int) -> list[Utxo]:
        """What a customer paid is not spent before it is earned: it may have to go back, from that very output.

        The largest of ours, no more than are enough with their fee: what customers paid piles up in the wallet, and an
        order must not cost more for it. An order is read once, however many outputs were paid to its address.
        """
        tip = await self.store.deposits_read_to()
        earned: dict[str, frozenset[Outpoint] | None] = {}
        ours: list[Utxo] = []
        total = 0
        for utxo in coins.largest_first(utxos):
            if utxo.address not in earned:
                order = await self.store.order_of_address(utxo.address)
                earned[utxo.address] = None if order is None else deposits.free_to_spend(order, tip)
            of_order = earned[utxo.address]
            if of_order is None or utxo.outpoint in of_order:
                ours.append(utxo)
                total += int(utxo.amount)
                if total >= int(enough) + coins.fee(len(ours), sat_per_kw):
                    break
        return ours

    async def choose_inputs(self, order: Order) -> Event | PutOff:
        if self.offer is None:
            return PutOff("LSPS1 is not offered any more")
        terms = _terms(order)
        # bLIP-51 §4.1: LSP MUST wait for a peer connection before attempting a channel open.
        try:
            await self.messages.connect(order.principal)
        except PeerNotConnected:
            return PutOff("the peer is not connected")
        sat_per_kw = await self.feerate(terms)
        if sat_per_kw is None:
            return PutOff("the on-chain feerate is above max_open_sat_per_vbyte")
        inputs = await self.inputs_for(terms, sat_per_kw)
        if inputs is None:
            return PutOff("the wallet has not enough confirmed funds above the reserve")
        return InputsChosen(inputs, sat_per_kw)

    async def open_channel(self, order: Order, effect: DueEffect) -> Event | PutOff:
        terms, funding = _terms(order), _funding(order)
        refusal = ""
        if effect.attempt == 0:
            self.failpoint("open_channel.before")
            try:
                outpoint = await self.channels.open(_request(order, terms, funding))
            except NodeError as error:
                # The node repeats what the peer said.
                refusal = sanitize(str(error))
                logs.event(_log, logging.WARNING, "open_not_confirmed", order_id=order.id, reason=refusal)
                if isinstance(error, NodeUnreachable):
                    raise
            else:
                self.failpoint("open_channel.after")
                return ChannelOpened(outpoint)
        fate = await self.channels.fate(order.principal, funding.inputs, funding.since)
        if isinstance(fate, Opened):
            # Chosen before another order reserved them, and recorded after that one had spent them.
            lease = await self.store.lease(fate.funding.channel_id())
            sold = None if lease is None else lease.original_order
            if sold is not None and sold.id != order.id:
                return OpenFailed("the channel could not be opened: its inputs paid for another order's channel")
            return ChannelOpened(fate.funding)
        if isinstance(fate, NotOpened):
            return OpenFailed(f"the channel could not be opened: {refusal or sanitize(fate.reason)}")
        return PutOff("the opening is undecided")


def capacity(terms: ChannelTerms) -> Sat:
    """bLIP-51 §4.1: at least lsp_balance_sat + client_balance_sat; we open exactly that."""
    return terms.lsp_balance + terms.client_balance


def _request(order: Order, terms: ChannelTerms, funding: Funding) -> OpenRequest:
    return OpenRequest(
        peer=order.principal,
        capacity=capacity(terms),
        push=terms.client_balance,
        private=not terms.announce_channel,
        zero_conf=terms.required_channel_confirmations == 0,
        inputs=funding.inputs,
        sat_per_kw=funding.sat_per_kw,
        memo=memo(order),
    )


def memo(order: Order) -> str:
    """By which people find an order's channel at the node, and a store that has lost its opening."""
    return f"LSPS1 order {order.id}"


def opened_before(mirror: ChannelMirror, order: Order) -> ChannelOpened | None:
    """The channel that was opened for this order already, when the store was put back from a copy older than that:
    the node knows it by its memo as long as it lives."""
    for channel in mirror.of_peer(order.principal):
        if channel.opener is Opener.US and channel.memo == memo(order):
            logs.event(_log, logging.WARNING, "opened_before", order_id=order.id, outpoint=channel.funding)
            return ChannelOpened(channel.funding)
    return None


def _terms(order: Order) -> ChannelTerms:
    if not isinstance(order.terms, ChannelTerms):
        raise TypeError(f"order {order.id} asks for no channel")
    return order.terms


def _funding(order: Order) -> Funding:
    if order.funding is None:
        raise TypeError(f"order {order.id} has no inputs")
    return order.funding
