"""Paying on-chain an LSP that says what it should not: before anything is paid, and after."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lsps.client.errors import (
    FeeTooHigh,
    FundsMissing,
    NotDelivered,
    NotPayable,
    NotRefunded,
    OrderFailed,
    PaidNotDelivered,
    RuleViolated,
)
from lsps.client.patience import Patience
from lsps.client.terms import Progress, Step
from lsps.node.contract import Refused
from lsps.store.journal import EntryState
from lsps.units import BlockHeight, Sat
from tests.client.fake_lsp import FEE, Json, Shop, shop
from tests.client.fakes import until
from tests.client.test_client_extend import BLOCKS, LIMIT, scid
from tests.client.test_client_journal import Killed, dies_at

MAINNET = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


SHORT = Patience(onchain=600)


async def extend(
    market: Shop, steps: list[Progress] | None = None, patience: Patience | None = None, **terms: Any
) -> Any:
    async with market.client(patience=patience) as lsp:
        told = [] if steps is None else steps
        wish: Json = {"blocks": BLOCKS, "max_fee": LIMIT, "pay_with": "onchain", "on_progress": told.append} | terms
        return await lsp.lsps7.extend(scid(market), **wish)


async def killed_at(market: Shop, place: str) -> None:
    async with market.client(failpoint=dies_at(place)) as lsp:
        with pytest.raises(Killed):
            await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, pay_with="onchain")


def onchain(order: Json) -> Json:
    option: Json = order["payment"]["onchain"]
    return option


async def payments(market: Shop) -> list[Sat]:
    """What the LSP's wallet got since the start, at whatever address of an order."""
    addresses = {onchain(order)["address"] for order in market.lsp.orders.values() if "onchain" in order["payment"]}
    deposits = await market.lsp.node.wallet.deposits(BlockHeight(0))
    return [deposit.amount for deposit in deposits if deposit.address in addresses]


async def published(market: Shop) -> bool:
    return bool(await payments(market))


# --- before paying --------------------------------------------------------------------------------------------------


WRONG: list[tuple[Json, str]] = [
    ({"address": MAINNET}, "address"),
    ({"address": "nonsense"}, "address"),
    ({"state": "HOLD"}, "onchain_state"),
    ({"state": "PAID"}, "payment_state"),
    ({"order_total_sat": str(FEE + 1)}, "order_total"),
    ({"refund_onchain_address": MAINNET}, "mirror"),
    ({"min_fee_for_0conf": 253}, "min_fee_for_0conf"),
    ({"expires_at": "2026-01-01T00:05:00.000Z"}, "onchain_expired"),
    ({"expires_at": "2026-01-01T00:45:00.000Z", "min_onchain_payment_confirmations": 6}, "onchain_expired"),
    ({"expires_at": "2026-01-01T00:45:00.000Z", "min_onchain_payment_confirmations": 500}, "onchain_expired"),
]


@pytest.mark.parametrize(("fields", "rule"), WRONG)
async def test_what_breaks_a_rule_is_not_paid(fields: Json, rule: str) -> None:
    """bLIP-51 §3.3, each clause that a client can see before it pays: named, nothing signed, nothing paid."""
    async with shop() as market:
        market.lsp.takes_onchain = True

        def wrong(order: Json) -> Json:
            onchain(order).update(fields)
            return order

        market.lsp.change["lsps7.create_order"] = wrong
        with pytest.raises(RuleViolated) as broken:
            await extend(market)
        assert rule in {violation.rule for violation in broken.value.violations}
        assert market.journal.states() == [EntryState.ABANDONED]
        assert not any(entry.transaction for entry in market.journal.log)
        assert await payments(market) == []


