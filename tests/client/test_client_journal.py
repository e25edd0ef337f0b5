"""Nothing is paid twice: what the journal holds before each step, and what a later run makes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from lsps.client.errors import (
    Declined,
    FeeTooHigh,
    LspUnintelligible,
    OrderInFlight,
    OutcomeUnknown,
    PaidNotDelivered,
    RuleViolated,
)
from lsps.client.patience import Patience
from lsps.client.terms import Offer, Progress, Step
from lsps.node.contract import InvoiceState, PaymentStatus
from lsps.node.simulated.clock import settle
from lsps.store.journal import Entry, EntryState
from lsps.units import BlockHeight, Msat, Sat, Scid
from tests.client.fake_lsp import FEE, Json, Shop, shop
from tests.client.fakes import patch, until
from tests.client.test_client_extend import BLOCKS, LIMIT, bolt11_of, scid
from tests.client.test_client_following import count_pays


class Killed(BaseException):
    """The process died."""


def dies_at(place: str) -> Callable[[str], None]:
    def failpoint(name: str) -> None:
        if name == place:
            raise Killed(name)

    return failpoint


async def run_until_killed(market: Shop, place: str) -> None:
    async with market.client(failpoint=dies_at(place)) as lsp:
        with pytest.raises(Killed):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
    await settle()


async def extend_again(market: Shop, **terms: Any) -> tuple[Any, list[Progress]]:
    steps: list[Progress] = []
    async with market.client() as lsp:
        wish: Json = {"blocks": BLOCKS, "max_fee": LIMIT, "on_progress": steps.append} | terms
        return await lsp.lsps7.extend(scid(market), **wish), steps


# --- what is written when -------------------------------------------------------------------------------------------


async def test_every_step_is_in_the_journal_before_it_is_taken() -> None:
    """ASKED before create_order is sent, ORDERED before the payer is asked, PAYING before the payment is sent."""
    async with shop() as market, market.client() as lsp:
        seen: dict[str, list[EntryState]] = {}
        pay = market.net.clients[0].payments.pay

        def on_order(order: Json) -> Json:
            seen["create_order"] = market.journal.states()
            return order

        async def confirm(_: Offer) -> bool:
            seen["confirm"] = market.journal.states()
            return True

        async def watched(invoice: str, max_fee: Msat) -> Any:
            seen["pay"] = market.journal.states()
            return await pay(invoice, max_fee)

        market.lsp.change["lsps7.create_order"] = on_order
        patch(market.net.clients[0].payments, "pay", watched)
        await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, confirm=confirm)
        assert seen == {
            "create_order": [EntryState.ASKED],
            "confirm": [EntryState.ORDERED],
            "pay": [EntryState.PAYING],
        }
        [entry] = market.journal.entries.values()
        assert (entry.node, entry.lsp) == (market.net.clients[0].node_id, lsp.node_id)
        assert (entry.method, entry.order_id) == ("lsps7.create_order", "order-1")
        assert entry.payment_hash == market.lsp.payment_hash("order-1")
        assert entry.lsp_address == lsp.address


async def test_no_token_is_in_the_journal() -> None:
    """A token is a secret: the journal has its hash in the wish, and not the one that the order mirrors."""
    async with shop() as market, market.client() as lsp:
        await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, token="SECRETCODE")
        assert market.journal.log
        assert not any("SECRETCODE" in repr(entry) for entry in market.journal.log)
        [entry] = market.journal.entries.values()
        assert "sha256:" in entry.parameters


async def test_another_token_is_another_wish() -> None:
    """An order without the token is not gone on with when a token is given."""
    async with shop() as market:
        await run_until_killed(market, "client_ordered")
        again, _ = await extend_again(market, token="GIFT")
        assert not again.resumed
        assert market.orders_asked() == 2


# --- going on after a crash -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["client_ordered", "client_paying", "client_paid", "client_completed"])
async def test_a_run_after_a_crash_goes_on_and_pays_once(place: str) -> None:
    """Wherever the client died, the same call again ends the same order, says so, and exactly one payment was made."""
    async with shop() as market:
        await run_until_killed(market, place)
        again, steps = await extend_again(market)
        assert again.resumed
        assert Step.RESUMED in {step.step for step in steps}
        assert again.delivered
        assert market.orders_asked() == 1
        assert await market.spent() == Sat(FEE).to_msat()
        assert market.journal.states() == [EntryState.COMPLETED]


async def test_a_payment_in_flight_is_waited_for_and_not_sent_again() -> None:
    """Interrupted while the LSP held the payment: the next run looks it up by hash, asks nobody and follows it."""
    async with shop() as market:
        market.lsp.on_held = "keep"
        async with market.client() as lsp:
            task = asyncio.create_task(lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT))
            await until(lambda: is_held(market))
            task.cancel()
        calls = count_pays(market)

        async def never(_: Offer) -> bool:
            raise AssertionError("the payer was asked again")

        again = asyncio.create_task(extend_again(market, confirm=never))
        await market.net.clock.sleep(100)
        await market.lsp.deliver("order-1")
        await market.lsp.take("order-1")
        extended, _ = await again
        assert extended.payment.status is PaymentStatus.SUCCEEDED
        assert calls == [0]


async def is_held(market: Shop) -> bool:
    return await market.lsp.invoice_states() == [InvoiceState.HELD]


async def test_paid_and_not_delivered_is_gone_on_with() -> None:
    """The next run waits for the LSP, without a second payment."""
    async with shop() as market:
        market.lsp.on_held = "take"
        async with market.client() as lsp:
            with pytest.raises(PaidNotDelivered):
                await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        calls = count_pays(market)
        await market.lsp.deliver("order-1")
        again, _ = await extend_again(market)
        assert again.resumed
        assert calls == [0]


async def test_an_unpaid_order_is_checked_and_asked_about_again() -> None:
    """An order from an earlier run is under this run's limits: fee, consent, rules."""
    async with shop() as market:
        await run_until_killed(market, "client_ordered")
        with pytest.raises(FeeTooHigh):
            await extend_again(market, max_fee=Sat(FEE - 1))
        asked: list[Offer] = []

        async def yes(offer: Offer) -> bool:
            asked.append(offer)
            return True

        await run_until_killed(market, "client_ordered")
        again, _ = await extend_again(market, confirm=yes)
        assert again.resumed
        assert asked[0].resumed


