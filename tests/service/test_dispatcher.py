"""Requests in work: limits, repeats, peers that went away, shapes of errors, services that are each other's peers."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from lsps.node.contract import Message
from lsps.service.offer import Compat, Limits
from lsps.service.pricing import PriceRequest
from lsps.service.service import Service, rules_of
from lsps.store.sqlite.opening import open_order_store
from lsps.units import Sat
from tests.service.conftest import MakeWorld
from tests.service.peers import CHANNEL_ORDER, Peer, quiet, until
from tests.service.world import OFFER, LspWorld

HOLD = "invoices.add_hold"


async def test_ten_requests_of_a_peer_are_in_work_at_once(make_world: MakeWorld) -> None:
    """The 11th request of a peer, of any method, is error 1; another peer is unharmed, and so is the first later."""
    async with make_world(clients=2) as world:
        alice, bob = world.peers
        world.faults.delay_next(world.lsp.node_id, HOLD, 2, times=10)
        ids = [await alice.send_request("lsps1.create_order", CHANNEL_ORDER) for _ in range(10)]
        await quiet()
        error = await alice.refused("lsps0.list_protocols")
        assert (error["code"], "wait" in error["message"]) == (1, True)
        assert await bob.call("lsps0.list_protocols")
        await world.pass_time(3)
        assert all(len(alice.replies[request_id]) == 1 for request_id in ids)
        assert await alice.call("lsps0.list_protocols")


async def test_requests_in_work_in_all_are_limited(make_world: MakeWorld) -> None:
    """Beyond the limit in all, any peer's request is error 1, until one is answered."""
    async with make_world(clients=2, offer=replace(OFFER, limits=Limits(requests_in_all=1))) as world:
        alice, bob = world.peers
        world.faults.delay_next(world.lsp.node_id, HOLD, 2)
        await alice.send_request("lsps1.create_order", CHANNEL_ORDER)
        await quiet()
        assert (await bob.refused("lsps0.list_protocols"))["code"] == 1
        await world.pass_time(3)
        assert await bob.call("lsps0.list_protocols")


async def test_the_eleventh_unpaid_order_is_refused(make_world: MakeWorld) -> None:
    """Ten unpaid orders a peer, LSPS1 and LSPS7 together; then error 1, while get_order and other peers go on. An order
    that is paid, or expired, makes room."""
    async with make_world(clients=2) as world:
        alice, bob = world.peers
        orders = [await alice.order_channel() for _ in range(5)] + [await alice.order_extension() for _ in range(5)]
        for method, params in (
            ("lsps1.create_order", CHANNEL_ORDER),
            (
                "lsps7.create_order",
                {"short_channel_id": orders[9]["channel"]["short_channel_id"]} | {"channel_extension_expiry_blocks": 1},
            ),
        ):
            error = await alice.refused(method, params)
            assert (error["code"], "unpaid" in error["message"]) == (1, True)
        assert (await alice.order(orders[0]))["order_state"] == "CREATED"
        assert (await bob.order_channel())["order_state"] == "CREATED"
        await until(alice.pay(orders[9]).done)
        await alice.order_channel()
        assert (await alice.refused("lsps1.create_order", CHANNEL_ORDER))["code"] == 1
        await world.pass_time(3601)
        assert (await alice.order_channel())["order_state"] == "CREATED"


async def test_orders_in_creation_count_with_the_unpaid(world: LspWorld, alice: Peer) -> None:
    """Two requests at once cannot both take the last place."""
    for _ in range(9):
        await alice.order_channel()
    ids = [await alice.send_request("lsps1.create_order", CHANNEL_ORDER) for _ in range(2)]
    await quiet()
    assert sorted("error" in alice.replies[request_id][0] for request_id in ids) == [False, True]


async def test_half_of_the_unpaid_orders_in_all_are_kept_for_peers_with_a_channel(make_world: MakeWorld) -> None:
    """Strangers may fill half of the places; who has a channel can still order until all are taken."""
    limits = Limits(unpaid_orders_in_all=4)
    async with make_world(clients=3, channels=False, offer=replace(OFFER, limits=limits)) as world:
        stranger, other, friend = world.peers
        await world.open_channel(friend)
        await stranger.order_channel()
        await other.order_channel()
        for peer in (stranger, other):
            assert (await peer.refused("lsps1.create_order", CHANNEL_ORDER))["code"] == 1
        await friend.order_channel()
        await friend.order_channel()
        assert (await friend.refused("lsps1.create_order", CHANNEL_ORDER))["code"] == 1


