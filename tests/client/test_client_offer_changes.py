"""An order that is paid is followed to its end, whatever the LSP sells or lists by then; and never made again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lsps.client.errors import MethodNotOffered, OptionMismatch, OrderFailed
from lsps.node.contract import Channel
from lsps.node.simulated.clock import settle
from lsps.store.journal import EntryState
from lsps.units import Sat
from tests.client.fake_lsp import FEE, Shop, shop
from tests.client.fakes import patch, until
from tests.client.test_client_extend import BLOCKS, LIMIT, scid
from tests.client.test_client_journal import Killed, dies_at, extend_again, is_held, run_until_killed

SIZE = Sat(200_000)
NOT_OFFERED = {"error": {"code": -32601, "message": "Method not found"}}


async def buy(market: Shop, place: str = "", **terms: Any) -> Any:
    async with market.client(failpoint=dies_at(place)) as lsp:
        return await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=LIMIT, **terms)


async def bought_until_killed(market: Shop, place: str) -> None:
    with pytest.raises(Killed):
        await buy(market, place)
    await settle()


def asks_for_more_confirmations(market: Shop) -> None:
    market.lsp.options["min_required_channel_confirmations"] = 3


def funds_later(market: Shop) -> None:
    market.lsp.options["min_funding_confirms_within_blocks"] = 12


def sells_less(market: Shop) -> None:
    market.lsp.options["max_initial_lsp_balance_sat"] = "100000"


def breaks_its_options(market: Shop) -> None:
    market.lsp.options["max_channel_expiry_blocks"] = 0


def sells_no_more(market: Shop) -> None:
    market.lsp.instead["lsps1.get_info"] = lambda _: NOT_OFFERED


CHANGES = [asks_for_more_confirmations, funds_later, sells_less, breaks_its_options, sells_no_more]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("place", ["client_paid", "client_completed"])
async def test_a_paid_channel_order_outlives_the_offer(change: Callable[[Shop], None], place: str) -> None:
    """What get_info says is for the next order: the same call finds the one that is paid, and pays nothing more."""
    async with shop() as market:
        await bought_until_killed(market, place)
        change(market)
        again = await buy(market)
        assert again.resumed
        assert again.channel is not None
        assert market.orders_asked() == 1
        assert await market.spent() == Sat(FEE).to_msat()
        assert market.journal.states() == [EntryState.COMPLETED]


async def test_an_unpaid_channel_order_does_not_outlive_the_offer() -> None:
    """It is not what would be ordered now: dropped, and ordered as the LSP sells it today."""
    async with shop() as market:
        await bought_until_killed(market, "client_ordered")
        asks_for_more_confirmations(market)
        again = await buy(market)
        assert not again.resumed
        assert again.order.required_channel_confirmations == 3
        assert market.journal.states() == [EntryState.ABANDONED, EntryState.COMPLETED]
        assert await market.spent() == Sat(FEE).to_msat()


async def test_naming_what_the_lsp_chose_is_the_same_wish() -> None:
    """What the payer leaves open goes with any order that was made of it."""
    async with shop() as market:
        await bought_until_killed(market, "client_paid")
        again = await buy(market, required_confirmations=1, funding_confirms_within_blocks=6)
        assert again.resumed
        assert market.orders_asked() == 1


async def test_asking_for_something_else_is_another_wish() -> None:
    """Confirmations that were asked for must be those of the order."""
    async with shop() as market:
        await bought_until_killed(market, "client_paid")
        again = await buy(market, required_confirmations=2)
        assert not again.resumed
        assert market.orders_asked() == 2


def adds_little(market: Shop) -> None:
    market.lsp.listed[0]["max_channel_extension_expiry_blocks"] = 1


def lists_it_no_more(market: Shop) -> None:
    market.lsp.listed.clear()


def extends_no_more(market: Shop) -> None:
    """But for the list after the delivery."""
    asked = []

    def refuse_once(_: Any) -> Any:
        asked.append(1)
        return NOT_OFFERED if len(asked) == 1 else {"result": {"extendable_channels": market.lsp.listed}}

    market.lsp.instead["lsps7.get_extendable_channels"] = refuse_once


@pytest.mark.parametrize("change", [adds_little, lists_it_no_more, extends_no_more])
@pytest.mark.parametrize("place", ["client_paid", "client_completed"])
async def test_a_paid_extension_outlives_the_list(change: Callable[[Shop], None], place: str) -> None:
    """How much may be added is for the next order: the same call finds the one that is paid, and pays nothing more."""
    async with shop() as market:
        await run_until_killed(market, place)
        change(market)
        again, _ = await extend_again(market)
        assert again.resumed
        assert again.delivered
        assert market.orders_asked() == 1
        assert market.journal.states() == [EntryState.COMPLETED]


async def test_an_unpaid_extension_that_is_no_longer_sold_is_not_paid() -> None:
    """Before paying, the list counts as ever."""
    async with shop() as market:
        await run_until_killed(market, "client_ordered")
        adds_little(market)
        with pytest.raises(OptionMismatch):
            await extend_again(market)
        market.lsp.instead["lsps7.get_extendable_channels"] = lambda _: NOT_OFFERED
        with pytest.raises(MethodNotOffered):
            await extend_again(market)
        assert await market.sent() == []


async def test_a_paid_extension_outlives_the_channel() -> None:
    """Closed meanwhile, it is in no list, neither ours nor the LSP's: the order is followed to the LSP's last word."""
    async with shop() as market:
        market.lsp.on_held = "keep"
        name = scid(market)
        async with market.client() as lsp:
            task = asyncio.create_task(lsp.lsps7.extend(name, blocks=BLOCKS, max_fee=LIMIT))
            await until(lambda: is_held(market))
            task.cancel()

        async def no_channels() -> list[Channel]:
            return []

        market.lsp.listed.clear()
        patch(market.net.clients[0].channels, "list", no_channels)
        async with market.client() as lsp:
            again = asyncio.create_task(lsp.lsps7.extend(name, blocks=BLOCKS, max_fee=LIMIT))
            await market.net.clock.sleep(10)
            await market.lsp.give_back("order-1")
            with pytest.raises(OrderFailed):
                await again
        assert market.orders_asked() == 1
        assert market.journal.states() == [EntryState.FAILED]
