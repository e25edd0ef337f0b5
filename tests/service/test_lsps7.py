"""LSPS7 as a service: the list of extendable channels, orders, refusals (bLIP-57)."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Any

import pytest

from lsps.orders.leases import recorded
from lsps.service.offer import ExtensionOffer, LeaseToRecord, Limits, Offer, Token, Unleased
from lsps.store.orders import Change
from lsps.units import BlockHeight, Sat
from tests.service.conftest import MakeWorld
from tests.service.peers import Peer, quiet, until
from tests.service.world import MAX_EXTENSION, OFFER, LspWorld, scid_of


def unleased(which: Unleased) -> Offer:
    return replace(OFFER, lsps7=ExtensionOffer(MAX_EXTENSION, which))


async def refused(peer: Peer, scid: object, blocks: object = 144, **more: Any) -> Any:
    params = {"short_channel_id": str(scid), "channel_extension_expiry_blocks": blocks, **more}
    return await peer.refused("lsps7.create_order", params)


# --- the list -------------------------------------------------------------------------------------------------------


async def test_a_leased_channel_is_listed_with_what_is_left(world: LspWorld, alice: Peer) -> None:
    """bLIP-57 §3: original order, extensions, confirmed SCID, the block it expires at, and the blocks that may be
    added: the configured maximum less what is left."""
    order = await world.sell_channel(alice)
    (channel,) = await world.lsp_channels()
    listed = next(entry for entry in await alice.extendable() if "original_order" in entry)
    expires = world.tip + 1000
    assert listed == {
        "original_order": {"id": order["order_id"], "service": "LSPS1"},
        "extension_order_ids": [],
        "short_channel_id": str(channel.scid),
        "max_channel_extension_expiry_blocks": MAX_EXTENSION - 1000,
        "expiration_block": expires,
    }
    world.mine(10)
    await quiet(20)
    listed = next(entry for entry in await alice.extendable() if "original_order" in entry)
    assert (listed["max_channel_extension_expiry_blocks"], listed["expiration_block"]) == (MAX_EXTENSION - 990, expires)


@pytest.mark.parametrize(
    ("which", "theirs", "ours"),
    [(Unleased.NONE, False, False), (Unleased.PEER_OPENED, True, False), (Unleased.ALL, True, True)],
)
async def test_unleased_channels_are_listed_as_the_operator_chose(
    make_world: MakeWorld, which: Unleased, theirs: bool, ours: bool
) -> None:
    """bLIP-57 §3: a channel without a lease has expiration_block 0; whether it is listed is the operator's choice, and
    a channel that is not listed is not extended either."""
    async with make_world(offer=unleased(which)) as world:
        (alice,) = world.peers
        by_alice = (await world.lsp.channels.list())[0]
        await world.net.open_channel(world.lsp, alice.node, Sat(1_000_000))
        await quiet(20)
        (by_lsp,) = await world.lsp_channels()
        listed = {entry["short_channel_id"]: entry for entry in await alice.extendable()}
        expected = {str(c.scid) for c, there in ((by_alice, theirs), (by_lsp, ours)) if there}
        assert set(listed) == expected
        for entry in listed.values():
            assert (entry["expiration_block"], entry["max_channel_extension_expiry_blocks"]) == (0, MAX_EXTENSION)
            assert "original_order" not in entry
        for channel in (by_alice, by_lsp):
            if str(channel.scid) not in expected:
                assert (await refused(alice, channel.scid))["code"] == 100


async def test_only_the_askers_own_open_channels_are_listed(make_world: MakeWorld) -> None:
    """bLIP-57 §1: the list is of channels that this client may extend: no other's, none pending, none closing."""
    async with make_world(clients=2) as world:
        alice, bob = world.peers
        (channel,) = [c for c in await world.lsp.channels.list() if c.peer == alice.node.node_id]
        order = await alice.order_channel()
        await until(alice.pay(order).done)
        assert [entry["short_channel_id"] for entry in await alice.extendable()] == [str(channel.scid)]
        assert len(await bob.extendable()) == 1
        world.net.world.graph.close(channel.channel_id)
        await quiet(20)
        assert await alice.extendable() == []


