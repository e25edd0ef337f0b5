"""Requests and answers of LSPS0, as a client must treat them."""

from __future__ import annotations

import asyncio
import gc
import itertools
import re
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from typing import Any, cast

import msgspec
import pytest

from lsps.client.client import Client
from lsps.client.errors import (
    ClientRejected,
    ConnectionLost,
    LspUnintelligible,
    NoReply,
    OutcomeUnknown,
    RuleViolated,
)
from lsps.client.lsp import Lsp
from lsps.node.contract import (
    NodeUnreachable,
    NotSupported,
    PeerNotConnected,
    PeerOffline,
    PeerOnline,
    PermissionMissing,
    Resumed,
)
from lsps.node.router import Router
from lsps.node.simulated.clock import ManualClock, settle
from lsps.protocol.jsonrpc import Response
from lsps.protocol.lsps7 import CreateOrderParams
from lsps.units import OrderId, Scid
from tests.client.fakes import LSP, NOT_CONNECTED, OTHER, MemoryJournal, PlayedMessages, PlayedNode, patch

PARAMS = CreateOrderParams(short_channel_id=Scid(1, 2, 3), channel_extension_expiry_blocks=10)
PROTOCOLS = {"protocols": [1, 7]}


class Played:
    """A client, its LSP, and the connection between them, which the test plays."""

    def __init__(self, client: Client, messages: PlayedMessages, clock: ManualClock) -> None:
        self.client = client
        self.messages = messages
        self.clock = clock
        self.lsp: Lsp = client.lsp(f"{LSP}@127.0.0.1:9735")

    async def start(self, work: Awaitable[Any]) -> asyncio.Future[Any]:
        task = asyncio.ensure_future(work)
        await settle()
        return task

    async def ask(self) -> asyncio.Future[Any]:
        return await self.start(self.lsp.lsps0.list_protocols())


@asynccontextmanager
async def played(messages: PlayedMessages | None = None) -> AsyncIterator[Played]:
    messages, clock = messages or PlayedMessages(), ManualClock()
    counter = itertools.count(1)
    client = Client(cast(Any, PlayedNode(messages)), MemoryJournal(), clock, lambda size: next(counter).to_bytes(size))
    async with client:
        yield Played(client, messages, clock)


async def test_a_request_is_one_object_with_a_long_random_id_and_named_params() -> None:
    """bLIP-50: id of 80 bits of given randomness at least, params by name, jsonrpc 2.0, to the connected LSP."""
    async with played() as play:
        answer = await play.ask()
        [request] = play.messages.sent
        assert request["jsonrpc"] == "2.0"
        assert request["method"] == "lsps0.list_protocols"
        assert request["params"] == {}
        assert re.fullmatch(r"[0-9a-f]{32}", request["id"])
        assert play.messages.connected == [(LSP, "127.0.0.1:9735")]
        await play.messages.reply(PROTOCOLS)
        assert await answer == (1, 7)


async def test_no_id_is_used_twice() -> None:
    """bLIP-50: ids come from the randomness, a new one for each request and each repeat."""
    async with played() as play:
        first, second = await play.ask(), await play.ask()
        await play.clock.advance(60)
        await play.clock.advance(1)
        ids = [request["id"] for request in play.messages.sent]
        assert len(ids) == len(set(ids)) == 4
        for task in (first, second):
            task.cancel()


async def test_answers_may_come_in_any_order() -> None:
    """bLIP-50: each answer goes to the request with its id."""
    async with played() as play:
        first, second = await play.ask(), await play.ask()
        await play.messages.reply({"protocols": [2]}, 1)
        await play.messages.reply({"protocols": [1]}, 0)
        assert (await first, await second) == ((1,), (2,))


async def test_only_the_first_answer_counts() -> None:
    """A duplicated answer changes nothing."""
    async with played() as play:
        answer = await play.ask()
        await play.messages.reply({"protocols": [1]})
        await play.messages.reply({"protocols": [9]})
        assert await answer == (1,)


