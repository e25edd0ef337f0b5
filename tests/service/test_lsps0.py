"""LSPS0 as a service: which protocols are spoken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lsps.service.offer import Offer
from tests.service.conftest import MakeWorld
from tests.service.peers import Peer
from tests.service.world import OFFER, LspWorld


@pytest.mark.parametrize(
    ("offer", "protocols"),
    [(OFFER, [1, 7]), (replace(OFFER, lsps7=None), [1]), (replace(OFFER, lsps1=None), [7])],
    ids=["both", "channels", "extensions"],
)
async def test_the_protocols_on_offer_are_listed(make_world: MakeWorld, offer: Offer, protocols: list[int]) -> None:
    """bLIP-50, Support Query: `protocols` are the LSPS numbers on offer, and 0 MUST NOT be among them."""
    async with make_world(offer=offer, channels=False) as world:
        assert await world.peers[0].call("lsps0.list_protocols") == {"protocols": protocols}


async def test_methods_of_a_protocol_not_offered_do_not_exist(make_world: MakeWorld) -> None:
    """bLIP-50, Versioning: a method that the LSP does not know is answered with -32601."""
    async with make_world(offer=replace(OFFER, lsps1=None), channels=False) as world:
        error = await world.peers[0].refused("lsps1.get_info")
    assert error["code"] == -32601


async def test_list_protocols_takes_no_parameters(world: LspWorld, alice: Peer) -> None:
    """bLIP-50: an unrecognized parameter of a known method is answered with -32602 and named in `unrecognized`."""
    error = await alice.refused("lsps0.list_protocols", {"verbose": True})
    assert (error["code"], error["data"]["unrecognized"]) == (-32602, ["verbose"])
