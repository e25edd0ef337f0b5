"""How long the LSP keeps a channel: an expiration never decreases."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsps.orders import leases
from lsps.orders.events import ChannelConfirmed, ChannelEnded, LeaseEvent, LeaseRecorded, Now
from lsps.orders.model import Lease, OriginalOrder, Service, State
from lsps.units import BlockHeight, OrderId
from tests.orders import strategies
from tests.orders.samples import (
    CHANNEL_TERMS,
    EXTENSION_TERMS,
    FUNDING_OUTPOINT,
    LEASE,
    LSP,
    NOW,
    PEER,
    START,
    TIP,
    later,
    order_in,
)

BOUGHT = leases.begin(order_in(State.FULFILLING, CHANNEL_TERMS), CHANNEL_TERMS, FUNDING_OUTPOINT, None, NOW)
ORDER = order_in(State.PAID, EXTENSION_TERMS)


def test_a_bought_channel_begins_a_provisional_lease() -> None:
    """Until its confirmation the expiration counts from the tip; expires_at covers confirmation and lease at ten
    minutes a block (bLIP-51 §4: it respects channel_expiry_blocks)."""
    assert BOUGHT.channel_id == FUNDING_OUTPOINT.channel_id()
    assert (BOUGHT.lsp, BOUGHT.peer, BOUGHT.ended, BOUGHT.version) == (LSP, PEER, False, 0)
    assert (BOUGHT.expiration_block, BOUGHT.provisional_from) == (TIP + 4_320, TIP)
    assert BOUGHT.expires_at == START + timedelta(minutes=10 * (6 + 4_320))
    assert BOUGHT.original_order == OriginalOrder(OrderId("order"), Service.LSPS1)
    assert BOUGHT.extension_order_ids == ()


@pytest.mark.parametrize(("recorded", "expected"), [(10, 4_320), (9_000, 9_000)])
def test_a_bought_channel_takes_over_a_recorded_lease(recorded: int, expected: int) -> None:
    """A lease recorded while the opening's outcome was unknown is continued as the same row, and not lowered."""
    before = replace(leases.recorded(FUNDING_OUTPOINT.channel_id(), LSP, PEER, TIP + recorded), ended=True, version=3)
    order = order_in(State.FULFILLING, CHANNEL_TERMS)
    lease = leases.begin(order, CHANNEL_TERMS, FUNDING_OUTPOINT, before, NOW)
    assert lease == replace(BOUGHT, expiration_block=TIP + expected, ended=True, version=3)


@pytest.mark.parametrize(("extended", "expected"), [(144, 144 + 4_320), (-10, 4_320)], ids=["running", "lapsed"])
def test_a_bought_channel_adds_to_an_extension_that_came_first(extended: int, expected: int) -> None:
    """The channel was extended while its opening's outcome was unknown: both were paid for, so the blocks add up, and
    the extension stays listed."""
    before = leases.recorded(FUNDING_OUTPOINT.channel_id(), LSP, PEER, TIP + extended)
    before = replace(before, extension_order_ids=(OrderId("x"),), version=1)
    lease = leases.begin(order_in(State.FULFILLING, CHANNEL_TERMS), CHANNEL_TERMS, FUNDING_OUTPOINT, before, NOW)
    assert lease == replace(BOUGHT, expiration_block=TIP + expected, extension_order_ids=(OrderId("x"),), version=1)


@given(st.integers(0, 5_000))
def test_confirmation_adds_exactly_the_waiting_blocks(waited: int) -> None:
    """expiration_block becomes confirmation height + channel_expiry_blocks."""
    confirmed = leases.lease_step(BOUGHT, ChannelConfirmed(TIP + waited))
    until = TIP + waited + 4_320
    assert confirmed == replace(BOUGHT, expiration_block=until, provisional_from=None, confirmed_at=TIP + waited)


def test_confirmation_counts_once() -> None:
    """The same confirmation again, after a restart, adds nothing, and the same object says so."""
    confirmed = leases.lease_step(BOUGHT, ChannelConfirmed(TIP + 3))
    assert leases.lease_step(confirmed, ChannelConfirmed(TIP + 3)) is confirmed


def test_a_later_confirmation_moves_the_expiration() -> None:
    """A reorganisation that confirms the channel six blocks later gives the lease six blocks more, once."""
    confirmed = leases.lease_step(BOUGHT, ChannelConfirmed(TIP + 3))
    again = leases.lease_step(confirmed, ChannelConfirmed(TIP + 9))
    assert again.expiration_block == TIP + 9 + 4_320
    assert leases.lease_step(again, ChannelConfirmed(TIP + 9)) is again


@given(st.lists(st.integers(-20, 20), min_size=1, max_size=8))
def test_reorganisations_take_nothing(heights: list[int]) -> None:
    """However often the confirmation moves, the lease ends channel_expiry_blocks after the highest of its heights, and
    never before what was told."""
    lease = BOUGHT
    for height in heights:
        stepped = leases.lease_step(lease, ChannelConfirmed(TIP + height))
        assert stepped.expiration_block >= lease.expiration_block
        lease = stepped
    assert lease.expiration_block == TIP + max(0, *heights) + 4_320


def test_a_confirmation_below_the_counted_tip_takes_nothing() -> None:
    """A channel that confirmed before the LSP knew that it was made keeps what was told."""
    assert leases.lease_step(BOUGHT, ChannelConfirmed(TIP + -4)).expiration_block == BOUGHT.expiration_block