async def test_two_answers_at_once_do_no_harm() -> None:
    """The second is refused even before the first was taken."""
    async with played() as play:
        answer = await play.ask()
        session, request_id = play.client._sessions[LSP], play.messages.sent[0]["id"]
        assert session.on_reply(Response(request_id, msgspec.Raw(b'{"protocols":[1]}')))
        assert not session.on_reply(Response(request_id, msgspec.Raw(b'{"protocols":[9]}')))
        assert await answer == (1,)


@pytest.mark.parametrize(
    "stray",
    [
        {"jsonrpc": "2.0", "id": "nobody's", "result": PROTOCOLS},
        {"jsonrpc": "2.0", "id": None, "error": {"code": -32700, "message": "parse error"}},
        {"jsonrpc": "2.0", "id": 1, "result": PROTOCOLS},
        {"jsonrpc": "2.0", "method": "lsps5.payment_incoming", "params": {}},
        {"jsonrpc": "2.0", "id": "x", "method": "lsps0.list_protocols", "params": {}},
    ],
    ids=["unknown id", "null id", "integer id", "notification", "request"],
)
async def test_what_is_no_answer_of_ours_is_ignored(stray: object) -> None:
    """bLIP-50: an answer with an id that is not remembered MUST be ignored; so are notifications nobody knows."""
    async with played() as play:
        answer = await play.ask()
        await play.messages.deliver(stray)
        assert not answer.done()
        await play.messages.reply(PROTOCOLS)
        assert await answer == (1, 7)


async def test_another_peers_answer_is_not_the_lsps() -> None:
    """An answer counts only when it comes from the peer that was asked."""
    async with played() as play:
        answer = await play.ask()
        forged = {"jsonrpc": "2.0", "id": play.messages.sent[0]["id"], "result": {"protocols": [666]}}
        await play.messages.deliver(forged, sender=OTHER)
        assert not answer.done()
        answer.cancel()


async def test_an_idempotent_request_is_repeated_and_then_given_up() -> None:
    """Three attempts of 60 seconds with 1 and 2 seconds between; then an error that names the method."""
    async with played() as play:
        answer = await play.ask()
        for seconds in (60, 1, 60, 2):
            assert not answer.done()
            await play.clock.advance(seconds)
        assert len(play.messages.sent) == 3
        await play.clock.advance(60)
        with pytest.raises(NoReply, match=r"lsps0\.list_protocols within 60 seconds"):
            await answer
        assert len(play.messages.sent) == 3


async def test_an_answer_to_a_forgotten_request_is_ignored() -> None:
    """bLIP-50: a timed-out id is forgotten; the repeat's own answer counts."""
    async with played() as play:
        answer = await play.ask()
        await play.clock.advance(61)
        forgotten = Response(play.messages.sent[0]["id"], msgspec.Raw(b'{"protocols":[9]}'))
        assert not play.client._sessions[LSP].on_reply(forgotten)
        assert not answer.done()
        await play.messages.reply({"protocols": [1]}, 1)
        assert await answer == (1,)


async def test_create_order_is_sent_once_and_its_loss_is_told() -> None:
    """bLIP-57 §2: not idempotent. Without an answer the outcome is unknown, and the error says so."""
    async with played() as play:
        answer = await play.start(play.lsp.lsps7.create_order(PARAMS))
        await play.clock.advance(60)
        with pytest.raises(OutcomeUnknown, match="unpaid and expires"):
            await answer
        await play.clock.advance(600)
        assert len(play.messages.sent) == 1


async def test_a_disconnection_is_not_waited_out() -> None:
    """An idempotent request goes out again after a disconnection, at once but for the backoff."""
    async with played() as play:
        answer = await play.ask()
        await play.messages.happen(PeerOffline(OTHER))
        assert len(play.messages.sent) == 1
        await play.messages.happen(PeerOffline(LSP))
        await play.clock.advance(1)
        assert len(play.messages.sent) == 2
        await play.messages.reply(PROTOCOLS)
        assert await answer == (1, 7)