def lost(_: Json) -> Any:
    return {"error": {"code": 101, "message": "Not found", "data": {}}}


def expired(market: Shop) -> None:
    market.lsp.orders["order-1"]["payment"]["bolt11"]["expires_at"] = "2025-12-31T00:00:00.000Z"


def failed(market: Shop) -> None:
    market.lsp.orders["order-1"]["order_state"] = "FAILED"


def swapped(market: Shop) -> None:
    market.lsp.reinvoice(market.lsp.orders["order-1"], payment_hash=b"\x07" * 32)


def on_chain_only(market: Shop) -> None:
    option = bolt11_of(market.lsp.orders["order-1"])
    option["offer"] = option.pop("invoice")
    market.lsp.orders["order-1"]["payment"] = {"bolt12": option}


def unreadable(market: Shop) -> None:
    bolt11_of(market.lsp.orders["order-1"])["invoice"] = "junk"


@pytest.mark.parametrize("change", [expired, failed, swapped, on_chain_only, unreadable])
async def test_an_unpaid_order_that_cannot_be_paid_any_more_is_replaced(change: Callable[[Shop], None]) -> None:
    """Expired, failed, or with another invoice than at first: dropped and said so, and ordered afresh."""
    async with shop() as market:
        await run_until_killed(market, "client_ordered")
        change(market)
        again, steps = await extend_again(market)
        assert not again.resumed
        assert Step.DROPPED in {step.step for step in steps}
        assert again.order.order_id == "order-2"
        assert await market.sent() == ["order-2"]
        assert market.journal.states()[0] in {EntryState.FAILED, EntryState.ABANDONED}


