"""The service as a whole: start, stop, and what no other file of tests is about."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from msgspec.structs import replace as options_with

from lsps.node.contract import NodeInfo, NodeUnreachable, NotSupported
from lsps.orders.model import State
from lsps.service.offer import ChannelOffer, ExtensionOffer, Offer
from lsps.service.service import Service
from lsps.service.startup import CannotDeliver, check_offer
from lsps.units import BlockHeight, Network, NodeId, OrderId, Sat
from tests.service.conftest import MakeWorld
from tests.service.peers import CHANNEL_ORDER, Peer, quiet, until
from tests.service.world import OFFER, OPTIONS, LspWorld


async def test_a_service_whose_node_is_away_does_not_start(make_world: MakeWorld) -> None:
    """`running` raises what keeps the service from starting."""
    async with make_world(channels=False) as world:
        await world.kill()
        world.net.stop(world.lsp)
        store = world._open_store()
        service = Service(world.net.another(world.lsp), store, OFFER, clock=world.clock)
        with pytest.raises(NodeUnreachable):
            async with service.running():
                raise AssertionError("it runs")
        await store.close()


async def test_a_node_that_lacks_what_is_offered_is_refused(world: LspWorld) -> None:
    """A node without hold invoices cannot be an LSP's; the error says what is missing."""
    node = world.net.another(world.lsp)
    node.invoices = None  # type: ignore[assignment]
    with pytest.raises(NotSupported, match="hold invoices"):
        Service(node, world.store, OFFER, clock=world.clock)


async def test_an_offer_beyond_the_node_stops_the_start(make_world: MakeWorld) -> None:
    """A service of one's own is checked like `lsps serve`: what the node cannot deliver is not offered."""
    async with make_world(channels=False) as world:
        await world.kill()
        world.offer = with_options(max_channel_balance_sat=Sat(20_000_000))
        with pytest.raises(CannotDeliver, match="large"):
            await world.start()


async def test_a_stopped_service_answers_nothing_and_the_next_one_does(world: LspWorld, alice: Peer) -> None:
    """While no service runs nobody answers; requests of that time are lost, and clients ask again."""
    await world.kill()
    request_id = await alice.send_request("lsps0.list_protocols")
    await quiet()
    await world.start()
    await quiet()
    assert alice.replies[request_id] == []
    assert await alice.call("lsps0.list_protocols")


async def test_an_invoice_that_is_too_long_is_not_sold(
    world: LspWorld, alice: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bLIP-51 §3.1: an invoice MUST be at most 2048 characters long; one with too many hints is error 1."""

    async def add_hold(*_: object) -> str:
        return "lnbcrt" + "1" * 2043

    monkeypatch.setattr(world.node.invoices, "add_hold", add_hold)
    assert (await alice.refused("lsps1.create_order", CHANNEL_ORDER))["code"] == 1
    assert await world.store.newest_orders(None, 5) == []


async def test_a_tip_that_goes_down_while_orders_are_due_does_not_spin(
    world: LspWorld, alice: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Orders due at a height that was left again are not asked for without end; they wait for the next tip."""
    order = await alice.order_channel()
    world.net.world.take_funds(world.lsp.node_id)
    alice.pay(order)
    await quiet()
    bolt11 = (await world.stored(order)).bolt11
    assert bolt11 is not None
    assert bolt11.earliest_expiry is not None
    due, real = BlockHeight(int(bolt11.earliest_expiry) - 39), world.store.orders_due_at_height

    async def slowly(tip: BlockHeight, limit: int) -> Sequence[OrderId]:
        await asyncio.sleep(0)
        return await real(tip, limit)

    monkeypatch.setattr(world.store, "orders_due_at_height", slowly)
    engine = world.service._engine
    both = asyncio.gather(engine.on_tip(due), engine.on_tip(world.net.world.chain.height))
    await until(both.done)
    assert (await world.stored(order)).state is State.PAID
    await engine.on_tip(due)
    assert (await world.stored(order)).state is State.CLOSING


# --- an offer that the node cannot deliver --------------------------------------------------------------------------

PLAIN = frozenset({1, 9, 729})
ZERO_CONF = PLAIN | {47, 51}
LARGE = ZERO_CONF | {19}


def with_options(**changes: Any) -> Offer:
    return Offer(lsps1=ChannelOffer(options_with(OPTIONS, **changes)))


@pytest.mark.parametrize(
    ("offer", "features", "key"),
    [
        (Offer(), LARGE, "lsps1"),
        (with_options(max_channel_balance_sat=Sat(16_777_216)), ZERO_CONF, "lsps1.max_channel_balance_sat"),
        (with_options(), PLAIN, "lsps1.min_required_channel_confirmations"),
        (with_options(), PLAIN | {47}, "lsps1.min_required_channel_confirmations"),
        (with_options(supports_zero_channel_reserve=True), LARGE, "lsps1.supports_zero_channel_reserve"),
        (with_options(max_channel_expiry_blocks=5_256_001), LARGE, "lsps1.max_channel_expiry_blocks"),
        (Offer(lsps7=ExtensionOffer(5_256_001)), LARGE, "lsps7.max_channel_extension_expiry_blocks"),
    ],
)
def test_what_the_node_cannot_deliver_stops_the_start(offer: Offer, features: frozenset[int], key: str) -> None:
    """An offer beyond the node's features is refused with the key of lsps.toml, before a customer pays for it."""
    with pytest.raises(CannotDeliver, match=key) as refused:
        check_offer(offer, info(features), sees_fees=False)
    assert refused.value.key == key


@pytest.mark.parametrize(
    ("offer", "features"),
    [
        (with_options(), ZERO_CONF),
        (with_options(max_channel_balance_sat=Sat(16_777_215)), ZERO_CONF),
        (with_options(max_channel_balance_sat=Sat(16_777_216)), LARGE),
        (with_options(min_required_channel_confirmations=1), PLAIN),
        (Offer(lsps7=ExtensionOffer()), PLAIN),
        (Offer(lsps7=ExtensionOffer(5_256_000)), PLAIN),
    ],
)
def test_what_the_node_can_deliver_is_fine(offer: Offer, features: frozenset[int]) -> None:
    """An offer within the node's features passes."""
    check_offer(offer, info(features), sees_fees=False)


def info(features: frozenset[int]) -> NodeInfo:
    return NodeInfo(NodeId("02" + "11" * 32), Network.REGTEST, "lsp", BlockHeight(600), features, synced=True)