async def test_a_disconnection_during_create_order_leaves_the_outcome_unknown() -> None:
    """The order may exist: it is never sent again by itself."""
    async with played() as play:
        answer = await play.start(play.lsp.lsps7.create_order(PARAMS))
        await play.messages.happen(PeerOffline(LSP))
        with pytest.raises(OutcomeUnknown) as lost:
            await answer
        assert isinstance(lost.value.__cause__, ConnectionLost)
        assert len(play.messages.sent) == 1


async def test_a_node_that_fails_while_sending_leaves_the_outcome_unknown() -> None:
    """NodeUnreachable while sending may mean sent."""
    async with played() as play:
        play.messages.send_error = NodeUnreachable("gone")
        with pytest.raises(OutcomeUnknown):
            await play.lsp.lsps7.create_order(PARAMS)


async def test_a_disconnection_while_sending_is_told_once() -> None:
    """The node fails after the LSP disconnected: one error, and none that asyncio says nobody looked at."""
    unseen: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unseen.append(context))
    async with played() as play:
        sent = asyncio.Event()

        async def send(_peer: object, _payload: bytes) -> None:
            await sent.wait()
            raise NodeUnreachable("gone")

        patch(play.messages, "send", send)
        answer = await play.start(play.lsp.lsps7.create_order(PARAMS))
        await play.messages.happen(PeerOffline(LSP))
        sent.set()
        with pytest.raises(OutcomeUnknown):
            await answer
        del answer
        gc.collect()
        await settle()
    assert unseen == []


async def test_an_lsp_that_cannot_be_connected_is_not_asked() -> None:
    """The error says that no address is known; for create_order, too, it is certain that nothing was sent."""
    async with played() as play:
        play.messages.connect_error = NOT_CONNECTED
        with pytest.raises(PeerNotConnected, match="HOST:PORT"):
            await play.lsp.lsps7.create_order(PARAMS)
        assert play.messages.sent == []


async def test_connecting_is_tried_again_for_idempotent_requests() -> None:
    """A moment without connection does not fail a read-only call."""
    async with played() as play:
        play.messages.connect_error = NOT_CONNECTED
        answer = await play.ask()
        play.messages.connect_error = None
        await play.clock.advance(1)
        await play.messages.reply(PROTOCOLS)
        assert await answer == (1, 7)


@pytest.mark.parametrize("junk", [b"\xff\xfe", b"[]", b"{}", b"{} {}", b"\0", b'{"jsonrpc":"2.0","id":"x"}'])
async def test_after_a_bad_message_nothing_is_sent_until_reconnection(junk: bytes) -> None:
    """bLIP-50: on a bad message the client ignores it and SHOULD NOT send more on this connection."""
    async with played() as play:
        waiting = await play.ask()
        await play.messages.deliver(junk)
        with pytest.raises(LspUnintelligible, match="until it reconnects"):
            await play.lsp.lsps0.list_protocols()
        assert len(play.messages.sent) == 1
        await play.messages.reply(PROTOCOLS, 0)
        assert await waiting == (1, 7), "what was asked before may still be answered"
        await play.messages.happen(PeerOffline(LSP), PeerOnline(LSP))
        answer = await play.ask()
        await play.messages.reply(PROTOCOLS)
        assert await answer == (1, 7)


async def test_a_missed_reconnection_does_not_block_for_ever() -> None:
    """While our own node's stream was down the LSP may have reconnected: it is asked again."""
    async with played() as play:
        await play.messages.deliver(b"junk")
        await play.messages.happen(Resumed())
        answer = await play.ask()
        await play.messages.reply(PROTOCOLS)
        assert await answer == (1, 7)


