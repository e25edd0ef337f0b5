"""Hypothesis strategies for orders, leases, events and walks: valid by construction. Store tests use them as well."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from lsps.orders import leases, pending
from lsps.orders.events import (
    ChannelChecked,
    ChannelConfirmed,
    ChannelEnded,
    ChannelOpened,
    ChannelStanding,
    DepositsSeen,
    Event,
    InputsChosen,
    InvoiceCancelled,
    InvoiceSettled,
    LeaseEvent,
    LeaseRecorded,
    Now,
    OpenFailed,
    PaymentHeld,
    Placed,
    RefundLeft,
    RefundPublished,
    RefundSigned,
    Rules,
    SeenDeposit,
    TimePassed,
)
from lsps.orders.model import (
    NEWEST_EXTENSIONS,
    Bolt11Option,
    ChannelTerms,
    ExtensionTerms,
    Lease,
    Order,
    OriginalOrder,
    Service,
    State,
)
from lsps.orders.transitions import IllegalTransition, Outcome, place, step
from lsps.units import BlockHeight, ChannelId, Msat, NodeId, OrderId, Outpoint, Sat, Scid
from tests.orders import samples

MAX_MONEY_SAT = 21_000_000 * 100_000_000
MAX_BLOCKS = 4 * 52_560

node_ids = st.builds(
    lambda prefix, x: NodeId(prefix + x.hex()), st.sampled_from(["02", "03"]), st.binary(min_size=32, max_size=32)
)
order_ids = st.uuids(version=4).map(lambda uuid: OrderId(str(uuid)))
txids = st.binary(min_size=32, max_size=32).map(bytes.hex)
outpoints = st.builds(Outpoint, txids, st.integers(0, 2**16 - 1))
channel_ids = txids.map(ChannelId)
scids = st.builds(Scid, st.integers(1, 2**24 - 1), st.integers(0, 2**24 - 1), st.integers(0, 2**16 - 1))
sats = st.integers(0, MAX_MONEY_SAT).map(Sat)
heights = st.integers(1, 2_000_000).map(BlockHeight)
times = st.datetimes(datetime(2025, 1, 1), datetime(2060, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
nows = st.builds(Now, times, heights)
rules = st.builds(
    Rules,
    max_extension_blocks=st.integers(1, MAX_BLOCKS),
    give_up_after=st.integers(60, 7_200).map(lambda seconds: timedelta(seconds=seconds)),
    hold_margin_blocks=st.integers(0, 144),
)
original_orders = st.builds(OriginalOrder, order_ids, st.sampled_from(Service))
tokens = st.text(max_size=20)

channel_terms = st.builds(
    ChannelTerms,
    lsp_balance=sats,
    client_balance=sats,
    required_channel_confirmations=st.integers(0, 2**16 - 1),
    funding_confirms_within_blocks=st.integers(1, 2**16 - 1),
    channel_expiry_blocks=st.integers(1, MAX_BLOCKS),
    announce_channel=st.booleans(),
)
extension_terms = st.builds(
    ExtensionTerms,
    short_channel_id=scids,
    channel_id=channel_ids,
    channel_extension_expiry_blocks=st.integers(1, MAX_BLOCKS),
    original_order=st.none() | original_orders,
    extension_order_ids=st.lists(order_ids, max_size=NEWEST_EXTENSIONS, unique=True).map(tuple),
    max_channel_extension_expiry_blocks=st.integers(1, MAX_BLOCKS),
    expiration_block=heights,
)


@st.composite
def bolt11_options(draw: st.DrawFn, now: Now) -> Bolt11Option:
    """An unpaid invoice made at `now`."""
    fee = draw(st.integers(1, MAX_MONEY_SAT // 2))
    return Bolt11Option(
        payment_hash=draw(st.binary(min_size=32, max_size=32)),
        invoice="lnbcrt1" + draw(st.text("023456789acdefghjklmnpqrstuvwxyz", max_size=30)),
        expires_at=now.time + timedelta(seconds=draw(st.integers(60, 86_400))),
        fee_total=Sat(fee),
        order_total=Sat(fee + draw(st.integers(0, MAX_MONEY_SAT // 2))),
    )


@st.composite
def leases_of(draw: st.DrawFn, channel_id: ChannelId, tip: BlockHeight) -> Lease:
    """A stored lease of that channel, of any origin, running or lapsed."""
    sold_here = draw(st.booleans())
    return Lease(
        channel_id=channel_id,
        lsp=samples.LSP,
        peer=draw(node_ids),
        expiration_block=BlockHeight(max(0, int(tip) + draw(st.integers(-10_000, MAX_BLOCKS)))),
        provisional_from=tip if sold_here and draw(st.booleans()) else None,
        expires_at=draw(times) if sold_here else None,
        original_order=draw(original_orders) if sold_here else None,
        extension_order_ids=tuple(draw(st.lists(order_ids, max_size=NEWEST_EXTENSIONS, unique=True))),
        ended=draw(st.booleans()),
        version=draw(st.integers(1, 100)),
    )


@st.composite
def any_leases(draw: st.DrawFn) -> Lease:
    return draw(leases_of(draw(channel_ids), draw(heights)))


@st.composite
def orders(draw: st.DrawFn, states: frozenset[State] = frozenset(State)) -> Order:
    """An order as it is in one of those states: version 0, of the sample LSP, with an id and a hash of its own."""
    state = draw(st.sampled_from(sorted(states, key=lambda state: state.value)))
    now = draw(nows)
    terms = draw(channel_terms if state is State.FULFILLING else channel_terms | extension_terms)
    lsps1 = isinstance(terms, ChannelTerms)
    free_states = {State.COMPLETED, State.FAILED} | ({State.PAID, State.FULFILLING} if lsps1 else set())
    order = samples.order_in(
        state,
        terms,
        free=state in free_states and draw(st.booleans()),
        option=draw(bolt11_options(now)),
        now=now,
        funding_outpoint=draw(outpoints),
        inputs=tuple(draw(st.lists(outpoints, min_size=1, max_size=3, unique=True))),
    )
    token = draw(tokens)
    return replace(
        order,
        id=draw(order_ids),
        principal=draw(node_ids),
        token=token,
        counts_token_use=token != "" and draw(st.booleans()),
        version=0,
    )


held_amounts = st.sampled_from([0, 200_887_999, 200_888_000, 400_000_000]).map(Msat)
"""Nothing, one millisatoshi short, exact and too much for the sample order."""
standings = st.sampled_from(ChannelStanding)
deposit_outpoints = st.sampled_from([samples.DEPOSIT.outpoint, Outpoint("e2" * 32, 1)])
seen_deposits = st.builds(
    SeenDeposit,
    outpoint=deposit_outpoints,
    amount=st.sampled_from([1_999, 100_444, 200_888, 250_000]).map(Sat),
    height=st.none() | st.integers(-3, 3).map(lambda blocks: samples.TIP + blocks),
    sat_per_kw=st.none(),
    spent_by=st.none(),
    spent_at=st.none(),
)


def listing(deposits: list[SeenDeposit], standing: ChannelStanding) -> DepositsSeen:
    """All that a wallet lists: each outpoint once."""
    return DepositsSeen(tuple({d.outpoint: d for d in deposits}.values()), samples.TIP + -144, standing)


EVENTS: dict[type[Event], st.SearchStrategy[Event]] = {
    PaymentHeld: st.builds(
        PaymentHeld, held_amounts, st.integers(0, 400).map(lambda blocks: samples.TIP + blocks), standings
    ),
    InvoiceCancelled: st.just(InvoiceCancelled()),
    InvoiceSettled: st.just(InvoiceSettled()),
    TimePassed: st.just(TimePassed()),
    ChannelChecked: st.builds(ChannelChecked, standings),
    InputsChosen: st.builds(InputsChosen, st.just(samples.INPUTS), st.integers(253, 50_000)),
    ChannelOpened: st.just(ChannelOpened(samples.FUNDING_OUTPOINT)),
    OpenFailed: st.just(OpenFailed("the peer refused")),
    DepositsSeen: st.builds(listing, st.lists(seen_deposits, max_size=2), standings),
    RefundSigned: st.builds(RefundSigned, deposit_outpoints, st.just(samples.REFUND)),
    RefundPublished: st.builds(RefundPublished, deposit_outpoints, st.just(samples.REFUND.txid)),
    RefundLeft: st.builds(RefundLeft, deposit_outpoints, st.just("the fee would be most of it")),
}
"""Events of the sample order, a strategy a type."""
paying_events = st.sampled_from([samples.HELD, samples.HELD_GOOD, InvoiceCancelled()]) | EVENTS[DepositsSeen]
events = st.one_of(*EVENTS.values())

lease_events: st.SearchStrategy[LeaseEvent] = st.one_of(
    st.builds(ChannelConfirmed, st.integers(-100, 1_000).map(lambda blocks: samples.TIP + blocks)),
    st.just(ChannelEnded()),
    st.builds(LeaseRecorded, st.integers(0, 900_000).map(BlockHeight)),
)


@dataclass(frozen=True)
class Step:
    """One event that the order took, and what one commit stored for it. `before` None: it was placed."""

    before: Order | None
    event: Event
    now: Now
    outcome: Outcome

    @property
    def order(self) -> Order:
        return self.outcome.order


placements = st.builds(
    samples.placed,
    st.sampled_from([samples.CHANNEL_TERMS, samples.EXTENSION_TERMS]),
    free=st.sampled_from([False] * 7 + [True]),
    onchain=st.booleans(),
    token=st.just("WELCOME"),
    token_uses=st.none() | st.just(50),
)


def on_the_way(order: Order) -> Event:
    """The event that usually comes next, so that walks come to the end as well."""
    for deposit in pending.refunds_to_sign(order):
        paid = deposit.excess - Sat(500)
        return RefundSigned(deposit.outpoint, replace(samples.REFUND, paid=paid, fee=Sat(500)))
    for deposit in pending.refunds_to_publish(order):
        return RefundPublished(deposit.outpoint, deposit.refunds[-1].txid)
    lsps1 = order.service is Service.LSPS1
    usual: dict[State, Event] = {
        State.AWAITING_PAYMENT: samples.HELD,
        State.PAID: InputsChosen(samples.INPUTS, 1_000) if lsps1 else ChannelChecked(ChannelStanding.GOOD),
        State.FULFILLING: ChannelOpened(samples.FUNDING_OUTPOINT),
        State.FULFILLED: InvoiceSettled(),
        State.CLOSING: InvoiceCancelled(),
    }
    return usual.get(order.state, TimePassed())


PASSING = [*[(0, 0)] * 20, (600, 1), (1_800, 3), (3_600, 6), (60_000, 110)]
"""Seconds and blocks from one step to the next: mostly none."""


@st.composite
def walks(draw: st.DrawFn) -> list[Step]:
    """What befell an order: events in any order, illegal ones left out, time and chain going on, its lease changing."""
    placed: Placed = draw(placements)
    now = samples.NOW
    lease = draw(st.sampled_from([None, samples.LEASE])) if isinstance(placed.terms, ExtensionTerms) else None
    outcome = place(placed, lease, now, samples.RULES)
    lease = outcome.lease or lease
    steps = [Step(None, placed, now, outcome)]
    for _ in range(draw(st.integers(3, 10))):
        if lease is not None and draw(st.integers(0, 4)) == 0:
            lease = leases.lease_step(lease, draw(lease_events))
        seconds, blocks = draw(st.sampled_from(PASSING))
        now = Now(now.time + timedelta(seconds=seconds), now.tip + blocks)
        order = outcome.order
        event = draw(st.sampled_from([st.just(on_the_way(order)), paying_events, events]).flatmap(lambda kind: kind))
        try:
            outcome = step(order, lease, event, now, samples.RULES)
        except IllegalTransition:
            continue
        lease = outcome.lease or lease
        steps.append(Step(order, event, now, outcome))
    return steps