async def test_an_id_in_work_is_not_run_again(world: LspWorld, alice: Peer) -> None:
    """A repeated request whose first is still in work makes no second order: the one reply answers both. Answered, the
    id may be used again."""
    world.faults.delay_next(world.lsp.node_id, HOLD, 2)
    for _ in range(3):
        await alice.send_request("lsps1.create_order", CHANNEL_ORDER, "same")
    await world.pass_time(3)
    assert len(alice.replies["same"]) == 1
    assert len(await world.store.newest_orders(None, 10)) == 1
    await alice.ask("lsps1.create_order", CHANNEL_ORDER, "same")
    assert len(await world.store.newest_orders(None, 10)) == 2


async def test_the_same_id_of_two_peers_are_two_requests(make_world: MakeWorld) -> None:
    """Ids are a peer's own."""
    async with make_world(clients=2) as world:
        alice, bob = world.peers
        world.faults.delay_next(world.lsp.node_id, HOLD, 2, times=2)
        for peer in (alice, bob):
            await peer.send_request("lsps1.create_order", CHANNEL_ORDER, 7)
        await world.pass_time(3)
        assert alice.replies[7][0]["result"]["order_id"] != bob.replies[7][0]["result"]["order_id"]


async def test_every_request_gets_exactly_one_reply(world: LspWorld, alice: Peer) -> None:
    """Good ones and refused ones, all at once and mixed with junk: one reply each, no more."""
    ids = [
        await alice.send_request(method)
        for method in ("lsps0.list_protocols", "x", "lsps1.get_info", "lsps1.get_order")
    ]
    await alice.send(b"junk")
    await quiet()
    assert [len(alice.replies[request_id]) for request_id in ids] == [1, 1, 1, 1]
    assert len(alice.others) == 1


async def test_a_flood_of_junk_is_answered_only_so_far(make_world: MakeWorld) -> None:
    """Refusals that wait to be sent to a peer are limited; beyond that a flood costs nothing but reading it."""
    async with make_world(offer=replace(OFFER, limits=Limits(refusals_per_peer=3)), channels=False) as world:
        (alice,) = world.peers
        world.faults.delay_next(world.lsp.node_id, "messages.send", 1, times=3)
        for _ in range(9):
            await alice.send(b"junk")
        await quiet()
        await world.pass_time(2)
        assert len(alice.others) == 3
        assert (await alice.answer_to(b"junk"))["error"]["code"] == -32700


async def test_refusals_that_wait_are_limited_in_all(make_world: MakeWorld) -> None:
    """When as many wait as requests may be in work, a peer that has one waiting gets no further one; a peer that has
    none gets its one."""
    limits = Limits(refusals_per_peer=3, requests_in_all=4)
    async with make_world(clients=3, offer=replace(OFFER, limits=limits), channels=False) as world:
        alice, bob, carol = world.peers
        world.faults.delay_next(world.lsp.node_id, "messages.send", 1, times=20)
        for peer, count in ((alice, 9), (bob, 9), (carol, 9)):
            for _ in range(count):
                await peer.send(b"junk")
            await quiet()
        await world.pass_time(2)
        assert [len(peer.others) for peer in world.peers] == [3, 1, 1]


async def test_a_reply_to_a_peer_that_went_away_is_dropped(world: LspWorld, alice: Peer) -> None:
    """bLIP-50, Disconnection: an undeliverable response is as one delivered; the order is there, and all goes on."""
    world.faults.delay_next(world.lsp.node_id, HOLD, 2)
    request_id = await alice.send_request("lsps1.create_order", CHANNEL_ORDER)
    await quiet()
    world.net.disconnect(world.lsp, alice.node)
    await world.pass_time(3)
    assert len(await world.store.newest_orders(None, 10)) == 1
    world.net.connect(world.lsp, alice.node)
    await quiet()
    assert alice.replies[request_id] == []
    assert await alice.call("lsps0.list_protocols")