async def test_an_error_answer_is_not_repeated() -> None:
    """Error 1 is an answer: its text says whether to try again, and a client that hammers is rejected rightly."""
    async with played() as play:
        answer = await play.ask()
        error = {"code": 1, "message": "Client rejected", "data": {"message": "try again later"}}
        await play.messages.deliver({"jsonrpc": "2.0", "id": play.messages.sent[0]["id"], "error": error})
        with pytest.raises(ClientRejected, match="try again later"):
            await answer
        await play.clock.advance(600)
        assert len(play.messages.sent) == 1


async def test_a_result_of_the_wrong_shape_names_the_key() -> None:
    """The error says which key of which method is wrong, and what was expected."""
    async with played() as play:
        answer = await play.ask()
        await play.messages.reply({"protocols": "1"})
        with pytest.raises(RuleViolated, match=r"protocols; result of lsps0\.list_protocols"):
            await answer


async def test_nothing_is_sent_before_answers_can_be_heard() -> None:
    """An answer that comes before the node's message stream is up would be lost."""
    messages = PlayedMessages()
    messages.up.clear()
    async with played(messages) as play:
        answer = await play.ask()
        assert play.messages.sent == []
        play.messages.up.set()
        await settle()
        await play.messages.reply(PROTOCOLS)
        assert await answer == (1, 7)


async def test_a_stream_that_never_comes_up_is_our_own_nodes_fault() -> None:
    """NodeUnreachable, after as long as an answer may take, not a silent hang."""
    messages = PlayedMessages()
    messages.up.clear()
    async with played(messages) as play:
        answer = await play.ask()
        await play.clock.advance(200)
        with pytest.raises(NodeUnreachable, match="stream of custom messages"):
            await answer


async def test_a_stream_that_fails_for_good_fails_every_request() -> None:
    """A missing permission is told as what it is, at once."""
    messages = PlayedMessages()
    messages.up.clear()
    messages.stream_error = PermissionMissing("the macaroon lacks offchain:read")
    async with played(messages) as play:
        answer = await play.ask()
        messages.up.set()
        with pytest.raises(PermissionMissing, match="offchain:read"):
            await answer
        with pytest.raises(PermissionMissing):
            await play.lsp.lsps0.list_protocols()
        assert messages.sent == []


async def test_a_stream_that_breaks_for_good_fails_who_waits() -> None:
    """No answer can come any more: a request in work is not left to its timeout, and nothing else is sent."""
    async with played() as play:
        answer = await play.ask()
        await play.messages.break_stream(PermissionMissing("the macaroon was revoked"))
        with pytest.raises(PermissionMissing, match="revoked"):
            await answer
        with pytest.raises(PermissionMissing):
            await play.lsp.lsps0.list_protocols()
        assert len(play.messages.sent) == 1


async def test_a_client_that_is_left_hears_no_more() -> None:
    """Leaving the client detaches its sessions from a router that lives on, and ends its tasks."""
    messages = PlayedMessages()
    router = Router(messages)
    running = asyncio.create_task(router.run())
    client = Client(cast(Any, PlayedNode(messages)), MemoryJournal(), ManualClock(), bytes, router=router)
    async with client:
        session_of = client.lsp(LSP)
        assert session_of.node_id == LSP
        assert router._sessions
    assert not router._sessions
    assert not running.done()
    running.cancel()


async def test_a_node_without_channels_is_refused_before_ordering() -> None:
    """Buying and extending need the paying node's own identity: an adapter without it is told so, and asks nobody."""
    async with played() as play:
        with pytest.raises(NotSupported, match="payments"):
            await play.lsp.lsps7.extend(Scid(1, 2, 3), blocks=10, max_fee=cast(Any, None))
        assert play.messages.sent == []


async def test_get_order_asks_for_the_order_by_id() -> None:
    """bLIP-51 §2.1 and bLIP-57 §2.1: one parameter, order_id."""
    async with played() as play:
        for call in (play.lsp.lsps1.get_order, play.lsp.lsps7.get_order):
            task = await play.start(call(OrderId("abc")))
            assert play.messages.sent[-1]["params"] == {"order_id": "abc"}
            task.cancel()
