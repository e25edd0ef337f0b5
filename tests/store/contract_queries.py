"""What every OrderStore owes, second half: what its queries say after commits."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from lsps.orders import pending
from lsps.orders.events import (
    ChannelChecked,
    ChannelOpened,
    ChannelStanding,
    Event,
    InputsChosen,
    InvoiceCancelled,
    InvoiceSettled,
    Now,
    OpenFailed,
    TimePassed,
)
from lsps.orders.model import FINAL, ChannelTerms, Deposit, ExtensionTerms, Order, State
from lsps.orders.pending import EffectName
from lsps.orders.transitions import IllegalTransition
from lsps.store.orders import Change, DueEffect, InputTaken, OrderStore, UnpaidCount
from lsps.units import BlockHeight, OrderId, Sat
from tests.store import samples
from tests.store.contract import FEW
from tests.store.samples import NOW, OTHER_PEER, PEER, RULES, START, TIP, after, needed, outpoint

EVENTS: list[Event] = [
    samples.HELD,
    replace(samples.HELD, channel=ChannelStanding.GOOD),
    InvoiceCancelled(),
    InvoiceSettled(),
    TimePassed(),
    ChannelChecked(ChannelStanding.GONE),
    InputsChosen((outpoint("x"), outpoint("y")), 253),
    ChannelOpened(outpoint("funding")),
    OpenFailed("spent"),
]


def own(event: Event, prefix: str, number: int) -> Event:
    """The event with outputs of this walk alone: its orders compete for two inputs, and each has its own channel."""
    if isinstance(event, InputsChosen):
        return replace(event, inputs=(outpoint(f"{prefix}x"), outpoint(f"{prefix}y")))
    if isinstance(event, ChannelOpened):
        return ChannelOpened(outpoint(f"{prefix}-{number}"))
    return event


async def all_orders(store: OrderStore) -> list[Order]:
    return list(await store.newest_orders(None, 1_000))


async def check_what_hangs_on_orders(store: OrderStore) -> None:
    """Every query says what the functions of `orders.pending` say of the stored orders."""
    orders = await all_orders(store)
    effects = {(o.id, name) for o in orders for name in pending.effects(o)}
    assert {(e.order_id, e.name) for e in await store.due_effects(after(10**8), 1_000)} == effects
    due = {o.id for o in orders if pending.due_at(o) is not None}
    assert set(await store.due_orders(after(10**8), 1_000)) == due
    at_height = {o.id for o in orders if pending.due_height(o, RULES) is not None}
    assert set(await store.orders_due_at_height(BlockHeight(2**32 - 1), 1_000)) == at_height
    watched = sorted(o.id for o in orders if pending.watched_hash(o) is not None)
    assert [o.id for o in await store.watched_orders(None, 1_000)] == watched
    assert list(await store.owing_orders(None, 1_000)) == sorted(o.id for o in orders if pending.owes(o))
    assert await store.reserved_inputs() == {i for o in orders for i in pending.reserved_inputs(o)}
    for peer in (PEER, OTHER_PEER):
        unpaid = [o for o in orders if pending.is_unpaid(o)]
        assert await store.unpaid(peer) == UnpaidCount(sum(o.principal == peer for o in unpaid), len(unpaid))


class QueryContract:
    @FEW
    @given(walk=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(EVENTS), st.integers(0, 4_000)), max_size=12))
    async def test_whatever_happens_what_hangs_on_an_order_is_exact(
        self, store: OrderStore, walk: list[tuple[int, Event, int]]
    ) -> None:
        """After any events: effects, due times, watched invoices, inputs and unpaid counts are the orders' own."""
        prefix = str(len(await all_orders(store)))
        terms: list[ChannelTerms | ExtensionTerms] = [samples.CHANNEL, samples.extension(prefix)]
        for number in range(4):
            peer = (PEER, OTHER_PEER)[number // 2]
            await store.commit(samples.placed(f"{prefix}-{number}", terms[number % 2], principal=peer), START)
        for number, event, seconds in walk:
            try:
                await samples.happen(store, f"{prefix}-{number}", own(event, prefix, number), Now(after(seconds), TIP))
            except (IllegalTransition, InputTaken):
                continue
        await check_what_hangs_on_orders(store)

    async def test_effects_become_due_when_they_appear(self, store: OrderStore) -> None:
        """A new effect is due at its commit's `now`; the longest due comes first, and no more than asked for."""
        await store.commit(samples.paid("late"), after(10))
        await store.commit(samples.paid("early"), after(5))
        assert await store.due_effects(after(4), 10) == []
        early = DueEffect(OrderId("early"), EffectName.CHOOSE_INPUTS, after(5), 0)
        late = DueEffect(OrderId("late"), EffectName.CHOOSE_INPUTS, after(10), 0)
        assert await store.due_effects(after(5), 10) == [early]
        assert await store.due_effects(after(10), 10) == [early, late]
        assert await store.due_effects(after(10), 1) == [early]
        assert await store.next_due(START) == after(5)
        assert await store.next_due(after(5)) == after(10)

    async def test_an_effect_put_off_waits_and_counts(self, store: OrderStore) -> None:
        """Putting off sets the due time and counts the attempt; a commit that keeps the effect keeps both."""
        await store.commit(samples.paid("a"), START)
        (effect,) = await store.due_effects(START, 10)
        await store.put_off(effect, after(60))
        assert await store.due_effects(after(59), 10) == []
        order = needed(await store.order(OrderId("a")))
        await store.commit(Change(order=replace(order, reason="waiting")), after(30))
        assert await store.due_effects(after(60), 10) == [replace(effect, due=after(60), attempt=1)]
        await store.put_off(replace(effect, order_id=OrderId("gone")), after(90))

    async def test_an_effect_is_put_off_once(self, store: OrderStore) -> None:
        """What was read before it was put off does not put it off again."""
        await store.commit(samples.paid("a"), START)
        (effect,) = await store.due_effects(START, 10)
        await store.put_off(effect, after(60))
        await store.put_off(effect, after(999))
        assert await store.due_effects(after(60), 10) == [replace(effect, due=after(60), attempt=1)]

    async def test_a_peer_that_is_back_has_its_effects_hastened(self, store: OrderStore) -> None:
        """Only that principal's waiting effects become due, with their attempts kept."""
        for name, peer in (("a", PEER), ("b", PEER), ("c", OTHER_PEER)):
            await store.commit(samples.paid(name, principal=peer), START)
        for effect in await store.due_effects(START, 10):
            await store.put_off(effect, after(600))
        await store.hasten(PEER, after(60))
        assert {(e.order_id, e.attempt) for e in await store.due_effects(after(60), 10)} == {("a", 1), ("b", 1)}

    async def test_what_is_due_in_a_far_future_is_hastened(self, store: OrderStore) -> None:
        """Only effects beyond the given time become due, of any principal, with their attempts kept."""
        for name, peer in (("a", PEER), ("b", PEER), ("c", OTHER_PEER)):
            await store.commit(samples.paid(name, principal=peer), START)
        for effect in await store.due_effects(START, 10):
            await store.put_off(effect, after(30 if effect.order_id == "a" else 3_600))
        await store.hasten_beyond(after(30), START)
        assert {(e.order_id, e.attempt) for e in await store.due_effects(START, 10)} == {("b", 1), ("c", 1)}

    async def test_orders_become_due_by_time(self, store: OrderStore) -> None:
        """An unpaid order at its invoice's expiry, a paid one when it is given up: longest due first, not before."""
        await store.commit(samples.placed("unpaid"), START)
        await store.commit(samples.paid("paid"), START)
        give_up = START + RULES.give_up_after
        assert await store.due_orders(give_up - timedelta(microseconds=1), 10) == []
        assert await store.due_orders(give_up, 10) == ["paid"]
        assert await store.due_orders(after(3_600), 10) == ["paid", "unpaid"]
        assert await store.due_orders(after(3_600), 1) == ["paid"]
        for effect in await store.due_effects(START, 10):
            await store.put_off(effect, after(10**6))
        assert await store.next_due(START) == give_up
        assert await store.next_due(give_up) == after(3_600)
        assert await store.next_due(after(3_600)) == after(10**6)

    async def test_orders_become_due_by_height(self, store: OrderStore) -> None:
        """A held payment is due at the tip where fewer than the margin's blocks are left."""
        await store.commit(samples.paid("a"), START)
        due = TIP + (144 - RULES.hold_margin_blocks + 1)
        assert await store.orders_due_at_height(BlockHeight(int(due) - 1), 10) == []
        assert await store.orders_due_at_height(due, 10) == ["a"]

    async def test_unpaid_orders_are_counted_exactly(self, store: OrderStore) -> None:
        """The counts move with each order that is placed, paid or expires, for its principal and in all."""
        for name, peer in (("a", PEER), ("b", PEER), ("c", OTHER_PEER)):
            await store.commit(samples.placed(name, principal=peer), START)
        assert await store.unpaid(PEER) == UnpaidCount(2, 3)
        await samples.happen(store, "a", samples.HELD)
        assert await store.unpaid(PEER) == UnpaidCount(1, 2)
        await samples.expire(store, "b")
        assert await store.unpaid(PEER) == UnpaidCount(0, 1)
        assert await store.unpaid(OTHER_PEER) == UnpaidCount(1, 1)
        await samples.expire(store, "a")
        assert await store.unpaid(OTHER_PEER) == UnpaidCount(1, 1)

    async def test_watched_orders_and_open_leases_come_in_pages(self, store: OrderStore) -> None:
        """By id, each once, without those that are final or ended."""
        for number in range(5):
            await store.commit(samples.placed(f"o{number}"), START)
            await store.commit(Change(lease=samples.lease_of(f"l{number}", ended=number == 2)), START)
        await samples.expire(store, "o3")
        first = await store.watched_orders(None, 3)
        second = await store.watched_orders(first[-1].id, 3)
        assert [order.id for order in (*first, *second)] == ["o0", "o1", "o2", "o4"]
        page = await store.open_leases(None, 3)
        pages = [*page, *await store.open_leases(page[-1].channel_id, 3)]
        assert [x.channel_id for x in pages] == sorted(samples.channel_id(f"l{number}") for number in (0, 1, 3, 4))

    async def test_orders_that_keep_too_little_come_in_pages(self, store: OrderStore) -> None:
        """By id, each once; not those that await payment, keep nothing or are giving it back."""
        for name, kept, due in (("a", 0, False), ("b", 0, True), ("c", 100, False), ("d", 0, False), ("e", 0, False)):
            order = samples.needed(samples.placed_onchain(name).order)
            deposit = Deposit(samples.outpoint(name), Sat(100), START, TIP, kept=Sat(kept), refund_due=due)
            option = replace(samples.needed(order.onchain), deposits=(deposit,))
            state = State.AWAITING_PAYMENT if name == "d" else State.FAILED
            await store.commit(Change(order=replace(order, state=state, onchain=option)), START)
        assert (await store.owing_orders(None, 1), await store.owing_orders(OrderId("a"), 5)) == (["a"], ["e"])

    async def test_newest_orders_come_in_pages(self, store: OrderStore) -> None:
        """In the order they came, the newest first, whatever their ids are and whatever happened to them since."""
        names = ["m", "z", "a", "k", "b"]
        for name in names:
            await store.commit(samples.placed(name), START)
        await samples.expire(store, "m")
        page = await store.newest_orders(None, 2)
        pages = [*page, *await store.newest_orders(page[-1].id, 10)]
        assert [order.id for order in pages] == list(reversed(names))

    async def test_pruning_deletes_what_expired_unpaid_long_ago(self, store: OrderStore) -> None:
        """The longest closed first, at most as many as asked, none closed later or still alive."""
        for number in range(4):
            await store.commit(samples.failed(f"f{number}", closed_at=after(number)), START)
        await store.commit(samples.placed("alive"), START)
        assert await store.prune(after(3), 2) == 2
        assert {order.id for order in await all_orders(store)} == {"f2", "f3", "alive"}
        assert await store.prune(after(3), 10) == 1
        assert await store.prune(after(3), 10) == 0
        assert {order.id for order in await all_orders(store)} == {"f3", "alive"}

    async def test_pruning_keeps_money_and_deliveries(self, store: OrderStore) -> None:
        """Kept for ever: an order for which money was seen, even late, and one that extended a lease (money rule 4)."""
        await store.commit(samples.paid("refunded"), START)
        await samples.expire(store, "refunded")
        await store.commit(samples.placed("free", samples.extension(), free=True), START)
        await store.commit(samples.failed("late"), START)
        assert (await samples.happen(store, "late", samples.HELD)).state is State.FAILED
        assert all(order.state in FINAL for order in await all_orders(store))
        far: datetime = after(10**9)
        await samples.expire(store, "late")
        await store.commit(samples.failed("unpaid"), START)
        assert await store.prune(far, 10) == 1
        assert {order.id for order in await all_orders(store)} == {"refunded", "free", "late"}

    async def test_the_secret_is_32_bytes_and_stays(self, store: OrderStore) -> None:
        """Preimages derive from it, so it never changes (money rule 6)."""
        secret = await store.preimage_secret()
        await store.commit(samples.placed("a"), NOW.time)
        assert len(secret) == 32
        assert await store.preimage_secret() == secret