async def test_a_failing_handler_is_32603_and_tells_nothing(make_world: MakeWorld) -> None:
    """Whatever goes wrong in a handler, the request gets its reply, without our own text, and the next one works."""

    def absurd(request: PriceRequest) -> Sat:
        return Sat(2**63)  # more than any invoice can ask for

    async with make_world(price=absurd) as world:
        (alice,) = world.peers
        error = await alice.refused("lsps1.create_order", CHANNEL_ORDER)
        assert (error["code"], "msat" in error["message"]) == (-32603, False)
        assert await alice.call("lsps0.list_protocols")


async def test_a_full_disk_is_error_1_and_reading_goes_on(world: LspWorld, alice: Peer) -> None:
    """A store that cannot be written refuses orders with "try again", and get_order is unharmed."""
    order = await alice.order_channel()
    world.disk.full = True
    error = await alice.refused("lsps1.create_order", CHANNEL_ORDER)
    assert (error["code"], "try again" in error["message"], "disk" in error["message"]) == (1, True, False)
    assert (await alice.order(order))["order_id"] == order["order_id"]
    world.disk.full = False
    assert (await alice.order_channel())["order_state"] == "CREATED"


async def test_a_reply_that_the_node_does_not_send_frees_its_place(world: LspWorld, alice: Peer) -> None:
    """A node that hangs while it sends holds up no more of a peer's places than for ten seconds."""
    limit = OFFER.limits.requests_per_peer
    world.net.world.faults.hang_next(world.lsp.node_id, "messages.send", times=limit)
    for number in range(limit):
        await alice.send(b'{"jsonrpc":"2.0","id":"%d","method":"lsps0.list_protocols"}' % number)
    await quiet()
    assert "too many" in (await alice.refused("lsps0.list_protocols"))["message"]
    await world.clock.advance(10)
    assert await alice.call("lsps0.list_protocols")


# --- shapes of errors -----------------------------------------------------------------------------------------------

CANNOT_PARSE = b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error"}}'


@pytest.mark.parametrize(("compat", "kind"), [(Compat(), dict), (Compat(default="ldk"), str)], ids=["spec", "ldk"])
async def test_error_data_has_the_configured_shape(make_world: MakeWorld, compat: Compat, kind: type) -> None:
    """bLIP-50: error.data is an object; LDK needs text, or drops the message and then all others."""
    async with make_world(offer=replace(OFFER, compat=compat), channels=False) as world:
        for method in ("lsps1.create_order", "lsps1.get_order", "nothing"):
            assert type((await world.peers[0].refused(method))["data"]) is kind
        assert type((await world.peers[0].answer_to(b"junk"))["error"]["data"]) is kind


async def test_a_peer_that_could_not_parse_us_gets_the_other_shape(make_world: MakeWorld) -> None:
    """A peer's -32700 with id null means that it is an LDK: from then on its errors are in LDK's shape; others' stay,
    and so do those of a peer whose shape is configured."""
    async with make_world(clients=3, channels=False) as world:
        learnt, other, configured = world.peers
        await world.restart(compat=Compat(peers={configured.node.node_id: "spec"}))
        for peer in (learnt, configured):
            await peer.send(CANNOT_PARSE)
        await quiet()
        shapes = [type((await peer.refused("nothing"))["data"]) for peer in (learnt, other, configured)]
    assert shapes == [str, dict, dict]


# --- each other's peers ---------------------------------------------------------------------------------------------


async def test_two_services_never_exchange_messages_without_end(world: LspWorld, alice: Peer, tmp_path: Path) -> None:
    """Two nodes that are each other's LSP: junk, refusals and unknown replies between them come to an end."""
    node = world.net.another(alice.node)
    store = open_order_store(tmp_path / "alice.db", node.node_id, rules_of(OFFER))
    heard: list[bytes] = []

    async def listen() -> None:
        async for message in world.lsp.messages.received():
            if isinstance(message, Message):
                heard.append(message.payload)

    listening = asyncio.create_task(listen())
    async with Service(node, store, OFFER, clock=world.clock).running():
        for payload in (b"junk", b"[]", CANNOT_PARSE, b'{"id":"1","method":"x"}', b'{"id":"2","result":{}}'):
            await alice.send(payload)
        await quiet(500)
    listening.cancel()
    await store.close()
    # What alice sent, and nothing that her service would have answered.
    assert len(heard) == 5
    assert len(alice.others) == 3
