"""Scenario 7: customer and LSP on one lnd at once, and two nodes that are each other's LSP.

lnd hands every custom message to every subscriber, so each `lsps serve` also hears the replies to the commands on its
own node. Each test counts every message on both nodes with subscriptions of its own.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
import pytest_asyncio

from interop.lnd.node import Node
from interop.lnd.regtest import Regtest
from tests.e2e import truth
from tests.e2e.shop import Customer, Shop, customer_of, shop_on
from tests.e2e.wire import Wire, wire

pytestmark = pytest.mark.asyncio(loop_scope="session")

TIMES = 3
UNLEASED = {"extend_unleased_channels": "peer-opened"}
FOR_NOBODY = (
    b'{"jsonrpc":"2.0","id":"never asked","result":{"protocols":[1]}}',
    b'{"jsonrpc":"2.0","id":"never asked","error":{"code":1,"message":"no"}}',
    b'{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"what?"}}',
    b'{"jsonrpc":"2.0","method":"lsps0.list_protocols","params":{}}',
)
"""A reply, an error reply, the error that has no id, and a notification: nobody waits for any of them."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def bobs_shop(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shop]:
    """A second LSP, on bob's node."""
    async with shop_on(net["bob"], tmp_path_factory.mktemp("bobs_shop"), lsps7=UNLEASED) as serving:
        yield serving


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def lsp_buys(net: Regtest, tmp_path_factory: pytest.TempPathFactory) -> Customer:
    """The `lsps` commands on the lsp's own node, where `lsps serve` runs."""
    return await customer_of(net["lsp"], tmp_path_factory.mktemp("lsp_buys"))


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def channels(net: Regtest) -> tuple[str, str]:
    """The SCIDs of a channel that bob opened to the lsp, and of one that the lsp opened to bob."""
    opened = []
    for one, other in ((net["bob"], net["lsp"]), (net["lsp"], net["bob"])):
        channel = await one.channel(await net.open_channel(one, other, 500_000, private=True))
        assert channel is not None
        opened.append(truth.scid(channel))
    return opened[0], opened[1]


@dataclass
class Heard:
    """What one node heard: ids of requests and of replies, and how many messages in all."""

    requests: list[str] = field(default_factory=list)
    replies: list[str | None] = field(default_factory=list)
    messages: int = 0


def sort(line: Wire, peer: Node) -> Heard:
    """All that came from the peer, which is all that came."""
    assert {sender for sender, _ in line.heard} <= {peer.node_id}
    heard = Heard(messages=len(line.heard))
    for payload in line.of(peer):
        message = json.loads(payload)
        (heard.requests if "method" in message else heard.replies).append(message["id"])
    return heard


async def quiet(one: Wire, of_one: Node, other: Wire, of_other: Node) -> int:
    """Lets both services answer everything there is: messages between two nodes keep their order, so what two more
    rounds of question and answer do not bring has never been sent. Returns how many requests that took each way."""
    rounds = 2
    for _ in range(rounds):
        await one.call(of_other, "lsps0.list_protocols")
        await other.call(of_one, "lsps0.list_protocols")
    return rounds


async def test_each_asks_the_other_while_it_serves(
    shop: Shop,
    bobs_shop: Shop,
    lsp: Node,
    bob: Node,
    lsp_buys: Customer,
    bob_buys: Customer,
    channels: tuple[str, str],
) -> None:
    """`lsps leases`, many times at once both ways, costs one request and one reply each, and not a message more: no
    service answers what is no request to it (bLIP-50; the reply of one is no question to the other)."""
    async with wire(lsp) as at_lsp, wire(bob) as at_bob:
        asked = [customer.leases(other) for customer, other in [(bob_buys, shop), (lsp_buys, bobs_shop)] * TIMES]
        for ran in await asyncio.gather(*asked):
            assert ran.code == 0, ran
            assert {each["short_channel_id"] for each in ran.json["channels"]} & set(channels)
        expected = TIMES + await quiet(at_lsp, lsp, at_bob, bob)
        by_lsp, by_bob = sort(at_lsp, bob), sort(at_bob, lsp)
    assert (by_lsp.messages, by_bob.messages) == (2 * expected, 2 * expected)
    assert (len(set(by_lsp.requests)), len(set(by_bob.requests))) == (expected, expected)
    assert sorted(map(str, by_bob.replies)) == sorted(by_lsp.requests)
    assert sorted(map(str, by_lsp.replies)) == sorted(by_bob.requests)


async def test_what_is_for_nobody_stays_unanswered(shop: Shop, bobs_shop: Shop, lsp: Node, bob: Node) -> None:
    """Replies that nobody asked for, and notifications, get no answer from either service; bytes that are no JSON get
    -32700 with id null once, which the other service, hearing it, leaves alone (bLIP-50)."""
    async with wire(lsp) as at_lsp, wire(bob) as at_bob:
        for message in FOR_NOBODY:
            await at_lsp.say(bob, message)
            await at_bob.say(lsp, message)
        rounds = await quiet(at_lsp, lsp, at_bob, bob)
        said = len(FOR_NOBODY) + 2 * rounds
        assert (len(at_lsp.heard), len(at_bob.heard)) == (said, said)

        error = json.loads(await at_bob.ask(lsp, b"\xff no JSON"))
        assert (error["id"], error["error"]["code"]) == (None, -32700)
        rounds = await quiet(at_lsp, lsp, at_bob, bob)
        # The junk at the lsp's, its one answer at bob's, and the rounds.
        assert (len(at_lsp.heard), len(at_bob.heard)) == (said + 1 + 2 * rounds, said + 1 + 2 * rounds)


async def test_each_extends_at_the_other(
    shop: Shop,
    bobs_shop: Shop,
    lsp: Node,
    bob: Node,
    lsp_buys: Customer,
    bob_buys: Customer,
    channels: tuple[str, str],
) -> None:
    """Two nodes that extend their channel at each other at once both pay and get theirs; each lnd settles exactly one
    invoice of that order's total, and every request on the wire has exactly one reply (bLIP-57)."""
    before = {node.name: await truth.settled(node) for node in (lsp, bob)}
    async with wire(lsp) as at_lsp, wire(bob) as at_bob:
        bobs, lsps = await asyncio.gather(
            bob_buys.extend(shop, channels[0], 144), lsp_buys.extend(bobs_shop, channels[1], 288)
        )
        await quiet(at_lsp, lsp, at_bob, bob)
        by_lsp, by_bob = sort(at_lsp, bob), sort(at_bob, lsp)
    assert sorted(map(str, by_bob.replies)) == sorted(set(by_lsp.requests))
    assert sorted(map(str, by_lsp.replies)) == sorted(set(by_bob.requests))
    assert by_lsp.messages == len(by_lsp.requests) + len(by_lsp.replies)

    for ran, seller, buyer in ((bobs, lsp, bob), (lsps, bob, lsp)):
        assert ran.code == 0, ran
        order = ran.json["order"]
        assert order["order_state"] == "COMPLETED"
        total = int(order["payment"]["bolt11"]["order_total_sat"])
        new = {
            digest: sat for digest, sat in (await truth.settled(seller)).items() if digest not in before[seller.name]
        }
        assert list(new.values()) == [total]
        assert (await truth.payments(buyer, "SUCCEEDED")).keys() >= new.keys()
        assert ran.json["expiration_block"] == order["new_channel_expiry_block"]
