"""Scenario 4, our client: an LSP that hangs up, answers twice, late, for nobody and in another order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from lsps.client.client import Client
from lsps.client.errors import ConnectionLost, OutcomeUnknown
from lsps.client.lsp import Lsp
from lsps.client.patience import Patience
from lsps.protocol import lsps1
from lsps.store.sqlite.journal import open_journal
from lsps.testing import ManualClock, settle
from lsps.units import OrderId, Sat
from tests.ldk.our_lsp import Json
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
