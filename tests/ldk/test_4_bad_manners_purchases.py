"""Scenario 4, our client: whole purchases from an LSP without manners. One order paid, one payment, one channel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from lsps.client.errors import OutcomeUnknown
from lsps.client.lsp import Lsp
from lsps.compose import connect
from lsps.node.bolt8.messages import Bolt8Messages
from lsps.node.contract import PaymentStatus
from lsps.node.overlay import WithMessages
from lsps.testing import QUICK
from lsps.units import NodeId, Sat
from tests.ldk.our_lsp import OurLsp, Wiretap, our_lsp
from tests.node.bolt8.environment import host


class SaysAllTwice(Wiretap):
    """Before every reply one to nobody, then the reply twice, then the one before once more, and a notification."""

    _last: bytes = b""

    async def send(self, peer: NodeId, payload: bytes) -> None:
        await self.messages.send(peer, b'{"jsonrpc":"2.0","id":"nobody","result":{"order_state":"FAILED"}}')
        await super().send(peer, payload)
        await self.messages.send(peer, payload)
        if self._last:
            await self.messages.send(peer, self._last)
        await self.messages.send(peer, b'{"jsonrpc":"2.0","method":"lsps0.hello","params":{}}')
        self._last = payload


@asynccontextmanager
async def customer(lsp: OurLsp, directory: Path) -> AsyncIterator[Lsp]:
    """Our client on the simulated wallet node, its messages over TCP; blocks come meanwhile."""

    async def blocks() -> None:
        while True:
            await asyncio.sleep(0.01)
            lsp.net.mine()

    async with (
        host(key=lsp.buyer_key) as ours,
        connect(WithMessages(lsp.buyer, ours.messages), journal=directory / "client.db", patience=QUICK) as client,
    ):
        mining = asyncio.create_task(blocks())
        yield client.lsp(f"{lsp.node_id}@{lsp.address}")
        mining.cancel()


async def bought_once(lsp: OurLsp, buying: Lsp) -> None:
    """A purchase goes through; one order of it is paid, with one payment, and one channel is there."""
    bought = await buying.lsps1.buy(lsp_balance=Sat(500_000), expiry_blocks=1_000, max_fee=Sat(50_000))
    assert bought.channel is not None
    assert bought.payment is not None
    assert bought.payment.status is PaymentStatus.SUCCEEDED
    sold = [channel for channel in await lsp.net.lsp.channels.list() if channel.opener.value == "us"]
    assert [channel.funding for channel in sold] == [bought.channel.funding]
    assert await buying.lsps0.list_protocols() == (1, 7)


async def test_a_purchase_from_an_lsp_that_says_everything_twice(tmp_path: Path) -> None:
    """Duplicates, stale and stray replies all along: one order is made, it is paid once, and the channel is there."""
    async with our_lsp(tmp_path, tap=SaysAllTwice) as lsp, customer(lsp, tmp_path) as buying:
        await bought_once(lsp, buying)
        assert len(lsp.tap.requests("lsps1.create_order")) == 1


class HangsUp(Wiretap):
    """Instead of giving its first reply to each of `methods` it hangs up."""

    def __init__(self, messages: Bolt8Messages, *methods: str) -> None:
        super().__init__(messages)
        self.left = set(methods)

    async def send(self, peer: NodeId, payload: bytes) -> None:
        answered = json.loads(payload)["id"]
        method = next(message["method"] for _, message in self.heard if message["id"] == answered)
        if method in self.left:
            self.left.remove(method)
            await self.messages.disconnect(peer)
        else:
            await super().send(peer, payload)


async def test_a_purchase_from_an_lsp_that_hangs_up(tmp_path: Path) -> None:
    """Hung up on when it asks what there is, and when it asks after its paid order, the client comes back and asks
    again: one order, one payment, one channel."""

    def tap(messages: Bolt8Messages) -> HangsUp:
        return HangsUp(messages, "lsps1.get_info", "lsps1.get_order", "lsps0.list_protocols")

    async with our_lsp(tmp_path, tap=tap) as lsp, customer(lsp, tmp_path) as buying:
        await bought_once(lsp, buying)
        assert isinstance(lsp.tap, HangsUp)
        assert lsp.tap.left == set()
        assert len(lsp.tap.requests("lsps1.create_order")) == 1


async def test_an_order_that_an_lsp_hangs_up_on(tmp_path: Path) -> None:
    """Hung up on in create_order, the client does not order again by itself: the outcome is unknown and nothing is
    paid. Asked to buy once more it orders anew; the first order stays unpaid."""
    async with (
        our_lsp(tmp_path, tap=lambda messages: HangsUp(messages, "lsps1.create_order")) as lsp,
        customer(lsp, tmp_path) as buying,
    ):
        with pytest.raises(OutcomeUnknown, match="unpaid"):
            await bought_once(lsp, buying)
        assert await lsp.unpaid(lsp.buyer.node_id) == 1
        assert len(lsp.tap.requests("lsps1.create_order")) == 1
        await bought_once(lsp, buying)
        assert await lsp.unpaid(lsp.buyer.node_id) == 1
        assert len(lsp.tap.requests("lsps1.create_order")) == 2
