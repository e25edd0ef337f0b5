"""Orders, leases and changes for the store's tests, each with an identity of its own."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from lsps.orders import transitions
from lsps.orders.events import Event, InvoiceCancelled, Now, PaymentHeld, Placed, Rules
from lsps.orders.model import (
    Bolt11Option,
    ChannelTerms,
    ExtensionTerms,
    Funding,
    Lease,
    OnchainOption,
    Order,
    State,
)
from lsps.orders.transitions import Outcome
from lsps.store.orders import Change, OrderStore
from lsps.units import BlockHeight, ChannelId, Msat, NodeId, OrderId, Outpoint, Sat, Scid

T = TypeVar("T")
Harm = Callable[[sqlite3.Connection], None]

LSP = NodeId("02" + "11" * 32)
OTHER_LSP = NodeId("02" + "12" * 32)
PEER = NodeId("03" + "22" * 32)
OTHER_PEER = NodeId("03" + "33" * 32)
TIP = BlockHeight(800_000)
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = Now(START, TIP)
RULES = Rules(max_extension_blocks=52_560)
CHANNEL = ChannelTerms(
    lsp_balance=Sat(1_000_000),
    client_balance=Sat(0),
    required_channel_confirmations=1,
    funding_confirms_within_blocks=6,
    channel_expiry_blocks=4_320,
    announce_channel=False,
)
HELD = PaymentHeld(Msat(1_000_000), TIP + 144)


def after(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def channel_id(name: str) -> ChannelId:
    return ChannelId(hashlib.sha256(name.encode()).hexdigest())


def outpoint(name: str) -> Outpoint:
    return Outpoint(hashlib.sha256(name.encode()).hexdigest(), 0)


def extension(channel: str = "channel") -> ExtensionTerms:
    return ExtensionTerms(
        short_channel_id=Scid(700_000, 1, 0),
        channel_id=channel_id(channel),
        channel_extension_expiry_blocks=144,
        original_order=None,
        extension_order_ids=(),
        max_channel_extension_expiry_blocks=52_560,
        expiration_block=TIP,
    )


def option(name: str) -> Bolt11Option:
    return Bolt11Option(hashlib.sha256(name.encode()).digest(), "lnbcrt1", after(3_600), Sat(1_000), Sat(1_000))


def placed(
    name: str,
    terms: ChannelTerms | ExtensionTerms = CHANNEL,
    *,
    free: bool = False,
    lease: Lease | None = None,
    principal: NodeId = PEER,
    lsp: NodeId = LSP,
    token: str = "",
    token_uses: int | None = None,
) -> Change:
    """The change that stores a new order."""
    event = Placed(
        id=OrderId(name),
        lsp=lsp,
        principal=principal,
        terms=terms,
        bolt11=None if free else option(name),
        token=token,
        token_uses=token_uses,
    )
    return change(transitions.place(event, lease, NOW, RULES))


def placed_onchain(name: str) -> Change:
    """The change that stores a new order which can be paid to an address of its own, and only so."""
    onchain = OnchainOption(f"bcrt1{name}", "bcrt1refund", after(86_400), Sat(100_000), Sat(100_000), 1)
    event = Placed(id=OrderId(name), lsp=LSP, principal=PEER, terms=CHANNEL, bolt11=None, onchain=onchain)
    return change(transitions.place(event, None, NOW, RULES))


def change(outcome: Outcome) -> Change:
    return Change(outcome.order, outcome.lease, outcome.extension, outcome.token)


def lease_of(channel: str = "channel", *, blocks: int = 1_000, ended: bool = False) -> Lease:
    return Lease(channel_id=channel_id(channel), lsp=LSP, peer=PEER, expiration_block=TIP + blocks, ended=ended)


def failed(name: str, *, closed_at: datetime = START, principal: NodeId = PEER) -> Change:
    """A new row that looks like an order which expired unpaid."""
    order = needed(placed(name, principal=principal).order)
    return Change(
        order=replace(
            order, state=State.FAILED, closed_at=closed_at, bolt11=replace(needed(order.bolt11), cancelled=True)
        )
    )


def paid(name: str, *, principal: NodeId = PEER, terms: ChannelTerms | ExtensionTerms = CHANNEL) -> Change:
    """A new row that looks like an order whose payment is held."""
    order = needed(placed(name, terms, principal=principal).order)
    return change(transitions.step(order, None, HELD, NOW, RULES))


def fulfilling(name: str, *inputs: str) -> Change:
    """A new row that looks like an order whose opening has begun, with these inputs."""
    order = needed(paid(name).order)
    funding = Funding(tuple(map(outpoint, inputs)), 253, TIP)
    return Change(order=replace(order, state=State.FULFILLING, funding=funding, give_up_at=None))


async def happen(store: OrderStore, name: str, event: Event, now: Now = NOW) -> Order:
    """Read, step, commit, and read again, as the engine does."""
    order = needed(await store.order(OrderId(name)))
    terms = order.terms
    lease = await store.lease(terms.channel_id) if isinstance(terms, ExtensionTerms) else None
    await store.commit(change(transitions.step(order, lease, event, now, RULES)), now.time)
    return needed(await store.order(OrderId(name)))


async def expire(store: OrderStore, name: str) -> Order:
    return await happen(store, name, InvoiceCancelled())


def needed(value: T | None) -> T:
    """For values that the test has put there itself."""
    if value is None:
        raise LookupError("missing")
    return value