async def test_an_order_the_lsp_forgot_is_replaced() -> None:
    """101 for an order that we did not pay."""
    async with shop() as market:
        await run_until_killed(market, "client_ordered")
        market.lsp.instead["lsps7.get_order"] = lambda params: (
            lost(params) if params["order_id"] == "order-1" else {"result": market.lsp.orders[params["order_id"]]}
        )
        again, _ = await extend_again(market)
        assert again.order.order_id == "order-2"


@pytest.mark.parametrize("state", ["HOLD", "PAID"])
async def test_an_order_that_somebody_else_paid_is_followed(state: str) -> None:
    """HOLD or PAID though this node knows no payment: it lost its records, or another paid. Never a second payment."""
    async with shop() as market:
        await run_until_killed(market, "client_ordered")
        market.lsp.state("order-1", state)
        going_on = asyncio.create_task(extend_again(market))
        await market.net.clock.sleep(30)
        await market.lsp.deliver("order-1")
        again, _ = await going_on
        assert again.resumed
        assert again.payment is None
        assert await market.sent() == []


async def test_an_answer_about_another_order_does_not_resume() -> None:
    """The order that is paid is the one that was asked about."""
    async with shop() as market:
        await run_until_killed(market, "client_ordered")
        market.lsp.change["lsps7.get_order"] = lambda order: order | {"order_id": "order-7"}
        with pytest.raises(RuleViolated, match="another order"):
            await extend_again(market)
        assert await market.sent() == []


# --- a lost reply ---------------------------------------------------------------------------------------------------


async def test_a_lost_reply_is_never_paid_and_blocks_nothing() -> None:
    """ASKED without an order id: shown as unknown and unpaid, and the next run orders afresh."""
    async with shop() as market:
        market.lsp.instead["lsps7.create_order"] = lambda _: None
        async with market.client() as lsp:
            with pytest.raises(OutcomeUnknown):
                await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        [entry] = market.journal.entries.values()
        assert (entry.state, entry.order_id) == (EntryState.ASKED, None)
        assert "no answer came" in entry.note
        market.lsp.instead.clear()
        again, steps = await extend_again(market)
        assert not again.resumed
        assert [step.step for step in steps].count(Step.UNANSWERED) == 1
        assert market.journal.states() == [EntryState.ASKED, EntryState.COMPLETED]


async def test_a_lost_reply_is_forgotten_after_a_day() -> None:
    """By then that order has expired: it is not spoken of for ever."""
    async with shop() as market:
        market.lsp.instead["lsps7.create_order"] = lambda _: None
        async with market.client() as lsp:
            with pytest.raises(OutcomeUnknown):
                await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        market.lsp.instead.clear()
        later = market.net.clock.now() + timedelta(days=1, seconds=1)
        while market.net.clock.now() < later:
            await market.net.clock.sleep(100)
        _, steps = await extend_again(market)
        assert Step.UNANSWERED not in {step.step for step in steps}
        assert market.journal.states() == [EntryState.ABANDONED, EntryState.COMPLETED]


async def test_an_order_that_was_never_sent_is_no_unknown_one() -> None:
    """The LSP could not be asked for certain: the entry is closed."""
    async with shop() as market, market.client() as lsp:
        add = market.journal.add

        async def junk_first(entry: Entry) -> Entry:
            await market.lsp.node.messages.send(market.net.clients[0].node_id, b"junk")
            await settle()
            return await add(entry)

        patch(market.journal, "add", junk_first)
        with pytest.raises(LspUnintelligible):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert market.journal.states() == [EntryState.ABANDONED]


# --- --new, and two at once -----------------------------------------------------------------------------------------


