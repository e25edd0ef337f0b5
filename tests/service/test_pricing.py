"""What orders cost: the operator's table, the operator's function, a token's discount."""

from __future__ import annotations

import asyncio

import pytest

from lsps.orders.model import PaymentMethod, Service
from lsps.service.pricing import PriceFunction, PriceRequest, PriceTable, PriceUnavailable, ask_price, discounted
from lsps.testing import ManualClock
from lsps.units import NodeId, Sat
from tests.service.conftest import MakeWorld
from tests.service.peers import CHANNEL_ORDER, quiet

PEER = NodeId("02" + "11" * 32)


def request(size: int, blocks: int, sat_per_kw: int | None, service: Service = Service.LSPS1) -> PriceRequest:
    return PriceRequest(service, Sat(size), blocks, PaymentMethod.BOLT11, sat_per_kw, PEER)


TABLE = PriceTable(Sat(2_000), 30_000, Sat(500), 10_000)


@pytest.mark.parametrize(
    ("asked", "price"),
    [
        (request(1_000_000, 52_560, 0), 2_000 + 30_000),
        (request(1_000_000, 52_560, 1_000), 2_000 + 30_000 + 900),
        (request(1_000_000, 52_560, 253), 2_000 + 30_000 + 228),
        (request(1, 1, 0), 2_000 + 1),
        (request(0, 0, 0), 2_000),
        (request(1_000_000, 52_560, None, Service.LSPS7), 500 + 10_000),
        (request(1_000_000, 26_280, None, Service.LSPS7), 500 + 5_000),
        (request(21_000_000 * 10**8, 65_535, None, Service.LSPS7), 500 + 26_184_075_342_466),
    ],
)
def test_the_table(asked: PriceRequest, price: int) -> None:
    """base + rate x size x blocks / 52,560 / 1,000,000, and the on-chain fee of an opening; each rounds up."""
    assert TABLE(asked) == Sat(price)


@pytest.mark.parametrize(
    ("price", "percent", "left"),
    [(1000, 0, 1000), (1000, 100, 0), (1000, 50, 500), (1001, 50, 501), (1, 99, 1), (0, 50, 0)],
)
def test_a_discount_rounds_up(price: int, percent: int, left: int) -> None:
    """What is left of a price is a whole sat, in the operator's favour; 100 percent is free."""
    assert discounted(Sat(price), percent) == Sat(left)


async def slowly(asked: PriceRequest) -> Sat:
    await asyncio.Event().wait()
    return Sat(1)


async def at_once(asked: PriceRequest) -> Sat:
    return Sat(asked.blocks)


def raising(asked: PriceRequest) -> Sat:
    raise RuntimeError("a secret of the operator")


async def raising_later(asked: PriceRequest) -> Sat:
    raise RuntimeError("a secret of the operator")


def an_int(asked: PriceRequest) -> Sat:
    return 5  # type: ignore[return-value]


def nothing(asked: PriceRequest) -> Sat:
    return None  # type: ignore[return-value]


async def test_a_function_may_be_sync_or_async() -> None:
    """The operator's function gives Sat, at once or awaited."""
    clock = ManualClock()
    assert await ask_price(lambda asked: Sat(asked.blocks), request(1, 7, None), clock, 1.0) == Sat(7)
    assert await ask_price(at_once, request(1, 8, None), clock, 1.0) == Sat(8)


@pytest.mark.parametrize("function", [raising, raising_later, an_int, nothing])
async def test_a_function_that_fails_is_no_price(function: PriceFunction) -> None:
    """Raising, or giving anything but Sat: PriceUnavailable, without the function's own words."""
    with pytest.raises(PriceUnavailable) as failure:
        await ask_price(function, request(1, 1, None), ManualClock(), 1.0)
    assert "secret" not in str(failure.value)


@pytest.mark.parametrize("function", [raising, raising_later, an_int, slowly])
async def test_no_price_is_error_1_and_orders_nothing(make_world: MakeWorld, function: PriceFunction) -> None:
    """A price function that fails, or takes longer than a second: error 1 "try again", and nothing is stored."""
    async with make_world(price=function) as world:
        (alice,) = world.peers
        request_id = await alice.send_request("lsps1.create_order", CHANNEL_ORDER)
        await quiet()
        await world.pass_time(1.1)
        (reply,) = alice.replies[request_id]
        assert (reply["error"]["code"], "try again" in reply["error"]["message"]) == (1, True)
        assert "secret" not in str(reply)
        assert await world.store.newest_orders(None, 5) == []


async def test_the_function_is_told_what_is_ordered(make_world: MakeWorld) -> None:
    """service, size (LSP balance or capacity), blocks, method, feerate and who asks; its answer is the fee."""
    asked: list[PriceRequest] = []

    def price(what: PriceRequest) -> Sat:
        asked.append(what)
        return Sat(4321)

    async with make_world(price=price) as world:
        (alice,) = world.peers
        channel, extension = await alice.order_channel(), await alice.order_extension(77)
        peer = alice.node.node_id
    assert asked == [
        PriceRequest(Service.LSPS1, Sat(1_000_000), 1000, PaymentMethod.BOLT11, 1000, peer),
        PriceRequest(Service.LSPS7, Sat(3_000_000), 77, PaymentMethod.BOLT11, None, peer),
    ]
    assert [order["payment"]["bolt11"]["fee_total_sat"] for order in (channel, extension)] == ["4321", "4321"]


async def test_a_price_of_nothing_is_a_free_order(make_world: MakeWorld) -> None:
    """A function that gives Sat(0) gives an extension away."""
    async with make_world(price=lambda asked: Sat(0)) as world:
        order = await world.peers[0].order_extension()
        assert (order["order_state"], order["payment"]) == ("COMPLETED", {})