async def test_an_lsp_that_may_leave_the_refund_address_out() -> None:
    """bLIP-51 §3.3: the LSP MAY omit it, since earlier versions had none."""
    async with shop() as market:
        market.lsp.takes_onchain = True

        def without(order: Json) -> Json:
            onchain(order)["refund_onchain_address"] = None
            return order

        market.lsp.change["lsps7.create_order"] = without
        task = asyncio.create_task(extend(market))
        await until(lambda: published(market))
        await complete(market)
        assert (await task).delivered


async def complete(market: Shop) -> None:
    onchain(market.lsp.orders["order-1"])["state"] = "PAID"
    await market.lsp.deliver("order-1")


async def test_an_lsp_without_it_is_not_payable() -> None:
    """The reason is said, and a fee above `max_fee` stops as ever."""
    async with shop() as market:
        with pytest.raises(NotPayable, match="takes only bolt11 for this order: it takes no on-chain"):
            await extend(market)
        market.lsp.takes_onchain = True
        with pytest.raises(FeeTooHigh):
            await extend(market, max_fee=Sat(FEE - 1))
        assert await payments(market) == []


async def test_more_than_six_confirmations_are_noticed() -> None:
    """bLIP-51 §3.3: after 6 it MUST count, whatever min_onchain_payment_confirmations says."""
    async with shop() as market:
        market.lsp.takes_onchain = True

        def many(order: Json) -> Json:
            onchain(order)["min_onchain_payment_confirmations"] = 700
            return order

        market.lsp.change["lsps7.create_order"] = many
        steps: list[Progress] = []
        task = asyncio.create_task(extend(market, steps))
        await until(lambda: published(market))
        assert any(step.step is Step.NOTICED and "after 6" in step.text for step in steps)
        await complete(market)
        await task


# --- an order of an earlier run -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fields", [{"order_total_sat": "2000", "fee_total_sat": "2000"}, {"address": "another"}])
async def test_an_unpaid_order_that_asks_for_something_else_is_not_paid(fields: Json) -> None:
    """Total and address are what they were when the order was made, or it is ordered again."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        await killed_at(market, "client_ordered")
        other = await market.lsp.node.wallet.new_address()
        onchain(market.lsp.orders["order-1"]).update(fields | ({"address": other} if "address" in fields else {}))
        task = asyncio.create_task(extend(market))
        await until(lambda: published(market))
        assert market.journal.states() == [EntryState.ABANDONED, EntryState.PAYING]
        assert await payments(market) == [Sat(FEE)]
        task.cancel()


async def test_after_paying_another_total_changes_nothing() -> None:
    """What is signed is signed: nothing more is paid, whatever get_order asks for then."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        await killed_at(market, "client_published")
        onchain(market.lsp.orders["order-1"]).update({"order_total_sat": "900000", "fee_total_sat": "900000"})
        task = asyncio.create_task(extend(market))
        market.net.mine()
        await market.net.clock.sleep(100)
        await complete(market)
        assert (await task).delivered
        assert await payments(market) == [Sat(FEE)]


async def test_an_order_that_failed_meanwhile_is_not_paid() -> None:
    """Signed and never sent, and the LSP says FAILED: it stays unsent, and nothing was paid."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        await killed_at(market, "client_signed")
        market.lsp.orders["order-1"]["order_state"] = "FAILED"
        with pytest.raises(OrderFailed, match="nothing was paid"):
            await extend(market)
        assert await payments(market) == []
        assert market.journal.states() == [EntryState.FAILED]


async def test_an_order_that_expired_meanwhile_is_not_paid() -> None:
    """Signed and never sent, and the LSP does not answer: after expires_at it is not sent."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        await killed_at(market, "client_signed")
        market.lsp.instead["lsps7.get_order"] = lambda _: None
        for _ in range(24 * 60):
            await market.net.clock.sleep(60)
        task = asyncio.create_task(extend(market))
        await market.net.clock.sleep(100)
        assert "lsps7.get_order" in market.lsp.methods()
        assert await payments(market) == []
        del market.lsp.instead["lsps7.get_order"]
        market.lsp.orders["order-1"]["order_state"] = "FAILED"
        with pytest.raises(OrderFailed):
            await task


