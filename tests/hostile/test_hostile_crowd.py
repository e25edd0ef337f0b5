"""A thousand hostile peers against one service, beside customers who only want to be served.

`make hostile` does the same over real connections, for longer, and measures.
"""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from lsps.node.contract import Message
from lsps.service.offer import Limits
from lsps.units import NodeId
from tests.hostile.payloads import KINDS
from tests.service.peers import CHANNEL_ORDER, Json, Peer, quiet, until
from tests.service.world import OFFER, LspWorld, lsp_world

HOSTILE = 1_000
LIMITS = Limits(requests_per_peer=10, requests_in_all=300, unpaid_orders_in_all=60, refusals_per_peer=5)
"""The real ones but smaller, so that every one is reached within seconds."""
PARSE_ERROR, CLIENT_REJECTED = -32700, 1


class Crowd:
    """Hostile peers of every kind. They read nothing: their answers are only counted, by error code (0: a result)."""

    def __init__(self, world: LspWorld) -> None:
        self.answers: Counter[int] = Counter()
        self.peers: dict[NodeId, Iterator[bytes]] = {}
        kinds = list(KINDS.values())
        for number in range(HOSTILE):
            self.peers[NodeId(f"02{number:064x}")] = kinds[number % len(kinds)](Random(number))
        self._feed = world.net.world.nodes[world.lsp.node_id].messages_feed

    def say(self, messages: int) -> None:
        """So many messages of each, all at once."""
        for peer, payloads in self.peers.items():
            for _ in range(messages):
                self._feed.publish(Message(peer, next(payloads)))

    def hear(self, payload: bytes) -> None:
        self.answers[json.loads(payload).get("error", {}).get("code", 0)] += 1


@asynccontextmanager
async def besieged(directory: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[LspWorld, Crowd]]:
    """An LSP with a crowd before it, and four customers; the first two have a channel with it."""
    for name in ("lsps.router", "lsps.service"):
        monkeypatch.setattr(logging.getLogger(name), "disabled", True)  # pytest would keep every line
    async with lsp_world(directory, offer=replace(OFFER, limits=LIMITS), clients=4, channels=False) as world:
        for peer in world.peers[:2]:
            await world.open_channel(peer)
        crowd = Crowd(world)
        deliver = world.net.world.send

        def send(sender: NodeId, receiver: NodeId, payload: bytes) -> None:
            if receiver in crowd.peers:
                crowd.hear(payload)
            else:
                deliver(sender, receiver, payload)

        monkeypatch.setattr(world.net.world, "send", send)
        yield world, crowd


async def served(peer: Peer, method: str, params: Json = None) -> Json:
    """What a stranger is answered who, told that the LSP is busy, asks again."""
    for _ in range(100):
        reply = await peer.ask(method, params)
        if "too many requests at once" not in reply.get("error", {}).get("message", ""):
            return reply
    raise AssertionError("always told to wait")


async def test_customers_are_served_beside_a_hostile_crowd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A customer with a channel is never told to wait, and extends it, while a thousand peers do their worst; a
    stranger is told so at worst. What the crowd left in work is nothing when it is gone."""
    async with besieged(tmp_path, monkeypatch) as (world, crowd):
        for _ in range(2):
            crowd.say(messages=6)
            for peer in world.peers[:2]:
                order = await peer.order_extension()
                await until(peer.pay(order).done)
                assert (await peer.order(order))["order_state"] == "COMPLETED"
            for peer in world.peers[2:]:
                assert "result" in await served(peer, "lsps1.get_info")
        await quiet(2_000)
        assert {0, 1, 100, 101, -32601, -32602, -32700} <= set(crowd.answers)
        assert len(asyncio.all_tasks()) < 60


async def test_half_of_the_room_for_unpaid_orders_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Order spam fills the half of the limit that is anybody's, and no more: a peer with a channel still can order; a
    stranger is told to come again."""
    async with besieged(tmp_path, monkeypatch) as (world, crowd):
        for _ in range(3):
            crowd.say(messages=6)
            await quiet(1_000)
        unpaid = await world.store.unpaid(world.peers[0].node.node_id)
        assert unpaid.in_all == LIMITS.unpaid_orders_in_all // 2
        refused = (await served(world.peers[3], "lsps1.create_order", CHANNEL_ORDER))["error"]
        assert (refused["code"], "too many unpaid orders" in refused["message"]) == (CLIENT_REJECTED, True)
        assert await world.peers[0].order_channel()


async def test_memory_does_not_grow_with_what_a_crowd_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the limits are reached, more of the same costs no memory that stays: after three further waves there
    is less than three hundred bytes more a peer (tables that do not shrink)."""
    async with besieged(tmp_path, monkeypatch) as (_, crowd):
        for _ in range(2):
            crowd.say(messages=3)
            await quiet(1_000)
        gc.collect()
        tracemalloc.start()
        try:
            for _ in range(3):
                crowd.say(messages=1)
                await quiet(400)
            gc.collect()
            grown, _peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert grown < HOSTILE * 300