def test_an_extension_of_a_provisional_lease_keeps_the_waiting_blocks() -> None:
    """Extended before it confirmed, a lease has the extension and the waiting blocks."""
    extended, _ = leases.extend(ORDER, EXTENSION_TERMS, BOUGHT, NOW)
    confirmed = leases.lease_step(extended, ChannelConfirmed(TIP + 7))
    assert confirmed.expiration_block == TIP + 4_320 + 144 + 7


def test_an_end_is_final() -> None:
    """An ended lease stays ended and keeps its expiration; a second end changes nothing."""
    ended = leases.lease_step(LEASE, ChannelEnded())
    assert ended == replace(LEASE, ended=True)
    assert leases.lease_step(ended, ChannelEnded()) is ended


@pytest.mark.parametrize(("blocks", "expected"), [(-1_000, 1_000), (999, 1_000), (1_000, 1_000), (1_001, 1_001)])
def test_a_recorded_lease_is_never_lowered(blocks: int, expected: int) -> None:
    """[[lease]] of the configuration raises an expiration or leaves it."""
    stepped = leases.lease_step(LEASE, LeaseRecorded(TIP + blocks))
    assert stepped == replace(LEASE, expiration_block=TIP + expected)
    assert (stepped is LEASE) == (blocks <= 1_000)


def test_a_lease_recorded_for_a_foreign_channel() -> None:
    """A channel not sold here gets an expiration, and neither an original order nor a date."""
    lease = leases.recorded(LEASE.channel_id, LSP, PEER, TIP + 5)
    assert (lease.channel_id, lease.lsp, lease.peer, lease.expiration_block) == (LEASE.channel_id, LSP, PEER, TIP + 5)
    assert (lease.original_order, lease.expires_at, lease.provisional_from, lease.version) == (None, None, None, 0)


def test_the_date_only_moves_later() -> None:
    """LSPS1's channel.expires_at: an extension moves it to ten minutes a block from now, never to an earlier time."""
    assert LEASE.expires_at == START + timedelta(days=7)
    soon, _ = leases.extend(ORDER, EXTENSION_TERMS, replace(LEASE, expires_at=START + timedelta(days=30)), NOW)
    assert soon.expires_at == START + timedelta(days=30)
    later_on, _ = leases.extend(ORDER, EXTENSION_TERMS, LEASE, later(seconds=7_200, blocks=10))
    assert later_on.expires_at == START + timedelta(hours=2, minutes=10 * (1_000 + 144 - 10))
    undated, _ = leases.extend(ORDER, EXTENSION_TERMS, replace(LEASE, expires_at=None), NOW)
    assert undated.expires_at is None


def test_the_newest_ten_extensions_are_listed() -> None:
    """extension_order_ids does not grow with history: the newest ten, oldest first."""
    lease, previous = LEASE, LEASE
    for number in range(12):
        lease, row = leases.extend(replace(ORDER, id=OrderId(f"e{number}")), EXTENSION_TERMS, lease, NOW)
        assert (row.previous, row.new) == (previous.expiration_block, lease.expiration_block)
        previous = lease
    assert lease.extension_order_ids == tuple(f"e{number}" for number in range(2, 12))
    assert lease.expiration_block == LEASE.expiration_block + 12 * 144


@pytest.mark.parametrize(
    ("lease", "left", "maximum"),
    [
        (None, 0, 2_000),
        (replace(LEASE, expiration_block=BlockHeight(0)), 0, 2_000),
        (replace(LEASE, expiration_block=TIP), 0, 2_000),
        (LEASE, 1_000, 1_000),
        (replace(LEASE, expiration_block=TIP + 2_000), 2_000, 0),
        (replace(LEASE, expiration_block=TIP + 9_000), 9_000, 0),
    ],
    ids=["none", "zero", "just-lapsed", "running", "at-the-maximum", "beyond"],
)
def test_what_may_be_added(lease: Lease | None, left: int, maximum: int) -> None:
    """max_channel_extension_expiry_blocks: the configured maximum less what is left, never negative (bLIP-57 §3)."""
    assert leases.blocks_left(lease, TIP) == left
    assert leases.max_extension(lease, TIP, 2_000) == maximum


steps = strategies.lease_events | st.integers(1, 5_000)


@given(strategies.any_leases(), st.lists(st.tuples(steps, strategies.nows), max_size=8))
def test_an_expiration_never_decreases(lease: Lease, walk: list[tuple[LeaseEvent | int, Now]]) -> None:
    """Over any events and extensions, at any heights, reorgs included: neither expiration_block nor expires_at goes
    back, an ended lease stays ended, and the channel, the peer and the original order stay (money rule 5)."""
    for event, now in walk:
        if isinstance(event, int):
            terms = replace(EXTENSION_TERMS, channel_extension_expiry_blocks=event)
            after, row = leases.extend(ORDER, terms, lease, now)
            assert row.new.blocks_since(row.previous) >= event
        else:
            after = leases.lease_step(lease, event)
        assert after.expiration_block >= lease.expiration_block
        if lease.expires_at is None:
            assert after.expires_at is None
        else:
            assert after.expires_at is not None
            assert after.expires_at >= lease.expires_at
        assert after.ended or not lease.ended
        assert len(after.extension_order_ids) <= 10
        assert (after.channel_id, after.peer, after.original_order, after.version) == (
            lease.channel_id,
            lease.peer,
            lease.original_order,
            lease.version,
        )
        lease = after
