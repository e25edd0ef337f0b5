"""Peers of ours on loopback, and the contract tests' environment made of two of them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from random import Random

from lsps.clock import Clock
from lsps.lightning.bolt1 import Connection
from lsps.lightning.bolt8 import Initiator
from lsps.lightning.features import CLIENT_INIT
from lsps.lightning.keys import SecretKey
from lsps.node.bolt8.dialing import Dialer
from lsps.node.bolt8.limits import Limits
from lsps.node.bolt8.link import Link
from lsps.node.bolt8.listener import Listener
from lsps.node.bolt8.messages import Bolt8Messages
from lsps.node.bolt8.node import Bolt8Node
from lsps.protocol.jsonrpc import MESSAGE_TYPE
from lsps.testing import ManualClock
from lsps.units import Network, NodeId, Outpoint, Sat
from tests.node.contract.environment import ContractEnvironment, Side, eventually


@dataclass(frozen=True)
class Host:
    """An identity that listens."""

    node: Bolt8Node
    listener: Listener

    @property
    def node_id(self) -> NodeId:
        return self.node.node_id

    @property
    def messages(self) -> Bolt8Messages:
        return self.node.messages

    @property
    def address(self) -> str:
        return self.listener.address

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])


def new_key() -> SecretKey:
    return SecretKey(secrets.token_bytes(32))


@asynccontextmanager
async def host(
    *,
    key: SecretKey | None = None,
    clock: Clock | None = None,
    limits: Limits | None = None,
    dialer: Dialer | None = None,
    network: Network | None = Network.REGTEST,
    address: str = "127.0.0.1:0",
    features: int = CLIENT_INIT,
) -> AsyncIterator[Host]:
    """Time stands still unless a clock is given: what ends, ends for another reason than a timeout."""
    node = Bolt8Node(
        key or new_key(),
        network=network,
        clock=clock or ManualClock(),
        random=Random(0),
        features=features,
        limits=limits,
        dialer=dialer,
    )
    try:
        listener = await Listener.start(node.messages, address)
        try:
            yield Host(node, listener)
        finally:
            listener.close()
    finally:
        await node.close()


class RawPeer:
    """A peer made of a bare socket and the sans-IO connection: it reads and answers only when a test says so."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: Connection) -> None:
        self.reader = reader
        self.writer = writer
        self.connection = connection

    @classmethod
    async def connect(
        cls, to: Host, key: SecretKey | None = None, *, host: str = "127.0.0.1", source: str | None = None
    ) -> RawPeer:
        reader, writer = await asyncio.open_connection(host, to.port, local_addr=(source, 0) if source else None)
        handshake = Initiator(key or new_key(), to.node_id, new_key())
        connection = Connection(handshake, features=CLIENT_INIT, networks=set(), custom_types={MESSAGE_TYPE})
        return cls(reader, writer, connection)

    async def flush(self) -> None:
        self.writer.write(self.connection.bytes_to_send())
        await self.writer.drain()

    async def read(self) -> list[object]:
        """One chunk's events; none at the end of the stream."""
        data = await self.reader.read(2**16)
        events = list[object](self.connection.receive(data))
        if data:
            await self.flush()
        return events

    async def until(self, kind: type[object]) -> list[object]:
        """Read and answer until such an event came; returns all events."""
        events: list[object] = []
        await self.flush()
        async with asyncio.timeout(30):
            while not any(isinstance(event, kind) for event in events):
                before = len(events)
                events += await self.read()
                if len(events) == before and self.reader.at_eof():
                    raise AssertionError(f"the stream ended; heard {events!r:.500}")
        return events

    async def until_closed(self) -> bytes:
        """What still came until the other side closed, or reset, the connection."""
        async with asyncio.timeout(30):
            try:
                return await self.reader.read()
            except ConnectionError:
                return b""

    async def close(self) -> None:
        self.writer.transport.abort()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


class Gate(Dialer):
    """Dials when it is opened."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.reached = asyncio.Event()
        self.opened = asyncio.Event()

    async def connect(self, address: str, make: Callable[[], Link]) -> Link:
        self.calls += 1
        self.reached.set()
        await self.opened.wait()
        return await super().connect(address, make)


@asynccontextmanager
async def server(answer: bytes, *, read: int = 0, hang_up: bool = True) -> AsyncIterator[str]:
    """Something that is no Lightning node: takes so many bytes, says one thing, and hangs up or waits."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readexactly(read)
        writer.write(answer)
        if hang_up:
            writer.close()

    made = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"127.0.0.1:{made.sockets[0].getsockname()[1]}"
    finally:
        made.close()
        for writer in writers:
            writer.transport.abort()


async def connected(messages: Bolt8Messages, peer: NodeId) -> None:
    async def check() -> bool:
        return await messages.peer(peer) is not None

    await eventually("the peer is connected", check)


class Bolt8Environment(ContractEnvironment):
    """Two identities of ours, both listening, connected over loopback TCP. There is no chain and no money."""

    def __init__(self, seller: Host, buyer: Host) -> None:
        self._hosts = (seller, buyer)
        self.seller = Side(seller.node, seller.node_id, seller.address)
        self.buyer = Side(buyer.node, buyer.node_id, buyer.address)
        self.stranger = new_key().node_id

    async def disconnect(self) -> None:
        seller, buyer = self._hosts
        await seller.messages.disconnect(buyer.node_id)

    async def connect(self) -> None:
        await self.buyer.messages.connect(self.seller.node_id, self.seller.address)

        async def both() -> bool:
            return await self.seller.messages.peer(self.buyer.node_id) is not None

        await eventually("both see the connection", both)

    async def another(self, side: Side) -> Side:
        """There is no second program: connections belong to one process. A stream is what it would have."""
        return side

    async def mine(self, blocks: int = 1) -> None:
        raise NotImplementedError

    async def pass_time(self, seconds: float) -> None:
        raise NotImplementedError

    async def fund(self, side: Side, amount: Sat) -> Outpoint:
        raise NotImplementedError

    async def pay(self, address: str, amount: Sat) -> str:
        raise NotImplementedError

    async def foreign_address(self) -> str:
        raise NotImplementedError

    async def open_channel(
        self, opener: Side, peer: Side, capacity: Sat, push: Sat, *, private: bool = False
    ) -> Outpoint:
        raise NotImplementedError

    async def close_channel(self, funding: Outpoint) -> None:
        raise NotImplementedError

    async def stop(self, side: Side) -> None:
        raise NotImplementedError

    async def start(self, side: Side) -> None:
        raise NotImplementedError

    async def far_payee(self) -> Side:
        raise NotImplementedError


@asynccontextmanager
async def environment() -> AsyncIterator[Bolt8Environment]:
    async with AsyncExitStack() as stack:
        env = Bolt8Environment(await stack.enter_async_context(host()), await stack.enter_async_context(host()))
        await env.connect()
        yield env
