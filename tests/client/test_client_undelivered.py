"""Paid, and what was bought is not there: the same call looks again, and pays nothing more unless it is told to."""

from __future__ import annotations

from typing import Any

import pytest

from lsps.client.errors import NotDelivered
from lsps.store.journal import EntryState
from lsps.units import Sat
from tests.client.fake_lsp import FEE, Shop, shop
from tests.client.test_client_journal import extend_again


async def not_delivered(market: Shop, **terms: Any) -> None:
    with pytest.raises(NotDelivered):
        await extend_again(market, **terms)


async def test_the_same_call_looks_again() -> None:
    """COMPLETED and not seen: no second order is made; once it is seen the order is done, and the next call is a new
    wish."""
    async with shop() as market:
        market.lsp.lists_extensions = False
        await not_delivered(market)
        await not_delivered(market)
        assert market.orders_asked() == 1
        assert await market.spent() == Sat(FEE).to_msat()
        market.lsp.lists_extensions = True
        await market.lsp.deliver("order-1")
        again, _ = await extend_again(market)
        assert (again.resumed, again.delivered) == (True, True)
        assert market.journal.states() == [EntryState.COMPLETED]
        another, _ = await extend_again(market)
        assert not another.resumed


async def test_what_was_taken_and_failed_is_not_paid_again() -> None:
    """FAILED, and the payment is gone: an LSP does not get another one because a script tries again."""
    async with shop() as market:
        market.lsp.on_held = "settle and fail"
        await not_delivered(market)
        await not_delivered(market)
        assert market.orders_asked() == 1
        assert await market.spent() == Sat(FEE).to_msat()


async def test_new_orders_in_spite_of_it() -> None:
    """`new` makes another order, and the lost one is no more in the way."""
    async with shop() as market:
        market.lsp.on_held = "settle and fail"
        await not_delivered(market)
        market.lsp.on_held = "deliver"
        again, _ = await extend_again(market, new=True)
        assert again.order.order_id == "order-2"
        third, _ = await extend_again(market)
        assert third.order.order_id == "order-3"
        assert market.journal.states() == [EntryState.NOT_DELIVERED, EntryState.COMPLETED, EntryState.COMPLETED]


async def test_what_was_not_paid_is_ordered_again() -> None:
    """COMPLETED for nothing and not there: no money is at stake, so the same call orders again."""
    async with shop() as market:
        market.lsp.lists_extensions = False
        market.lsp.change["lsps7.create_order"] = lambda order: order | {"payment": {}, "order_state": "COMPLETED"}
        market.lsp.change["lsps7.get_order"] = lambda order: order | {"payment": {}, "order_state": "COMPLETED"}
        await not_delivered(market)
        await not_delivered(market)
        assert market.orders_asked() == 2
