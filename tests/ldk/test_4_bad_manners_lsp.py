"""Scenario 4, our client: an LSP that hangs up, answers twice, late, for nobody and in another order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from lsps.client.client import Client
from lsps.client.errors import ConnectionLost, OutcomeUnknown
from lsps.client.lsp import Lsp
from lsps.client.patience import Patience
from lsps.compose import connect
from lsps.node.bolt8.messages import Bolt8Messages
from lsps.node.contract import PaymentStatus
from lsps.node.overlay import WithMessages
from lsps.protocol import lsps1
from lsps.store.sqlite.journal import open_journal
from lsps.testing import QUICK, ManualClock, settle
from lsps.units import NodeId, OrderId, Sat
from tests.ldk.our_lsp import Json, OurLsp, Wiretap, our_lsp
from tests.ldk.raw import RawPeer, error, raw_peer, result
from tests.node.bolt8.environment import Host, host
from tests.node.contract.environment import eventually

ORDER = lsps1.CreateOrderParams(
    lsp_balance_sat=Sat(500_000),
    client_balance_sat=Sat(0),
    required_channel_confirmations=1,
    funding_confirms_within_blocks=6,
    channel_expiry_blocks=1_000,
    announce_channel=False,
)


@dataclass(frozen=True)
class Meeting:
    """Our client, without a node, and the LSP it asks. The client's time stands still but for `clock.advance`."""

    lsp: Lsp
    raw: RawPeer
    us: Host
    clock: ManualClock

    async def say(self, *messages: Json) -> None:
        await self.raw.say(self.us.node_id, *messages)

    async def hang_up(self) -> None:
        """Returns when our client knows of it."""
        await self.raw.hang_up(self.us.node_id)

        async def check() -> bool:
            return await self.us.messages.peer(self.raw.node_id) is None

        await eventually("our side saw it", check)
        await settle()


@pytest.fixture
async def meeting(tmp_path: Path) -> AsyncIterator[Meeting]:
    async with AsyncExitStack() as stack:
        raw = await stack.enter_async_context(raw_peer())
        clock = ManualClock()
        ours = await stack.enter_async_context(host(clock=clock))
        journal = open_journal(tmp_path / "client.db")
        stack.push_async_callback(journal.close)
        client = Client(ours.node, journal, clock, Random(0).randbytes, patience=Patience(reply=60, attempts=3))
        await stack.enter_async_context(client)
        yield Meeting(client.lsp(f"{raw.node_id}@{raw.host.address}"), raw, ours, clock)


def protocols(request: Json, *numbers: int) -> Json:
    return result(request, {"protocols": list(numbers)})


async def test_replies_that_come_twice(meeting: Meeting) -> None:
    """bLIP-50, Disconnection Handling: the first answer to an id counts; another one, whatever it says and whenever it
    comes, changes nothing."""
    asking = asyncio.create_task(meeting.lsp.lsps0.list_protocols())
    first = await meeting.raw.request(1)
    await meeting.say(protocols(first, 1), protocols(first, 1), protocols(first, 2))
    assert await asking == (1,)
    asking = asyncio.create_task(meeting.lsp.lsps0.list_protocols())
    second = await meeting.raw.request(2)
    await meeting.say(protocols(first, 3), error(first["id"], 1), protocols(second, 7), protocols(second, 5))
    assert await asking == (7,)
    assert len(meeting.raw.heard) == 2


async def test_replies_out_of_order(meeting: Meeting) -> None:
    """Replies are told apart by their ids: five that come in the opposite order reach those who asked."""
    asking = [asyncio.create_task(meeting.lsp.lsps0.list_protocols()) for _ in range(5)]
    requests = [await meeting.raw.request(number) for number in range(1, 6)]
    assert len({request["id"] for request in requests}) == 5
    for number, request in reversed(list(enumerate(requests))):
        await meeting.say(protocols(request, number))
    # Which of the callers sent which request is not told; each of the five answers reached exactly one of them.
    assert sorted(await asyncio.gather(*asking)) == [(0,), (1,), (2,), (3,), (4,)]