async def test_a_lapsed_lease_is_listed_and_extended_from_the_tip(world: LspWorld, alice: Peer) -> None:
    """A lease that has run out keeps its past block in the list, may be extended by the whole maximum, and the order
    counts from the tip, so that channel.expiration_block + blocks is new_channel_expiry_block (bLIP-57 §2)."""
    await world.sell_channel(alice, channel_expiry_blocks=3)
    (channel,) = await world.lsp_channels()
    world.mine(20)
    await quiet(50)
    listed = next(entry for entry in await alice.extendable() if entry["short_channel_id"] == str(channel.scid))
    assert (listed["expiration_block"], listed["max_channel_extension_expiry_blocks"]) == (
        world.tip - 17,
        MAX_EXTENSION,
    )
    order = await alice.order_extension(144, channel.scid)
    assert (order["channel"]["expiration_block"], order["new_channel_expiry_block"]) == (world.tip, world.tip + 144)


async def test_a_channel_with_nothing_left_to_add_is_not_listed(world: LspWorld, alice: Peer) -> None:
    """bLIP-57 §3: the maximum is never negative, and channels with less than 1 are left out; ordering is 100."""
    scid = (await alice.extendable())[0]["short_channel_id"]
    await until(alice.pay(await alice.order_extension(MAX_EXTENSION, scid)).done)
    assert await alice.extendable() == []
    error = await refused(alice, scid, 1)
    assert (error["code"], error["data"]["property"]) == (100, "max_channel_extension_expiry_blocks")


async def test_only_the_newest_ten_extensions_are_told(world: LspWorld, alice: Peer) -> None:
    """extension_order_ids are the newest ten, in the list and in an order, so that no reply grows with history."""
    ids = []
    for _ in range(12):
        order = await alice.order_extension(1)
        await until(alice.pay(order).done)
        ids.append(order["order_id"])
    assert (await alice.extendable())[0]["extension_order_ids"] == ids[-10:]
    assert (await alice.order_extension(1))["channel"]["extension_order_ids"] == ids[-10:]


async def test_a_list_too_long_for_a_message_keeps_the_soonest_expiring(make_world: MakeWorld) -> None:
    """A list that does not fit goes without the optional fields, then without the channels that expire last or have no
    lease; those can still be ordered."""
    offer = replace(OFFER, limits=Limits(reply_bytes=230))
    async with make_world(offer=offer) as world:
        (alice,) = world.peers
        leases = {}
        for blocks in (500, 300, 400):
            channel = await world.open_channel(alice, 200_000, 50_000)
            lease = recorded(channel.channel_id, world.lsp.node_id, channel.peer, BlockHeight(world.tip + blocks))
            await world.store.commit(Change(lease=lease), world.clock.now())
            leases[blocks] = str(scid_of(channel))
        listed = await alice.extendable()
        assert [entry["short_channel_id"] for entry in listed] == [leases[300], leases[400]]
        assert all("extension_order_ids" not in entry for entry in listed)
        assert (await alice.order_extension(1, leases[500]))["order_state"] == "CREATED"


# --- create_order ---------------------------------------------------------------------------------------------------