@pytest.mark.parametrize("spelled", [str.lower, str.upper])
async def test_the_address_to_pay_is_not_our_own_refund_address(spelled: Callable[[str], str]) -> None:
    """What is paid there would come back at once, and look like a refund: a rule of ours."""
    async with shop() as market:
        market.lsp.takes_onchain = True

        def ours(order: Json) -> Json:
            onchain(order)["address"] = spelled(onchain(order)["refund_onchain_address"])
            return order

        market.lsp.change["lsps7.create_order"] = ours
        with pytest.raises(RuleViolated) as broken:
            await extend(market)
        assert [violation.rule for violation in broken.value.violations] == ["own_address"]


async def test_an_order_of_nothing_with_an_address() -> None:
    """order_total_sat 0 cannot be paid to an address: the wallet's reason is said, and nothing is paid."""
    async with shop() as market:
        market.lsp.takes_onchain = True

        def nothing(order: Json) -> Json:
            onchain(order).update(fee_total_sat="0", order_total_sat="0")
            return order

        market.lsp.change["lsps7.create_order"] = nothing
        with pytest.raises(FundsMissing, match="nothing was paid"):
            await extend(market)
        assert market.journal.states() == [EntryState.ABANDONED]
        assert await payments(market) == []


async def test_an_option_that_lasts_for_ever() -> None:
    """expires_at in the last second of the year 9999 is a time like any other."""
    async with shop() as market:
        market.lsp.takes_onchain = True

        def for_ever(order: Json) -> Json:
            for option in order["payment"].values():
                option["expires_at"] = "9999-12-31T23:59:59.999Z"
            return order

        market.lsp.change["lsps7.create_order"] = for_ever
        task = asyncio.create_task(extend(market))
        await until(lambda: published(market))
        await complete(market)
        assert (await task).delivered


@pytest.mark.parametrize("answers", [True, False])
async def test_an_expired_order_that_the_lsp_does_not_end(answers: bool) -> None:
    """Signed and never sent, and the LSP says CREATED for ever, or nothing: not waited for without end."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        await killed_at(market, "client_signed")
        for _ in range(24 * 60):
            await market.net.clock.sleep(60)
        if not answers:
            market.lsp.instead["lsps7.get_order"] = lambda _: None
        with pytest.raises(PaidNotDelivered, match="never sent, and the order has expired"):
            await extend(market)
        assert await payments(market) == []
        assert market.journal.states() == [EntryState.PAYING]


# --- after paying ---------------------------------------------------------------------------------------------------


async def test_a_payment_that_is_not_counted_after_six_confirmations() -> None:
    """bLIP-51 §3.3: MUST count after 6. Blocks are waited for without end, an LSP that breaks this is not; the same
    call goes on."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        task = asyncio.create_task(extend(market, patience=SHORT))
        await until(lambda: published(market))
        for blocks in (0, 1, 4):
            market.net.mine(blocks)
            for _ in range(8):
                await market.net.clock.sleep(100)
            assert not task.done()
        market.net.mine()
        with pytest.raises(PaidNotDelivered, match="must with 6 confirmations"):
            await task
        assert market.journal.states() == [EntryState.PAYING]
        await complete(market)
        assert (await extend(market)).resumed


@pytest.mark.parametrize("state", ["PAID", "HOLD"])
async def test_counted_and_not_delivered(state: str) -> None:
    """PAID (LDK's service says HOLD), and then nothing: not waited for without end either."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        task = asyncio.create_task(extend(market))
        await until(lambda: published(market))
        onchain(market.lsp.orders["order-1"])["state"] = state
        with pytest.raises(PaidNotDelivered, match="has not delivered, nor given up"):
            await task
        assert market.journal.states() == [EntryState.PAYING]


async def test_completed_and_not_delivered() -> None:
    """COMPLETED without what was bought: NotDelivered with the order id."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        market.lsp.lists_extensions = False
        task = asyncio.create_task(extend(market))
        await until(lambda: published(market))
        await complete(market)
        with pytest.raises(NotDelivered, match="order-1"):
            await task
        assert market.journal.states() == [EntryState.NOT_DELIVERED]