async def test_replies_to_nobody(meeting: Meeting) -> None:
    """bLIP-50: a response with an id that was never used MUST be ignored, as are errors without an id and unknown
    notifications; the answer that is awaited still counts, and nothing is sent back."""
    asking = asyncio.create_task(meeting.lsp.lsps0.list_protocols())
    request = await meeting.raw.request(1)
    await meeting.say(
        protocols({"id": "nobody"}, 2),
        protocols({"id": 1}, 2),
        protocols({"id": request["id"][:-1]}, 2),
        error("nobody", 100, {"property": "x"}),
        error(None, -32700),
        {"method": "lsps0.notify", "params": {}},
        {"method": "lsps0.list_protocols", "params": {}, "id": request["id"]},
        protocols(request, 1),
    )
    assert await asking == (1,)
    asking = asyncio.create_task(meeting.lsp.lsps0.list_protocols())
    await meeting.say(protocols(await meeting.raw.request(2), 7))
    assert await asking == (7,)
    assert len(meeting.raw.heard) == 2


async def test_a_reply_after_the_clients_patience(meeting: Meeting) -> None:
    """bLIP-50: a timeout is a temporary failure; the question is asked again under a new id, and the late reply to the
    first id, a lie by now, is ignored."""
    asking = asyncio.create_task(meeting.lsp.lsps0.list_protocols())
    first = await meeting.raw.request(1)
    await meeting.clock.advance(60)
    await meeting.clock.advance(1)
    second = await meeting.raw.request(2)
    assert first["id"] != second["id"]
    await meeting.say(protocols(first, 2), protocols(second, 1))
    assert await asking == (1,)


async def test_an_order_answered_after_the_clients_patience(meeting: Meeting) -> None:
    """create_order is sent once: unanswered in time its outcome is unknown, and an answer that comes later buys
    nothing."""
    ordering = asyncio.create_task(meeting.lsp.lsps1.create_order(ORDER))
    request = await meeting.raw.request(1)
    await meeting.clock.advance(61)
    with pytest.raises(OutcomeUnknown, match="unpaid"):
        await ordering
    await meeting.say(result(request, {"order_id": "late"}))
    asking = asyncio.create_task(meeting.lsp.lsps0.list_protocols())
    await meeting.say(protocols(await meeting.raw.request(2), 1))
    assert await asking == (1,)
    assert len(meeting.raw.requests("create_order")) == 1


async def test_an_lsp_that_hangs_up_in_mid_request(meeting: Meeting) -> None:
    """The question is asked again on a new connection, under a new id; what the LSP still says to the old id there is
    ignored."""
    asking = asyncio.create_task(meeting.lsp.lsps0.list_protocols())
    first = await meeting.raw.request(1)
    await meeting.hang_up()
    await meeting.clock.advance(1)
    second = await meeting.raw.request(2)
    assert first["id"] != second["id"]
    await meeting.say(protocols(first, 2), protocols(second, 1))
    assert await asking == (1,)


async def test_an_lsp_that_always_hangs_up(meeting: Meeting) -> None:
    """It is asked three times in all and then given up, with an error that names the LSP; later it is asked anew."""
    asking = asyncio.create_task(meeting.lsp.lsps1.get_order(OrderId("x")))
    for number in range(1, 4):
        await meeting.raw.request(number)
        await meeting.hang_up()
        if number < 3:
            await meeting.clock.advance(number)
    with pytest.raises(ConnectionLost, match=str(meeting.raw.node_id)):
        await asking
    again = asyncio.create_task(meeting.lsp.lsps0.list_protocols())
    await meeting.say(protocols(await meeting.raw.request(1, "list_protocols"), 1))
    assert await again == (1,)
    assert len(meeting.raw.requests("get_order")) == 3


# --- whole purchases ------------------------------------------------------------------------------------------------


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