async def test_new_orders_again_when_nothing_is_in_flight() -> None:
    """`new` leaves an unpaid order alone and makes another."""
    async with shop() as market:
        await run_until_killed(market, "client_ordered")
        again, _ = await extend_again(market, new=True)
        assert not again.resumed
        assert again.order.order_id == "order-2"
        assert await market.sent() == ["order-2"]


async def test_the_same_call_finds_its_payment_after_a_splice() -> None:
    """A wish goes by the name it was made with: the channel's SCID may be another one when the call is repeated, and
    nothing is ordered or paid again (found by simulation)."""
    async with shop() as market:
        market.lsp.on_held = "keep"
        alias = market.channel.peer_alias
        assert alias is not None
        async with market.client() as lsp:
            task = asyncio.create_task(lsp.lsps7.extend(alias, blocks=BLOCKS, max_fee=LIMIT))
            await until(lambda: is_held(market))
            task.cancel()
        channel = market.net.world.nodes[market.net.clients[0].node_id].channels[market.channel.channel_id]
        channel.scid = Scid(777, 1, 0)
        market.lsp.listed[0]["short_channel_id"] = str(channel.scid)
        async with market.client() as lsp:
            again = asyncio.create_task(lsp.lsps7.extend(alias, blocks=BLOCKS, max_fee=LIMIT))
            await market.net.clock.sleep(100)
            assert market.orders_asked() == 1
            again.cancel()


@pytest.mark.parametrize("on_held", ["keep", "take", "complete"])
async def test_new_is_refused_while_a_payment_is_in_flight(on_held: str) -> None:
    """In flight is from paying to the LSP's final state, whether the payment is held or taken."""
    async with shop() as market:
        market.lsp.on_held = on_held
        async with market.client(patience=Patience(delivery=5)) as lsp:
            task = asyncio.create_task(lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT))
            await market.net.clock.sleep(60)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        with pytest.raises(OrderInFlight, match="order-1"):
            await extend_again(market, new=True)
        assert market.orders_asked() == 1


async def test_new_is_refused_while_nobody_can_tell_whether_it_is_in_flight() -> None:
    """A paid order about which the LSP is silent counts as in flight."""
    async with shop() as market:
        await run_until_killed(market, "client_completed")
        market.lsp.instead["lsps7.get_order"] = lambda _: None
        with pytest.raises(OrderInFlight):
            await extend_again(market, new=True)


async def test_new_closes_an_order_that_ended_while_nobody_looked() -> None:
    """Paid and COMPLETED: the entry is closed with the LSP's word, and a new order is made."""
    async with shop() as market:
        await run_until_killed(market, "client_completed")
        again, _ = await extend_again(market, new=True)
        assert again.order.order_id == "order-2"
        assert market.journal.states() == [EntryState.COMPLETED, EntryState.COMPLETED]
        assert await market.spent() == Sat(2 * FEE).to_msat()


async def test_new_replaces_an_order_whose_payment_never_left() -> None:
    """PAYING, but our node knows no payment: nothing is in flight."""
    async with shop() as market:
        await run_until_killed(market, "client_paying")
        again, _ = await extend_again(market, new=True)
        assert again.order.order_id == "order-2"
        assert market.journal.states() == [EntryState.FAILED, EntryState.COMPLETED]


async def test_two_processes_with_the_same_wish_pay_once() -> None:
    """Both ordered; the one that comes to pay second sees the other's PAYING, and stops."""
    async with shop() as market:
        market.lsp.on_held = "keep"
        gate = asyncio.Event()

        async def wait(_: Offer) -> bool:
            await gate.wait()
            return True

        second_node = market.net.another(market.net.clients[0])
        async with market.client() as one, market.client(second_node) as two:
            wish: Json = {"blocks": BLOCKS, "max_fee": LIMIT, "confirm": wait}
            tasks = [asyncio.create_task(lsp.lsps7.extend(scid(market), **wish)) for lsp in (one, two)]
            await until(lambda: market.journal.states() == [EntryState.ORDERED] * 2)
            gate.set()
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            assert [type(task.exception()) for task in done] == [OrderInFlight]
            assert len(await market.sent()) == 1
            for task in pending:
                task.cancel()