async def test_an_order_says_what_it_will_do(world: LspWorld, alice: Peer) -> None:
    """bLIP-57 §2: blocks mirrored, the new expiry their sum with channel.expiration_block, fee and total equal, token
    "" and a UUIDv4 as id; get_order tells the same."""
    scid = (await alice.extendable())[0]["short_channel_id"]
    order = await alice.order_extension(144, scid, token="", refund_onchain_address="")
    assert (order["channel_extension_expiry_blocks"], order["new_channel_expiry_block"]) == (144, world.tip + 144)
    assert (order["token"], order["order_state"]) == ("", "CREATED")
    assert order["channel"] == {
        "extension_order_ids": [],
        "short_channel_id": scid,
        "max_channel_extension_expiry_blocks": MAX_EXTENSION,
        "expiration_block": world.tip,
    }
    assert set(order["payment"]) == {"bolt11"}
    payment = order["payment"]["bolt11"]
    price = 500 + -(-30_000 * 3_000_000 * 144 // (52_560 * 1_000_000))
    assert int(payment["fee_total_sat"]) == int(payment["order_total_sat"]) == price
    assert uuid.UUID(order["order_id"]).version == 4
    assert await alice.order(order) == order


async def test_the_maximum_holds_to_the_block(world: LspWorld, alice: Peer) -> None:
    """bLIP-57 §2: at the maximum an order is taken; one block above it is 100, max_channel_extension_expiry_blocks."""
    await world.sell_channel(alice)
    (channel,) = await world.lsp_channels()
    listed = next(entry for entry in await alice.extendable() if entry["short_channel_id"] == str(channel.scid))
    most = listed["max_channel_extension_expiry_blocks"]
    error = await refused(alice, channel.scid, most + 1)
    assert (error["code"], error["data"]["property"]) == (100, "max_channel_extension_expiry_blocks")
    assert (await alice.order_extension(most, channel.scid))["order_state"] == "CREATED"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("short_channel_id", "1x2"),
        ("short_channel_id", 601),
        ("channel_extension_expiry_blocks", 0),
        ("channel_extension_expiry_blocks", "144"),
        ("channel_extension_expiry_blocks", 1.5),
        ("channel_extension_expiry_blocks", 4_294_967_296),
        ("token", []),
        ("refund_onchain_address", "1BoatSLRHtKNngkdXEeobR76b53LETtpyT"),
    ],
)
async def test_a_wrong_field_is_32602_with_its_name(alice: Peer, name: str, value: object) -> None:
    """bLIP-57 §2: an invalid request field MUST be refused with -32602 and that field as property."""
    params = {"short_channel_id": "1x1x1", "channel_extension_expiry_blocks": 144, name: value}
    error = await alice.refused("lsps7.create_order", params)
    assert (error["code"], error["data"]["property"], error["data"]["unrecognized"]) == (-32602, name, [])


async def test_a_free_extension_is_complete_in_the_first_reply(make_world: MakeWorld) -> None:
    """order_total_sat 0: payment is {}, the lease extended in the order's own commit, COMPLETED at once."""
    offer = replace(OFFER, tokens=(Token("FREE", discount_percent=100),))
    async with make_world(offer=offer) as world:
        (alice,) = world.peers
        order = await alice.order_extension(144, token="FREE")
        assert (order["order_state"], order["payment"], order["token"]) == ("COMPLETED", {}, "FREE")
        assert (await alice.extendable())[0]["expiration_block"] == order["new_channel_expiry_block"]
        assert await alice.order(order) == order


async def test_another_peers_order_does_not_exist(make_world: MakeWorld) -> None:
    """bLIP-57 §2.1: 101 for an unknown order, and another's is answered just the same."""
    async with make_world(clients=2) as world:
        alice, bob = world.peers
        order = await alice.order_extension()
        foreign = await bob.refused("lsps7.get_order", {"order_id": order["order_id"]})
        unknown = await bob.refused("lsps7.get_order", {"order_id": "?"})
    assert foreign["code"] == 101
    assert foreign == unknown


async def test_an_operator_records_a_lease_and_never_lowers_it(make_world: MakeWorld) -> None:
    """[[lease]]: recorded at start for a channel not sold here; a later start with a lower block changes nothing, and
    one for a channel that is not there is let pass."""
    async with make_world(offer=unleased(Unleased.NONE)) as world:
        (alice,) = world.peers
        (channel,) = await world.lsp.channels.list()
        assert await alice.extendable() == []
        gone = LeaseToRecord(replace(channel.funding, index=9), BlockHeight(900))
        for block, told in ((2000, 2000), (1500, 2000), (2500, 2500)):
            await world.restart(leases=(gone, LeaseToRecord(channel.funding, BlockHeight(block))))
            (listed,) = await alice.extendable()
            assert listed["expiration_block"] == told
