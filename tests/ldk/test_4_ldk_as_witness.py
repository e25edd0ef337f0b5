"""Scenario 4: LDK as a witness of what bad manners do, which our side forgives in others and must not have."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from interop.ldk.node import LdkNode, ldk_node
from lsps.units import NodeId
from tests.ldk.ldk_customer import ORDER
from tests.ldk.ldk_lsp import OPTIONS
from tests.ldk.raw import RawPeer, raw_peer, result
from tests.node.bolt8.environment import new_key
from tests.node.contract.environment import eventually

Json = dict[str, Any]
DROPPED, IGNORED = "Failed to deserialize invalid LSPS message", "Ignoring message from peer"

# --- its client -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Witness:
    """LDK's client, connected to an LSP that says what the test tells it to."""

    ldk: LdkNode
    lsp: RawPeer

    @property
    def ldk_id(self) -> NodeId:
        return NodeId(self.ldk.node_id)

    async def asks(self) -> Json:
        """LDK asks get_info; the request as it came."""
        request_id = await self.ldk.command("lsps1_get_info", peer=str(self.lsp.node_id))
        while True:
            number = len(self.lsp.requests()) + 1
            for request in self.lsp.requests():
                if request["id"] == request_id:
                    found: Json = request
                    return found
            await self.lsp.request(number)

    async def hears(self, *messages: Json) -> list[str | None]:
        """What LDK says of each of these, in order: None, or why it did not take it."""
        await self.lsp.say(self.ldk_id, *messages)
        return [(await self.ldk.event("received", peer=str(self.lsp.node_id)))["error"] for _ in messages]

    async def reconnects(self) -> None:
        await self.ldk.disconnect(str(self.lsp.node_id))
        await self.lsp.left(self.ldk_id)
        await self.connects()

    async def connects(self) -> None:
        await self.ldk.connect(str(self.lsp.node_id), self.lsp.host.address)
        await self.lsp.joined(self.ldk_id)


@asynccontextmanager
async def witness() -> AsyncIterator[Witness]:
    async with raw_peer() as lsp, ldk_node(key=new_key().to_bytes(), client=True) as ldk:
        made = Witness(ldk, lsp)
        await made.connects()
        yield made


@pytest.mark.parametrize("stray", ["duplicate", "unknown id", "notification"])
async def test_one_stray_message_makes_ldk_deaf(stray: str) -> None:
    """bLIP-50 has clients ignore a response with an id that they do not remember. LDK instead answers -32700 with id
    null and ignores the LSP until it reconnects: why a service must never send a second reply."""
    async with witness() as seen:
        asked = await seen.asks()
        answer = result(asked, OPTIONS)
        nobody = {"method": "lsps0.hello", "params": {}} if stray == "notification" else {"id": "x", "result": OPTIONS}
        first, second = await seen.hears(answer, answer if stray == "duplicate" else nobody)
        assert first is None
        assert DROPPED in (second or "")
        assert (await seen.lsp.replies(None, 1))[0]["error"]["code"] == -32700
        (third,) = await seen.hears(result(await seen.asks(), OPTIONS))
        assert IGNORED in (third or "")
        await seen.reconnects()
        assert await seen.hears(result(await seen.asks(), OPTIONS)) == [None]
        assert len(seen.lsp.with_id(None)) == 1


async def test_ldk_takes_replies_in_any_order_and_however_late() -> None:
    """Replies in the opposite order, one of them two connections later, are taken: LDK has no timeout for a request."""
    async with witness() as seen:
        late, second, third = [await seen.asks() for _ in range(3)]
        assert await seen.hears(result(third, OPTIONS), result(second, OPTIONS)) == [None, None]
        await seen.reconnects()
        await seen.reconnects()
        assert await seen.hears(result(late, OPTIONS)) == [None]
        for request in (late, second, third):
            assert (await seen.ldk.event("info", request_id=request["id"]))["options"] == OPTIONS


@pytest.mark.parametrize(
    ("feerate", "taken"),
    [({"min_fee_for_0conf": 253}, True), ({"min_fee_for_0conf": None}, False), ({}, False)],
    ids=["number", "null", "absent"],
)
async def test_ldk_needs_a_feerate_for_0conf(feerate: Json, taken: bool) -> None:
    """bLIP-51 §3.3: min_fee_for_0conf is null or absent when confirmations are required. LDK takes a number alone: the
    whole order is dropped, and LDK deaf."""
    async with witness() as seen:
        await seen.ldk.command("lsps1_create_order", peer=str(seen.lsp.node_id), order=ORDER)
        request = await seen.lsp.request(1)
        onchain = {
            "state": "EXPECT_PAYMENT",
            "expires_at": "2030-01-01T00:00:00.000Z",
            "fee_total_sat": "1000",
            "order_total_sat": "21000",
            "address": "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080",
            "min_onchain_payment_confirmations": 1,
            "refund_onchain_address": None,
        } | feerate
        order = ORDER | {
            "order_id": "1",
            "created_at": "2029-01-01T00:00:00.000Z",
            "order_state": "CREATED",
            "payment": {"onchain": onchain},
            "channel": None,
        }
        (error,) = await seen.hears(result(request, order))
        assert (error is None) is taken
        assert taken or DROPPED in (error or "")


# --- its service -----------------------------------------------------------------------------------------------------


async def test_ldks_service_and_a_customer_without_manners() -> None:
    """What LDK does where our service answers once and goes on: it answers a repeated id twice, and one response that
    nobody asked for makes it deaf to that customer until it reconnects, with -32700 as the last word."""
    async with ldk_node(key=new_key().to_bytes(), service=OPTIONS) as ldk, raw_peer() as customer:
        lsp = NodeId(ldk.node_id)
        ask: Json = {"method": "lsps1.get_info", "params": {}, "id": "same"}
        await customer.call(lsp, ldk.address)
        await customer.say(lsp, ask, ask)
        assert [reply["result"] for reply in await customer.replies("same", 2)] == [OPTIONS] * 2
        await customer.say(lsp, {"id": "nobody asked", "result": {}}, ask)
        assert (await customer.replies(None, 1))[0]["error"]["code"] == -32700
        await ignored(ldk, 1)
        await customer.hang_up(lsp)
        await ldk.event("disconnected", peer=str(customer.node_id))
        await customer.call(lsp, ldk.address)
        assert (await customer.ask(lsp, "lsps1.get_info", request_id="back"))["result"] == OPTIONS
        assert len(customer.with_id("same")) == 2


async def ignored(ldk: LdkNode, times: int) -> None:
    async def check() -> bool:
        heard = [event for event in ldk.events if event["event"] == "received"]
        return sum(IGNORED in (event["error"] or "") for event in heard) == times

    await eventually("LDK ignored it", check)
