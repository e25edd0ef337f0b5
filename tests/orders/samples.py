"""Orders and leases as they look in each state, built by hand: the tests' pictures, not the code's results."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from lsps.orders.events import ChannelStanding, Now, PaymentHeld, Placed, Rules
from lsps.orders.model import (
    FINAL,
    Bolt11Option,
    ChannelTerms,
    Deposit,
    ExtensionTerms,
    FundedChannel,
    Funding,
    Lease,
    OnchainOption,
    Order,
    OriginalOrder,
    PaymentMethod,
    Refund,
    Service,
    State,
)
from lsps.units import BlockHeight, Msat, NodeId, OrderId, Outpoint, Sat, Scid

LSP = NodeId("02" + "11" * 32)
PEER = NodeId("03" + "22" * 32)
TIP = BlockHeight(800_000)
START = datetime(2026, 1, 1, tzinfo=UTC)
NOW = Now(START, TIP)
RULES = Rules(max_extension_blocks=52_560)
INPUTS = (Outpoint("aa" * 32, 0), Outpoint("bb" * 32, 3))
FUNDING_OUTPOINT = Outpoint("cc" * 32, 1)
SOLD_EARLIER = Outpoint("dd" * 32, 0)
"""The outpoint of the channel that the sample extension is for."""

CHANNEL_TERMS = ChannelTerms(
    lsp_balance=Sat(1_000_000),
    client_balance=Sat(192_000),
    required_channel_confirmations=1,
    funding_confirms_within_blocks=6,
    channel_expiry_blocks=4_320,
    announce_channel=False,
)
LEASE = Lease(
    channel_id=SOLD_EARLIER.channel_id(),
    lsp=LSP,
    peer=PEER,
    expiration_block=TIP + 1_000,
    expires_at=START + timedelta(days=7),
    original_order=OriginalOrder(OrderId("first"), Service.LSPS1),
    version=1,
)
EXTENSION_TERMS = ExtensionTerms(
    short_channel_id=Scid(700_000, 1, 0),
    channel_id=LEASE.channel_id,
    channel_extension_expiry_blocks=144,
    original_order=LEASE.original_order,
    extension_order_ids=(),
    max_channel_extension_expiry_blocks=51_560,
    expiration_block=LEASE.expiration_block,
)
OPTION = Bolt11Option(
    payment_hash=b"\x07" * 32,
    invoice="lnbcrt1invoice",
    expires_at=START + timedelta(hours=1),
    fee_total=Sat(8_888),
    order_total=Sat(200_888),
)
ONCHAIN = OnchainOption(
    address="bcrt1qorder",
    refund_address="bcrt1qrefund",
    expires_at=START + timedelta(days=1),
    fee_total=Sat(8_888),
    order_total=Sat(200_888),
    min_confirmations=1,
)
HELD = PaymentHeld(Msat(200_888_000), TIP + 144)
HELD_GOOD = replace(HELD, channel=ChannelStanding.GOOD)


def later(*, seconds: float = 0, blocks: int = 0) -> Now:
    return Now(START + timedelta(seconds=seconds), TIP + blocks)


def placed(
    terms: ChannelTerms | ExtensionTerms,
    *,
    free: bool = False,
    onchain: bool = False,
    token: str = "",
    token_uses: int | None = None,
) -> Placed:
    return Placed(
        id=OrderId("order"),
        lsp=LSP,
        principal=PEER,
        terms=terms,
        bolt11=None if free else OPTION,
        onchain=ONCHAIN if onchain and not free else None,
        token=token,
        token_uses=token_uses,
    )


DELIVERED = frozenset({State.FULFILLED, State.COMPLETED, State.UNPAID})
PAID_IN = frozenset({State.PAID, State.FULFILLING, *DELIVERED})
HELD_IN = PAID_IN | {State.CLOSING}
CANCELLED_IN = frozenset({State.FAILED, State.UNPAID})


def option_in(state: State, option: Bolt11Option, earliest_expiry: BlockHeight) -> Bolt11Option:
    """The invoice of an order in that state."""
    return replace(
        option,
        cancelled=state in CANCELLED_IN,
        cancelling=state is State.CLOSING,
        held=HELD.held if state in HELD_IN else Msat(0),
        earliest_expiry=earliest_expiry if state in HELD_IN else None,
    )


def order_in(
    state: State,
    terms: ChannelTerms | ExtensionTerms,
    *,
    free: bool = False,
    option: Bolt11Option = OPTION,
    now: Now = NOW,
    funding_outpoint: Outpoint = FUNDING_OUTPOINT,
    inputs: tuple[Outpoint, ...] = INPUTS,
) -> Order:
    """An order that came into that state at `now` on the usual way."""
    lsps1 = isinstance(terms, ChannelTerms)
    bolt11 = None if free else option_in(state, option, now.tip + 144)
    channel = FundedChannel(funding_outpoint, now.time, now.time + timedelta(days=30))
    return Order(
        id=OrderId("order"),
        lsp=LSP,
        principal=PEER,
        terms=terms,
        state=state,
        created_at=now.time,
        bolt11=bolt11,
        paid_by=PaymentMethod.BOLT11 if bolt11 is not None and state in PAID_IN else None,
        give_up_at=now.time + RULES.give_up_after if state is State.PAID else None,
        funding=Funding(inputs, 1_000, now.tip) if lsps1 and state in {State.FULFILLING, *DELIVERED} else None,
        channel=channel if lsps1 and state in DELIVERED else None,
        reason="it was not paid in time" if state in {State.CLOSING, State.FAILED} else "",
        closed_at=now.time if state in FINAL else None,
        version=1,
    )


DEPOSIT = Deposit(Outpoint("e1" * 32, 0), ONCHAIN.order_total, START, TIP, kept=ONCHAIN.order_total)
REFUND = Refund("aa" * 32, b"raw", Sat(200_000), Sat(888), 1_000)
RETURNING = replace(DEPOSIT, kept=Sat(0), refund_due=True)
RETURNED = replace(
    RETURNING, refunds=(replace(REFUND, published_at=START),), bump_at=START + RULES.bump_after, refund_due=True
)


def onchain_order_in(state: State, terms: ChannelTerms | ExtensionTerms) -> Order:
    """An order that can be paid on-chain alone, in that state on the usual way: paid in full, and given back whole."""
    onchain = ONCHAIN if isinstance(terms, ChannelTerms) else replace(ONCHAIN, fee_total=ONCHAIN.order_total)
    deposits = {State.AWAITING_PAYMENT: (), State.CLOSING: (RETURNING,), State.FAILED: (RETURNED,)}
    waits = state in PAID_IN or state is State.CLOSING
    return replace(
        order_in(state, terms, free=True),
        onchain=replace(
            onchain,
            deposits=deposits.get(state, (DEPOSIT,)),
            waits_until=onchain.expires_at + RULES.confirm_within if waits else None,
        ),
        paid_by=None if state is State.AWAITING_PAYMENT else PaymentMethod.ONCHAIN,
        give_up_at=START + RULES.confirm_within if state is State.PAID else None,
    )