@pytest.mark.parametrize(("slow", "quick"), [("bolt11", "onchain"), ("onchain", "bolt11")])
@pytest.mark.parametrize("ended", [False, True])
async def test_one_order_is_not_paid_both_ways(slow: str, quick: str, ended: bool) -> None:
    """One process asks a person, another pays the same order meanwhile, the other way: the first one
    follows that."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        market.lsp.on_held = "keep"
        asked, answer = asyncio.Event(), asyncio.Event()

        async def say_yes_later(_: Offer) -> bool:
            asked.set()
            await answer.wait()
            return True

        async with market.client() as lsp:
            wish: Json = {"blocks": BLOCKS, "max_fee": LIMIT}
            await lsp.lsps7.extend(scid(market), **wish, pay_with="onchain", pay=False)
            waits = asyncio.create_task(lsp.lsps7.extend(scid(market), **wish, pay_with=slow, confirm=say_yes_later))
            await asked.wait()
            pays = asyncio.create_task(lsp.lsps7.extend(scid(market), **wish, pay_with=quick))
            is_paid = is_published if quick == "onchain" else is_held
            await until(lambda: is_paid(market))
            if ended:
                if quick == "bolt11":
                    await market.lsp.take("order-1")
                await market.lsp.deliver("order-1")
                await pays
            answer.set()
            if ended:
                assert (await waits).delivered
            else:
                await market.net.clock.sleep(30)
                assert not waits.done()
                waits.cancel()
            pays.cancel()
        assert market.orders_asked() == 1
        paid = len(await market.sent()), await is_published(market)
        assert paid == ((0, True) if quick == "onchain" else (1, False))
        assert market.journal.states() == [EntryState.COMPLETED if ended else EntryState.PAYING]


async def is_published(market: Shop) -> bool:
    """Whether the LSP's wallet knows of a payment for its order."""
    address = market.lsp.orders["order-1"]["payment"]["onchain"]["address"]
    return any(deposit.address == address for deposit in await market.lsp.node.wallet.deposits(BlockHeight(0)))


async def never_mind(_: Offer) -> bool:
    return False


@pytest.mark.parametrize("first", ["waits", "died"])
async def test_a_no_does_not_forget_what_another_process_pays(first: str) -> None:
    """Two processes go on with one order; one is told no while the other pays. That payment is found again after a
    crash, and none is made beside it."""
    async with shop() as market:
        market.lsp.on_held = "keep"
        await run_until_killed(market, "client_ordered" if first == "waits" else "client_paying")
        asked, answer = asyncio.Event(), asyncio.Event()

        async def say_no_later(_: Offer) -> bool:
            asked.set()
            await answer.wait()
            return False

        second_node = market.net.another(market.net.clients[0])
        async with market.client() as one, market.client(second_node) as two:
            wish: Json = {"blocks": BLOCKS, "max_fee": LIMIT}
            declines = asyncio.create_task(one.lsps7.extend(scid(market), **wish, confirm=say_no_later))
            await asked.wait()
            pays = asyncio.create_task(two.lsps7.extend(scid(market), **wish))
            await until(lambda: is_held(market))
            answer.set()
            with pytest.raises(Declined):
                await declines
            pays.cancel()
        assert market.journal.states() == [EntryState.PAYING]
        await market.lsp.deliver("order-1")
        await market.lsp.take("order-1")
        again, _ = await extend_again(market)
        assert again.resumed
        assert market.orders_asked() == 1
        assert await market.spent() == Sat(FEE).to_msat()


async def test_a_no_ends_an_order_that_nobody_pays() -> None:
    """Declined: it is not offered again."""
    async with shop() as market:
        for _ in range(2):
            with pytest.raises(Declined):
                await extend_again(market, confirm=never_mind)
        assert market.journal.states() == [EntryState.ABANDONED] * 2


