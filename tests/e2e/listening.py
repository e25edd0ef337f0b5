"""Our own BOLT 8 listener in this process, with every connection made to it on record.

async with listening() as ours:
    await alice.lncli("connect", ours.uri)
    ours.connections                # one for each that was ever made: what was said and heard on it
    ours.heard                      # payloads of messages of type 37913
    await ours.stop(); await ours.start()     # the same key, the same port
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from random import Random
from typing import Any

import pytest

from lsps.clock import SystemClock
from lsps.lightning.bolt1 import Connection, Event
from lsps.lightning.features import LSP_INIT
from lsps.lightning.keys import SecretKey
from lsps.lightning.messages import CustomMessage, Ping
from lsps.node.bolt8 import messages
from lsps.node.bolt8.listener import Listener
from lsps.node.bolt8.node import Bolt8Node
from lsps.node.contract import Resumed
from lsps.units import Network, NodeId


class Recorded(Connection):
    """A connection that counts what it says and hears by kind ("Ping", "Pong", "CustomMessage" …)."""

    def __init__(self, *args: Any, **how: Any) -> None:
        super().__init__(*args, **how)
        self.said: Counter[str] = Counter()
        self.heard: Counter[str] = Counter()

    def send(self, message: CustomMessage | Ping) -> None:
        super().send(message)
        self.said[type(message).__name__] += 1

    def receive(self, data: bytes) -> list[Event]:
        events = super().receive(data)
        self.heard.update(type(event).__name__ for event in events)
        return events


@contextlib.contextmanager
def recorded() -> Iterator[list[Recorded]]:
    """Every connection that is made in this process within the block."""
    made: list[Recorded] = []

    def make(*args: Any, **how: Any) -> Recorded:
        made.append(Recorded(*args, **how))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(messages, "Connection", make)
        yield made


class Listening:
    """A listener on loopback, to `start` and `stop` as often as a test likes: `connections` are all that were ever made
    to it, `heard` the payloads of type 37913."""

    def __init__(self, connections: list[Recorded]) -> None:
        self.connections = connections
        self.heard: list[bytes] = []
        self._key = SecretKey(secrets.token_bytes(32))
        self.node_id = str(self._key.node_id)
        self.address = "127.0.0.2:0"  # lnd takes 127.0.0.1 for a Tor proxy, and pings once in three minutes then

    @property
    def uri(self) -> str:
        return f"{self.node_id}@{self.address}"

    async def start(self) -> None:
        clock = SystemClock()
        self._node = Bolt8Node(self._key, network=Network.REGTEST, clock=clock, random=Random(), features=LSP_INIT)
        self._listener = await Listener.start(self._node.messages, self.address)
        self.address = self._listener.address
        self._hearing = asyncio.create_task(self._hear())

    async def _hear(self) -> None:
        async for item in self._node.messages.received():
            if not isinstance(item, Resumed):
                self.heard.append(item.payload)

    async def stop(self) -> None:
        self._listener.close()
        await self._node.close()
        await self._hearing

    async def say(self, peer: str, payload: bytes) -> None:
        await self._node.messages.send(NodeId(peer), payload)

    async def has(self, peer: str) -> bool:
        """Whether that node is connected."""
        return await self._node.messages.peer(NodeId(peer)) is not None

    async def drop(self, peer: str) -> None:
        await self._node.messages.disconnect(NodeId(peer))


@contextlib.asynccontextmanager
async def listening() -> AsyncIterator[Listening]:
    with recorded() as connections:
        ours = Listening(connections)
        await ours.start()
        try:
            yield ours
        finally:
            await ours.stop()
