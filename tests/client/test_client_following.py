"""An order that is being paid: every combination of what the LSP says and what the payment does."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from lsps.client.errors import NotDelivered, OrderFailed, PaidNotDelivered, PaymentFailed
from lsps.client.terms import Progress, Step
from lsps.node.contract import NodeUnreachable, PaymentStatus, Refused
from lsps.node.simulated.clock import settle
from lsps.protocol.payment import PaymentState
from lsps.store.journal import EntryState
from lsps.units import Msat, Sat
from tests.client.fake_lsp import FEE, Json, Shop, shop
from tests.client.fakes import patch, until
from tests.client.test_client_extend import BLOCKS, LIMIT, scid


async def test_a_payment_that_the_lsp_gives_back_is_an_order_that_failed() -> None:
    """FAILED and given back: OrderFailed, nothing spent (bLIP-51 §3.1)."""
    async with shop() as market, market.client() as lsp:
        market.lsp.on_held = "fail"
        with pytest.raises(OrderFailed, match="given back"):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert await market.spent() == Msat(0)
        assert market.journal.states() == [EntryState.FAILED]


async def test_the_deprecated_state_cancelled_is_understood() -> None:
    """bLIP-51 §3.1: clients SHOULD support CANCELLED; it means REFUNDED."""
    async with shop() as market, market.client() as lsp:
        market.lsp.on_held = "fail"

        def cancelled(order: Json) -> Json:
            option = order["payment"]["bolt11"]
            option["state"] = "CANCELLED" if option["state"] == "REFUNDED" else option["state"]
            return order

        market.lsp.change["lsps7.get_order"] = cancelled
        with pytest.raises(OrderFailed):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)


async def test_a_payment_without_a_route_failed() -> None:
    """The order waits for a payment that never came: PaymentFailed with the node's reason, at once."""
    async with shop() as market, market.client() as lsp:
        started, node = market.net.clock.now(), market.net.clients[0]

        async def refuse(*_: Any) -> Any:
            raise Refused("no route")

        patch(node.payments, "pay", refuse)
        with pytest.raises(PaymentFailed, match="no route") as failed:
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert failed.value.order_id == "order-1"
        assert (market.net.clock.now() - started).total_seconds() < 15
        assert market.journal.states() == [EntryState.FAILED]


async def test_the_routing_fee_is_bounded() -> None:
    """`max_routing_fee` reaches the node; by default it is 1 % of the total and 10 sat."""
    async with shop() as market, market.client() as lsp:
        node, limits = market.net.clients[0], []
        pay = node.payments.pay

        async def watched(invoice: str, max_fee: Msat) -> Any:
            limits.append(max_fee)
            return await pay(invoice, max_fee)

        patch(node.payments, "pay", watched)
        await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, max_routing_fee=Sat(3))
        assert limits == [Msat(20_000), Msat(3_000)]


async def test_a_payment_lost_by_the_lsp_fails_after_a_moment() -> None:
    """Given back while the LSP still says HOLD: its last word is waited for, not for ever."""
    async with shop() as market, market.client() as lsp:
        market.lsp.on_held = "keep"
        give_back = market.lsp.node.invoices.cancel
        started = market.net.clock.now()
        task = asyncio.create_task(lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT))
        await until(lambda: bool(market.lsp.orders))
        await market.net.clock.sleep(20)
        await give_back(market.lsp.payment_hash("order-1"))
        with pytest.raises(PaymentFailed):
            await task
        assert (market.net.clock.now() - started).total_seconds() < 60
        assert await market.spent() == Msat(0)


async def test_completed_while_the_payment_is_held_waits_for_the_payment() -> None:
    """COMPLETED and HOLD go together (design: fulfilled): the payment's end is waited for, then all is well."""
    async with shop() as market, market.client() as lsp:
        market.lsp.on_held = "complete"
        task = asyncio.create_task(lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT))
        await until(lambda: bool(market.lsp.orders))
        for _ in range(10):
            await market.net.clock.sleep(100)
        assert not task.done()
        assert market.journal.states() == [EntryState.PAYING]
        await market.lsp.take("order-1")
        extended = await task
        assert extended.payment is not None
        assert extended.payment.status is PaymentStatus.SUCCEEDED


