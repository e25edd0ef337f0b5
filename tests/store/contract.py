"""What every OrderStore owes, first half: what a commit is. A subclass provides the fixture `store`, opened for LSP."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings

from lsps.orders.events import ChannelOpened, ChannelStanding, OpenFailed
from lsps.orders.model import Extension, Lease, Order, State, TokenChange
from lsps.store.orders import (
    Change,
    InputTaken,
    OrderStore,
    StoreError,
    TokenCount,
    TokenUsedUp,
    UnpaidCount,
    VersionConflict,
)
from lsps.units import BlockHeight, OrderId
from tests.store import samples, strategies
from tests.store.samples import LSP, NOW, OTHER_LSP, PEER, START, TIP, needed, outpoint

FEW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class CommitContract:
    numbers = itertools.count(1)

    @FEW
    @given(order=strategies.orders)
    async def test_any_order_is_read_back_as_it_was_written(self, store: OrderStore, order: Order) -> None:
        """Every field of any order survives, amounts to 2^64-1 and microseconds too; only the version counts on."""
        number = next(self.numbers)
        order = replace(order, id=OrderId(f"{order.id}{number}"))
        if order.funding is not None:
            inputs = (replace(i, txid=f"{number * 10 + n:064x}") for n, i in enumerate(order.funding.inputs))
            order = replace(order, funding=replace(order.funding, inputs=tuple(inputs)))
        if order.bolt11 is not None:
            order = replace(order, bolt11=replace(order.bolt11, payment_hash=number.to_bytes(32, "big")))
        if order.onchain is not None:
            order = replace(order, onchain=replace(order.onchain, address=f"{order.onchain.address}{number}"))
        await store.commit(Change(order=order), START)
        assert await store.order(order.id) == replace(order, version=1)
        await store.commit(Change(order=replace(order, version=1, reason="moved")), START)
        assert await store.order(order.id) == replace(order, version=2, reason="moved")
        if order.bolt11 is not None:
            assert needed(await store.order_of_hash(order.bolt11.payment_hash)).id == order.id
        if order.onchain is not None:
            assert needed(await store.order_of_address(order.onchain.address)).id == order.id

    @FEW
    @given(lease=strategies.leases)
    async def test_any_lease_is_read_back_as_it_was_written(self, store: OrderStore, lease: Lease) -> None:
        """Every field of any lease survives; only the version counts on."""
        number = next(self.numbers)
        lease = replace(lease, channel_id=samples.channel_id(str(number)))
        await store.commit(Change(lease=lease), START)
        assert await store.lease(lease.channel_id) == replace(lease, version=1)
        await store.commit(Change(lease=replace(lease, version=1, ended=True)), START)
        assert await store.lease(lease.channel_id) == replace(lease, version=2, ended=True)

    async def test_what_is_not_there(self, store: OrderStore) -> None:
        """An unknown order, hash, lease or token is None or zero, not an error."""
        assert await store.order(OrderId("none")) is None
        assert await store.order_of_hash(b"\x00" * 32) is None
        assert await store.order_of_address("bcrt1none") is None
        assert await store.orders_with_deposits(BlockHeight(0), None, 10) == []
        assert await store.deposits_read_to() == BlockHeight(0)
        assert await store.lease(samples.channel_id("none")) is None
        assert await store.token_count("none") == TokenCount(0, 0)
        assert await store.unpaid(PEER) == UnpaidCount(0, 0)
        assert await store.next_due(START) is None
        assert await store.reserved_inputs() == frozenset()

    @pytest.mark.parametrize("version", [0, 1, 3])
    async def test_an_order_that_moved_on_is_not_overwritten(self, store: OrderStore, version: int) -> None:
        """A commit names the version it read; any other is refused, and a second creation too."""
        order = needed(samples.placed("a").order)
        await store.commit(Change(order=order), START)
        await store.commit(Change(order=replace(order, version=1, reason="first")), START)
        with pytest.raises(VersionConflict, match="order a"):
            await store.commit(Change(order=replace(order, version=version, reason="second")), START)
        assert needed(await store.order(order.id)).reason == "first"

    @pytest.mark.parametrize("version", [0, 1, 3])
    async def test_a_lease_that_moved_on_is_not_overwritten(self, store: OrderStore, version: int) -> None:
        """Two orders extending one channel: the later one is refused, with its order, and reads again."""
        lease = samples.lease_of()
        await store.commit(Change(lease=lease), START)
        await store.commit(Change(lease=replace(lease, version=1, expiration_block=TIP + 2_000)), START)
        late = replace(lease, version=version, expiration_block=TIP + 1_144)
        with pytest.raises(VersionConflict, match="lease"):
            await store.commit(replace(samples.placed("a"), lease=late), START)
        assert needed(await store.lease(lease.channel_id)).expiration_block == TIP + 2_000
        assert await store.order(OrderId("a")) is None

    async def test_a_commit_is_all_or_nothing(self, store: OrderStore) -> None:
        """Order, lease, extension, token use and effects of a commit whose inputs are taken: none is there."""
        await store.commit(samples.fulfilling("first", "x"), START)
        lease = samples.lease_of()
        change = replace(
            samples.fulfilling("second", "y", "x"),
            lease=lease,
            extension=Extension(OrderId("second"), lease.channel_id, TIP, TIP + 1),
            token=TokenChange("T", 1, 0, 5),
        )
        with pytest.raises(InputTaken):
            await store.commit(change, START)
        assert await store.order(OrderId("second")) is None
        assert await store.lease(lease.channel_id) is None
        assert await store.token_count("T") == TokenCount(0, 0)
        assert await store.reserved_inputs() == {outpoint("x")}
        assert {effect.order_id for effect in await store.due_effects(START, 10)} == {"first"}
        free = replace(needed(change.order), funding=None)
        await store.commit(replace(change, order=free), START)
        assert await store.lease(lease.channel_id) == replace(lease, version=1)

    async def test_an_order_extends_once(self, store: OrderStore) -> None:
        """Money rule 2: a second extension by one order is refused with everything beside it."""
        change = samples.placed("a", samples.extension(), free=True)
        await store.commit(change, START)
        lease = replace(needed(change.lease), version=1, expiration_block=TIP + 9_999)
        with pytest.raises(StoreError, match="contradicts what is stored"):
            await store.commit(Change(lease=lease, extension=change.extension), START)
        assert needed(await store.lease(lease.channel_id)).expiration_block == TIP + 144

    async def test_one_invoice_belongs_to_one_order(self, store: OrderStore) -> None:
        """A second order with the same payment hash is refused."""
        first, second = needed(samples.placed("a").order), needed(samples.placed("b").order)
        await store.commit(Change(order=first), START)
        with pytest.raises(StoreError, match="contradicts what is stored"):
            await store.commit(Change(order=replace(second, bolt11=first.bolt11)), START)
        assert await store.order(second.id) is None

    async def test_rows_of_another_lsp_are_refused(self, store: OrderStore) -> None:
        """A store opened for one LSP takes no row of another."""
        with pytest.raises(StoreError, match="opened for"):
            await store.commit(samples.placed("a", lsp=OTHER_LSP), START)
        with pytest.raises(StoreError, match="opened for"):
            await store.commit(Change(lease=replace(samples.lease_of(), lsp=OTHER_LSP)), START)
        assert await store.newest_orders(None, 10) == []

    async def test_concurrent_commits_fail_alone(self, store: OrderStore) -> None:
        """Of commits that run at once, the ones in conflict fail and all others are there."""
        await store.commit(samples.fulfilling("holder", "x"), START)
        changes = [samples.placed(f"o{number}") for number in range(20)]
        changes[5] = samples.placed("holder")
        changes[11] = samples.fulfilling("o11", "x")
        changes[17] = changes[3]
        outcomes = await asyncio.gather(*(store.commit(c, START) for c in changes), return_exceptions=True)
        failures = {number: type(outcome) for number, outcome in enumerate(outcomes) if outcome is not None}
        assert failures == {5: VersionConflict, 11: InputTaken, 17: VersionConflict}
        stored = {order.id for order in await store.newest_orders(None, 100)}
        assert stored == {"holder", *(f"o{number}" for number in range(20) if number not in (5, 11, 17))}
        assert await store.unpaid(PEER) == UnpaidCount(17, 17)

    async def test_concurrent_steps_of_one_order_are_serialised(self, store: OrderStore) -> None:
        """Of many commits that read the same version, exactly one wins."""
        order = needed(samples.placed("a").order)
        await store.commit(Change(order=order), START)
        moves = [replace(order, version=1, reason=str(number)) for number in range(10)]
        outcomes = await asyncio.gather(*(store.commit(Change(order=m), START) for m in moves), return_exceptions=True)
        winners = [number for number, outcome in enumerate(outcomes) if outcome is None]
        assert len(winners) == 1
        assert needed(await store.order(order.id)) == replace(moves[winners[0]], version=2)

    @pytest.mark.parametrize("end", ["opened", "failed"])
    async def test_inputs_belong_to_one_opening_until_it_is_decided(self, store: OrderStore, end: str) -> None:
        """Money rule 3: reserved with the decision to open, unique, and free again with the outcome."""
        await store.commit(samples.fulfilling("a", "x", "y"), START)
        assert await store.reserved_inputs() == {outpoint("x"), outpoint("y")}
        with pytest.raises(InputTaken, match="choose other"):
            await store.commit(samples.fulfilling("b", "y", "z"), START)
        event = ChannelOpened(outpoint("channel")) if end == "opened" else OpenFailed("spent")
        order = await samples.happen(store, "a", event)
        assert order.state is (State.FULFILLED if end == "opened" else State.CLOSING)
        assert await store.reserved_inputs() == frozenset()
        await store.commit(samples.fulfilling("b", "y", "z"), START)
        assert await store.reserved_inputs() == {outpoint("y"), outpoint("z")}

    async def test_a_token_is_never_used_too_often(self, store: OrderStore) -> None:
        """Of twenty orders at once with a token of five uses, five are placed."""
        changes = [samples.placed(f"o{number}", token="T", token_uses=5) for number in range(20)]
        outcomes = await asyncio.gather(*(store.commit(c, START) for c in changes), return_exceptions=True)
        assert [type(outcome) for outcome in outcomes].count(TokenUsedUp) == 15
        assert await store.token_count("T") == TokenCount(5, 0)
        assert len(await store.newest_orders(None, 100)) == 5

    async def test_a_token_use_is_released_or_consumed(self, store: OrderStore) -> None:
        """Released when its order fails, so another may have it; consumed when its order was delivered."""
        await store.commit(samples.placed("a", token="T", token_uses=1), START)
        with pytest.raises(TokenUsedUp):
            await store.commit(samples.placed("b", token="T", token_uses=1), START)
        await samples.expire(store, "a")
        assert await store.token_count("T") == TokenCount(0, 0)
        free = samples.placed("b", samples.extension(), free=True, token="T", token_uses=1)
        await store.commit(free, START)
        assert await store.token_count("T") == TokenCount(0, 1)
        with pytest.raises(TokenUsedUp):
            await store.commit(samples.placed("c", token="T", token_uses=1), START)

    async def test_a_count_of_uses_never_goes_below_zero(self, store: OrderStore) -> None:
        """Releasing what was never reserved is a contradiction, and refused."""
        with pytest.raises(StoreError, match="contradicts what is stored"):
            await store.commit(Change(token=TokenChange("T", -1, 1)), START)
        assert await store.token_count("T") == TokenCount(0, 0)

    async def test_an_extension_is_one_commit(self, store: OrderStore) -> None:
        """A paid LSPS7 order: order, lease and extension of the commit that sees the payment are there together."""
        await store.commit(samples.placed("a", samples.extension()), START)
        order = await samples.happen(store, "a", replace(samples.HELD, channel=ChannelStanding.GOOD), NOW)
        assert order.state is State.FULFILLED
        lease = needed(await store.lease(samples.channel_id("channel")))
        assert (lease.expiration_block, lease.extension_order_ids, lease.lsp) == (TIP + 144, ("a",), LSP)
