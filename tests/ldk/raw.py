"""Peers without manners: a customer and an LSP that say over TCP whatever a test tells them to."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from lsps.lightning.keys import SecretKey
from lsps.node.contract import Message, Resumed
from lsps.units import NodeId
from tests.node.bolt8.environment import Host, connected, host
from tests.node.contract.environment import Listener, eventually, listening

Json = Any


class RawPeer:
    """One end of an LSPS0 conversation; `other` is who it speaks with."""

    def __init__(self, ours: Host, received: Listener[Resumed | Message]) -> None:
        self.host = ours
        self._received = received

    @property
    def node_id(self) -> NodeId:
        return self.host.node_id

    @property
    def heard(self) -> list[Json]:
        """Every message so far, of any peer."""
        return [json.loads(item.payload) for item in self._received.heard if isinstance(item, Message)]

    async def say(self, to: NodeId, *messages: Json) -> None:
        for message in messages:
            payload = message if isinstance(message, bytes) else json.dumps({"jsonrpc": "2.0"} | message).encode()
            await self.host.messages.send(to, payload)

    async def call(self, other: NodeId, address: str) -> None:
        """Connect; returns when messages can be sent."""
        await self.host.messages.connect(other, address)

    async def hang_up(self, other: NodeId) -> None:
        """What was said before still goes out."""
        await self.host.messages.disconnect(other)
        await self.left(other)

    async def left(self, other: NodeId) -> None:
        async def check() -> bool:
            return await self.host.messages.peer(other) is None

        await eventually("the connection is gone", check)

    async def joined(self, other: NodeId) -> None:
        await connected(self.host.messages, other)

    # --- as a customer ----------------------------------------------------------------------------------------------

    async def ask(self, lsp: NodeId, method: str, params: Json = None, *, request_id: object) -> Json:
        """The first reply to this id."""
        await self.say(lsp, {"method": method, "params": params or {}, "id": request_id})
        return (await self.replies(request_id, 1))[0]

    async def replies(self, request_id: object, number: int) -> list[Json]:
        """What came with this id, once there are so many."""

        def enough(_: object) -> bool:
            return len(self.with_id(request_id)) >= number

        await self._received.until(enough)
        return self.with_id(request_id)

    def with_id(self, request_id: object) -> list[Json]:
        return [message for message in self.heard if message.get("id", "") == request_id]

    # --- as an LSP --------------------------------------------------------------------------------------------------

    def requests(self, method: str = "") -> list[Json]:
        return [message for message in self.heard if method in message.get("method", "") and "method" in message]

    async def request(self, number: int, method: str = "") -> Json:
        """The request with this number, from 1 on, once it is here."""
        await self._received.until(lambda _: len(self.requests(method)) >= number)
        return self.requests(method)[number - 1]


def result(request: Json, value: Json) -> Json:
    return {"id": request["id"], "result": value}


def error(request_id: object, code: int, data: Json = None) -> Json:
    return {"id": request_id, "error": {"code": code, "message": "no", "data": data}}


@asynccontextmanager
async def raw_peer(key: SecretKey | None = None) -> AsyncIterator[RawPeer]:
    """It listens, so that it can be an LSP, and connects only when told to."""
    async with host(key=key) as ours, listening(ours.messages.received()) as received:
        yield RawPeer(ours, received)