async def test_failed_and_not_refunded() -> None:
    """bLIP-51 §3.3: MUST refund. An LSP that does not is named with the order; the refund that comes after all is found
    by the same call, which says what it was."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        task = asyncio.create_task(extend(market))
        await until(lambda: published(market))
        market.net.mine()
        order = market.lsp.orders["order-1"]
        order["order_state"], onchain(order)["state"] = "FAILED", "REFUNDED"
        with pytest.raises(NotRefunded, match="order-1"):
            await task
        assert market.journal.states() == [EntryState.PAYING]
        market.net.pay(onchain(order)["refund_onchain_address"], Sat(900))
        steps: list[Progress] = []
        again = asyncio.create_task(extend(market, steps))
        await until(lambda: any(step.step is Step.REFUNDING for step in steps))
        market.net.mine()
        with pytest.raises(OrderFailed, match=r"900 of the 1000 sat came back.*100 sat, which"):
            await again
        assert market.journal.states() == [EntryState.FAILED]


async def test_what_an_address_got_before_is_no_refund() -> None:
    """A refund spends the payment, so it is in no older block; a given address of our own may have been used before."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        address = await market.net.clients[0].wallet.new_address()
        market.net.pay(address, Sat(777))
        market.net.mine(2)
        task = asyncio.create_task(extend(market, refund_address=address))
        await until(lambda: published(market))
        market.net.mine()
        market.net.pay(address, Sat(900))
        market.net.mine()
        market.lsp.orders["order-1"]["order_state"] = "FAILED"
        with pytest.raises(OrderFailed, match="; 900 of the 1000 sat came back"):
            await task


async def test_a_transaction_that_the_node_does_not_take() -> None:
    """The reason is told once, and it is tried again until the node takes it."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        node_id = market.net.clients[0].node_id
        market.net.world.faults.fail_next(node_id, "wallet.publish", error=Refused("mempool full"), times=9)
        steps: list[Progress] = []
        task = asyncio.create_task(extend(market, steps))
        await until(lambda: published(market))
        assert len([step for step in steps if "mempool full" in step.text]) == 1
        await complete(market)
        assert (await task).delivered


async def test_given_up_before_the_payment_confirmed() -> None:
    """FAILED while the payment waits for a block: what arrives late must come back as well, so it is waited for."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        task = asyncio.create_task(extend(market, patience=SHORT))
        await until(lambda: published(market))
        order = market.lsp.orders["order-1"]
        order["order_state"] = "FAILED"
        for _ in range(8):
            await market.net.clock.sleep(100)
        assert not task.done()
        market.net.mine()
        market.net.pay(onchain(order)["refund_onchain_address"], Sat(900))
        market.net.mine()
        with pytest.raises(OrderFailed, match="came back"):
            await task


async def test_a_payment_over_lightning_in_flight_is_not_paid_again_on_chain() -> None:
    """The wish is the same, whatever pays: an earlier run's payment over Lightning is followed."""
    async with shop() as market:
        market.lsp.takes_onchain = True
        market.lsp.on_held = "keep"
        async with market.client() as lsp:
            task = asyncio.create_task(lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT))
            await until(lambda: held(market))
            task.cancel()
        again = asyncio.create_task(extend(market))
        await market.net.clock.sleep(100)
        await market.lsp.deliver("order-1")
        await market.lsp.take("order-1")
        extended = await again
        assert extended.payment is not None
        assert extended.transaction is None
        assert market.orders_asked() == 1


async def held(market: Shop) -> bool:
    return any(order["payment"]["bolt11"]["state"] == "HOLD" for order in market.lsp.orders.values())