# --- free orders, and ordering only ---------------------------------------------------------------------------------


def free(order: Json) -> Json:
    return order | {"payment": {}}


async def test_a_free_order_is_followed_without_paying() -> None:
    """payment {}: nothing to pay or to ask; COMPLETED may come at once or later, and is verified all the same."""
    async with shop() as market, market.client() as lsp:

        async def never(_: Offer) -> bool:
            raise AssertionError("there is nothing to ask")

        market.lsp.change["lsps7.create_order"] = free
        market.lsp.change["lsps7.get_order"] = free
        task = asyncio.create_task(lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=Sat(0), confirm=never))
        await market.net.clock.sleep(30)
        assert not task.done()
        await market.lsp.deliver("order-1")
        extended = await task
        assert extended.delivered
        assert extended.payment is None
        assert await market.sent() == []


async def test_a_free_order_must_be_the_one_that_was_asked_for() -> None:
    """Nothing is paid, but COMPLETED for something else is not what was wanted."""
    async with shop() as market, market.client() as lsp:
        market.lsp.change["lsps7.create_order"] = lambda order: free(order) | {"channel_extension_expiry_blocks": 1}
        with pytest.raises(RuleViolated, match="mirror"):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=Sat(0))


async def test_an_order_that_is_done_already_is_not_paid() -> None:
    """COMPLETED in the reply to create_order, whatever its payment object says: nothing is left to pay."""
    async with shop() as market, market.client() as lsp:
        market.lsp.change["lsps7.create_order"] = lambda order: order | {"order_state": "COMPLETED"}
        task = asyncio.create_task(lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT))
        await until(lambda: bool(market.lsp.orders))
        await market.lsp.deliver("order-1")
        extended = await task
        assert extended.delivered
        assert await market.sent() == []


async def test_a_free_order_is_gone_on_with() -> None:
    """An unfinished free order is followed by the next run."""
    async with shop() as market:
        market.lsp.change["lsps7.create_order"] = free
        market.lsp.change["lsps7.get_order"] = free
        await run_until_killed(market, "client_ordered")
        await market.lsp.deliver("order-1")
        again, _ = await extend_again(market)
        assert again.resumed
        assert market.orders_asked() == 1


async def test_ordering_only_pays_nothing_and_is_gone_on_with() -> None:
    """`pay=False` checks the order and stops; the same call with payment takes it up."""
    async with shop() as market:
        only, _ = await extend_again(market, pay=False)
        assert not only.delivered
        assert await market.sent() == []
        assert market.journal.states() == [EntryState.ORDERED]
        again, _ = await extend_again(market)
        assert again.resumed
        assert market.orders_asked() == 1
        assert market.journal.states() == [EntryState.COMPLETED]


async def test_ordering_only_keeps_to_the_limits() -> None:
    """A fee above the limit is told by `pay=False` as well."""
    async with shop() as market:
        with pytest.raises(FeeTooHigh):
            await extend_again(market, pay=False, max_fee=Sat(1))


async def test_a_wish_is_found_by_any_name_of_its_channel() -> None:
    """Ordered when the LSP listed the alias, gone on with when it lists the confirmed SCID."""
    async with shop() as market:
        alias = market.channel.peer_alias
        assert alias is not None
        market.lsp.listed[0]["short_channel_id"] = str(alias)
        await run_until_killed(market, "client_paying")
        calls = count_pays(market)
        market.lsp.listed[0]["short_channel_id"] = str(market.channel.scid)
        async with market.client() as lsp:
            # The order is for the alias: it is not the one that would be asked for now, and nothing of it was paid.
            again = await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT)
        assert calls == [1]
        assert again.order.order_id == "order-2"
        assert market.journal.states() == [EntryState.ABANDONED, EntryState.COMPLETED]