async def test_the_order_is_shown_as_paid_when_it_is() -> None:
    """An LSP says COMPLETED and still HOLD just after it settled: it is asked once more, and the result says PAID."""
    said_hold: list[str] = []
    async with shop() as market, market.client() as lsp:

        def late(order: Json) -> Json:
            option = order["payment"]["bolt11"]
            if option["state"] == "PAID" and not said_hold:
                said_hold.append(order["order_id"])
                option["state"] = "HOLD"
            return order

        market.lsp.change["lsps7.get_order"] = late
        extended = await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert said_hold == ["order-1"]
        assert extended.order.payment.bolt11 is not None
        assert extended.order.payment.bolt11.state is PaymentState.PAID


async def test_delivered_though_the_payment_slipped_away() -> None:
    """COMPLETED, and the payment came back: what was bought is there, and the result says what was paid."""
    async with shop() as market, market.client() as lsp:
        market.lsp.on_held = "complete"
        task = asyncio.create_task(lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT))
        await until(lambda: bool(market.lsp.orders))
        await market.net.clock.sleep(20)
        await market.lsp.node.invoices.cancel(market.lsp.payment_hash("order-1"))
        extended = await task
        assert extended.delivered
        assert extended.payment is not None
        assert extended.payment.status is PaymentStatus.FAILED


async def test_taken_and_failed_is_not_delivered() -> None:
    """An LSP that takes the payment and says FAILED owes it: NotDelivered with the order id."""
    async with shop() as market, market.client() as lsp:
        market.lsp.on_held = "settle and fail"
        with pytest.raises(NotDelivered, match="order order-1") as lost:
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert not isinstance(lost.value, PaidNotDelivered)
        assert market.journal.states() == [EntryState.NOT_DELIVERED]


async def test_taken_and_not_completed_is_paid_and_not_delivered() -> None:
    """CREATED for five minutes after the payment was taken: PaidNotDelivered; the journal keeps it open."""
    async with shop() as market, market.client() as lsp:
        market.lsp.on_held = "take"
        with pytest.raises(PaidNotDelivered, match="order-1"):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert await market.spent() == Sat(FEE).to_msat()
        assert market.journal.states() == [EntryState.PAYING]


@pytest.mark.parametrize(
    "silence",
    [
        lambda _: None,
        lambda _: b"junk",
        lambda _: {"error": {"code": 101, "message": "not found"}},
        lambda _: {"error": {"code": -32603, "message": "oops"}},
        lambda _: {"result": {"order_id": "order-1"}},
    ],
    ids=["silence", "junk", "unknown order", "internal error", "wrong shape"],
)
async def test_an_lsp_that_falls_silent_after_taking_is_paid_and_not_delivered(silence: Any) -> None:
    """Whatever get_order gives instead of an order, the money's fate is told with the order id."""
    async with shop() as market, market.client() as lsp:
        market.lsp.instead["lsps7.get_order"] = silence
        with pytest.raises(PaidNotDelivered, match="order-1"):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert market.journal.states() == [EntryState.PAYING]


async def test_an_answer_about_another_order_is_no_answer() -> None:
    """COMPLETED counts only for the order that was asked about."""
    async with shop() as market, market.client() as lsp:
        market.lsp.on_held = "take"
        done = {"order_id": "order-9", "order_state": "COMPLETED"}
        market.lsp.change["lsps7.get_order"] = lambda order: order | done
        with pytest.raises(PaidNotDelivered):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)


async def test_polls_that_fail_now_and_then_do_no_harm() -> None:
    """Every second get_order unanswered: the order is followed to its end all the same."""
    async with shop() as market, market.client() as lsp:
        honest = market.lsp._answer
        polls = 0

        async def forgetful(peer: Any, request: Json) -> None:
            nonlocal polls
            polls += request["method"] == "lsps7.get_order"
            if request["method"] != "lsps7.get_order" or polls % 2 == 0:
                await honest(peer, request)

        patch(market.lsp, "_answer", forgetful)
        extended = await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert extended.delivered
        assert polls >= 2


