"""LSPS1 as a service: what cannot be sold now is refused before it is paid for."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace as options_with

from lsps.node.contract import LARGE_CHANNEL_FEATURES
from lsps.testing import Policy
from lsps.units import Sat
from tests.service.conftest import MakeWorld
from tests.service.peers import Peer
from tests.service.test_lsps1 import offering, refused
from tests.service.world import OPTIONS, LspWorld


async def test_no_funds_is_error_1_and_orders_nothing(world: LspWorld, alice: Peer) -> None:
    """Funds are checked at creation: none, or only the reserve's, is error 1 and nothing is stored."""
    world.net.world.take_funds(world.lsp.node_id)
    error = await refused(alice)
    assert error["code"] == 1
    assert "liquidity" in error["message"]
    assert await world.store.newest_orders(None, 10) == []


async def test_the_reserve_is_never_sold(make_world: MakeWorld) -> None:
    """What the operator keeps in reserve is not there to be sold."""
    async with make_world(offer=offering(reserve=Sat(199_500_000)), channels=False) as world:
        assert (await refused(world.peers[0]))["code"] == 1
        small = await world.peers[0].order_channel(lsp_balance_sat="200000")
    assert small["order_state"] == "CREATED"


async def test_fees_above_the_operators_limit_are_error_1(make_world: MakeWorld) -> None:
    """Above max_open_sat_per_vbyte nothing is sold; at it, it is."""
    async with make_world(offer=offering(max_open_sat_per_vbyte=4), channels=False) as world:
        assert (await world.peers[0].order_channel())["order_state"] == "CREATED"
        world.net.world.chain.sat_per_kw = 1001
        error = await refused(world.peers[0])
    assert error["code"] == 1
    assert "fees" in error["message"]


@pytest.mark.parametrize("call", ["invoices.add_hold", "wallet.feerate", "wallet.inputs"])
async def test_a_node_that_is_away_is_error_1(world: LspWorld, alice: Peer, call: str) -> None:
    """create_order with the node away: error 1 "try again", and nothing is stored."""
    world.faults.fail_next(world.lsp.node_id, call)
    error = await refused(alice)
    assert (error["code"], "try again" in error["message"]) == (1, True)
    assert await world.store.newest_orders(None, 10) == []
    assert (await alice.order_channel())["order_state"] == "CREATED"


@pytest.mark.parametrize("call", ["invoices.add_hold", "wallet.feerate", "wallet.inputs"])
async def test_a_node_slower_than_4_seconds_is_error_1(world: LspWorld, alice: Peer, call: str) -> None:
    """create_order waits 4 seconds for the node; then error 1 "try again", and nothing is stored."""
    world.faults.hang_next(world.lsp.node_id, call)
    asked = asyncio.create_task(refused(alice))
    await world.pass_time(3.9)
    assert not asked.done()
    await world.pass_time(0.2)
    assert (await asked)["code"] == 1
    assert await world.store.newest_orders(None, 10) == []


async def test_a_large_channel_needs_the_peers_feature(make_world: MakeWorld) -> None:
    """BOLT 2: above 16,777,215 sat both need large channels; a connected peer without it is told so before it pays."""
    options = options_with(
        OPTIONS, max_initial_lsp_balance_sat=Sat(50_000_000), max_channel_balance_sat=Sat(50_000_000)
    )
    large = {"lsp_balance_sat": "16777215", "client_balance_sat": "1"}
    offer, policy = offering(options=options), Policy(large_channels=True)
    async with make_world(offer=offer, policy=policy, channels=False) as world:
        world.net.world.nodes[world.peers[0].node.node_id].features -= LARGE_CHANNEL_FEATURES
        error = await refused(world.peers[0], **large)
        assert (error["code"], error["data"]["property"]) == (100, "max_channel_balance_sat")
        assert await world.peers[0].order_channel(**large | {"client_balance_sat": "0"})


async def test_a_large_channel_is_sold_to_a_peer_that_takes_it(make_world: MakeWorld) -> None:
    """BOLT 2: with large channels on both sides more than 16,777,215 sat are fine."""
    options = options_with(
        OPTIONS, max_initial_lsp_balance_sat=Sat(50_000_000), max_channel_balance_sat=Sat(50_000_000)
    )
    offer, policy = offering(options=options), Policy(large_channels=True)
    async with make_world(offer=offer, policy=policy, channels=False) as world:
        order = await world.peers[0].order_channel(lsp_balance_sat="20000000")
    assert order["order_state"] == "CREATED"