async def test_polls_grow_apart_and_do_not_crowd() -> None:
    """While a payment is held get_order is asked after 1 s, then less and less often, to every 10 s."""
    async with shop() as market, market.client() as lsp:
        market.lsp.on_held = "keep"
        task = asyncio.create_task(lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT))
        await until(lambda: bool(market.lsp.orders))
        for _ in range(10):
            await market.net.clock.sleep(100)
        polls = market.lsp.methods().count("lsps7.get_order")
        assert 95 <= polls <= 110
        task.cancel()


async def test_held_is_told_once() -> None:
    """The payer hears that the payment is held, one time."""
    async with shop() as market, market.client() as lsp:
        market.lsp.on_held = "keep"
        steps: list[Progress] = []
        task = asyncio.create_task(
            lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, on_progress=steps.append)
        )
        await until(lambda: bool(market.lsp.orders))
        await market.net.clock.sleep(100)
        assert [step.step for step in steps].count(Step.HELD) == 1
        await market.lsp.deliver("order-1")
        await market.lsp.take("order-1")
        await task
        assert [step.step for step in steps].count(Step.HELD) == 1


# --- our own node ---------------------------------------------------------------------------------------------------


async def test_a_node_that_loses_the_answer_is_asked_what_became_of_the_payment() -> None:
    """NodeUnreachable from pay: the payment is looked up by its hash, and not sent again."""
    async with shop() as market, market.client() as lsp:
        buyer = market.net.clients[0].node_id
        market.net.world.faults.fail_next(buyer, "payments.pay", before=False)
        calls = count_pays(market)
        extended = await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert extended.delivered
        assert calls == [1]
        assert await market.spent() == Sat(FEE).to_msat()


async def test_a_payment_that_never_reached_the_node_failed() -> None:
    """NodeUnreachable from pay, and the node does not come to know the payment: PaymentFailed."""
    async with shop() as market, market.client() as lsp:
        buyer = market.net.clients[0].node_id
        market.net.world.faults.fail_next(buyer, "payments.pay", before=True)
        with pytest.raises(PaymentFailed, match="never sent it"):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert await market.spent() == Msat(0)


async def test_a_node_that_stays_away_leaves_the_outcome_open() -> None:
    """Five minutes without our own node: PaidNotDelivered that says so; the journal keeps it open."""
    async with shop() as market, market.client() as lsp:
        payments = market.net.clients[0].payments

        async def away(*_: Any) -> Any:
            raise NodeUnreachable("our node is away")

        async def away_from_now_on(*_: Any) -> Any:
            patch(payments, "lookup", away)
            return await away()

        patch(payments, "pay", away_from_now_on)
        with pytest.raises(PaidNotDelivered, match="outcome is unknown"):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert market.journal.states() == [EntryState.PAYING]


async def test_the_lsp_is_away_when_the_list_is_looked_at() -> None:
    """COMPLETED and paid, but the list cannot be asked: not verified, and the journal keeps it open."""
    async with shop() as market, market.client() as lsp:

        async def confirm(_: Any) -> bool:
            market.lsp.instead["lsps7.get_extendable_channels"] = lambda _: None
            return True

        with pytest.raises(PaidNotDelivered, match="could not be verified"):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, confirm=confirm)
        assert market.journal.states() == [EntryState.PAYING]
        market.lsp.instead.clear()
        extended = await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert extended.resumed
        assert await market.spent() == Sat(FEE).to_msat()


async def test_cancelling_does_not_stop_the_payment() -> None:
    """An interrupted client leaves the payment in flight and the journal saying so."""
    async with shop() as market, market.client() as lsp:
        market.lsp.on_held = "keep"
        task = asyncio.create_task(lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT))
        await until(lambda: market.journal.states() == [EntryState.PAYING])
        await settle()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        payment = await market.net.clients[0].payments.lookup(market.lsp.payment_hash("order-1"))
        assert payment is not None
        assert payment.status is PaymentStatus.IN_FLIGHT
        assert market.journal.states() == [EntryState.PAYING]


def count_pays(market: Shop) -> list[int]:
    """A list whose one number is how often `pay` was called on the client's node."""
    payments, calls = market.net.clients[0].payments, [0]
    pay = payments.pay

    async def counted(invoice: str, max_fee: Msat) -> Any:
        calls[0] += 1
        return await pay(invoice, max_fee)

    patch(payments, "pay", counted)
    return calls
