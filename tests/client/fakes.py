"""What the client's tests run on: a clock that hurries, a journal in memory, a connection that the test plays."""

from __future__ import annotations

import asyncio
import heapq
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence, Set
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from lsps.node.contract import Message, Peer, PeerNotConnected, PeerOffline, PeerOnline, Resumed
from lsps.node.simulated.clock import settle
from lsps.store.journal import Entry, EntryState, OnchainTransaction
from lsps.store.orders import InputTaken
from lsps.units import NodeId, Outpoint

LSP = NodeId("02" + "c6047f9441ed7d6d3045406e95c07cd85c778e4b8cef3ca7abac09b95c709ee5")
OTHER = NodeId("02" + "f9308a019258c31049344f85f89d5229b531c845836f99b08601f113bce036f9")


HORIZON = timedelta(seconds=120)
"""Further than any client sleeps at once, nearer than any invoice expires."""
_PATIENCE = 6
"""A question to the LSP and its answer take more turns of the event loop than one `settle` gives."""


class HurriedClock:
    """A Clock that moves on to the next sleeper's moment, if that is near, as soon as nobody has more to do."""

    def __init__(self) -> None:
        self._now = datetime(2026, 1, 1, tzinfo=UTC)
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._count = 0

    def now(self) -> datetime:
        return self._now

    async def sleep(self, seconds: float) -> None:
        awake: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._count += 1
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=max(0, seconds)), self._count, awake))
        await awake

    @asynccontextmanager
    async def running(self) -> AsyncIterator[HurriedClock]:
        task = asyncio.create_task(self._run())
        try:
            yield self
        finally:
            task.cancel()

    async def _run(self) -> None:
        while True:
            for _ in range(_PATIENCE):
                await settle()
            while self._sleepers and self._sleepers[0][2].done():
                heapq.heappop(self._sleepers)
            if self._sleepers and self._sleepers[0][0] - self._now <= HORIZON:
                moment, _, awake = heapq.heappop(self._sleepers)
                self._now = max(self._now, moment)
                awake.set_result(None)


class MemoryJournal:
    """A Journal that outlives the clients that use it. `log` has every state in the order of writing."""

    def __init__(self) -> None:
        self.entries: dict[int, Entry] = {}
        self.log: list[Entry] = []

    async def add(self, entry: Entry) -> Entry:
        entry = replace(entry, number=len(self.entries) + 1)
        await self.update(entry)
        return entry

    async def update(self, entry: Entry) -> None:
        before = self.entries.get(entry.number)
        entry = replace(entry, transaction=None if before is None else before.transaction)
        self.entries[entry.number] = entry
        self.log.append(entry)

    async def end_unpaid(self, entry: Entry) -> bool:
        if self.entries[entry.number].state not in {EntryState.ASKED, EntryState.ORDERED}:
            return False
        await self.update(entry)
        return True

    async def keep_transaction(self, number: int, transaction: OnchainTransaction) -> OnchainTransaction:
        entry = self.entries[number]
        others = [
            inputs_of(other) for other in self.entries.values() if is_unfinished(other) and other.number != number
        ]
        if not set(transaction.inputs).isdisjoint(set().union(*others)):
            raise InputTaken
        kept = entry.transaction or transaction
        self.entries[number] = replace(entry, transaction=kept, state=EntryState.PAYING)
        self.log.append(self.entries[number])
        return kept

    async def inputs_in_use(self, node: NodeId) -> Set[Outpoint]:
        return set().union(*(inputs_of(entry) for entry in self.entries.values() if is_unfinished(entry)))

    async def unfinished(self, node: NodeId, lsp: NodeId, method: str) -> Sequence[Entry]:
        of = (node, lsp, method)
        return [
            entry
            for entry in reversed(self.entries.values())
            if (entry.node, entry.lsp, entry.method) == of
            and (
                entry.state in {EntryState.ORDERED, EntryState.PAYING}
                or (entry.state is EntryState.ASKED and entry.order_id is None)
            )
        ]

    async def newest(self, limit: int) -> Sequence[Entry]:
        return list(reversed(self.entries.values()))[:limit]

    async def close(self) -> None:
        pass

    def states(self) -> list[EntryState]:
        """Of all entries, the oldest first."""
        return [entry.state for entry in self.entries.values()]


def is_unfinished(entry: Entry) -> bool:
    return entry.state in {EntryState.ASKED, EntryState.ORDERED, EntryState.PAYING}


def inputs_of(entry: Entry) -> tuple[Outpoint, ...]:
    return () if entry.transaction is None else entry.transaction.inputs


class PlayedMessages:
    """Messages of a node whose peer is the test: `sent` are the payloads, `deliver` is what comes in."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.connected: list[tuple[NodeId, str | None]] = []
        self.connect_error: Exception | None = None
        self.send_error: Exception | None = None
        self.stream_error: Exception | None = None
        self.up = asyncio.Event()
        self.up.set()
        self._incoming: asyncio.Queue[Message | Exception] = asyncio.Queue()
        self._events: asyncio.Queue[Resumed | PeerOnline | PeerOffline] = asyncio.Queue()

    async def send(self, peer: NodeId, payload: bytes) -> None:
        if self.send_error is not None:
            raise self.send_error
        self.sent.append(json.loads(payload))

    async def received(self) -> AsyncIterator[Resumed | Message]:
        await self.up.wait()
        if self.stream_error is not None:
            raise self.stream_error
        yield Resumed()
        while True:
            message = await self._incoming.get()
            if isinstance(message, Exception):
                raise message
            yield message

    async def connect(self, peer: NodeId, address: str | None = None) -> None:
        self.connected.append((peer, address))
        if self.connect_error is not None:
            raise self.connect_error

    async def peer(self, peer: NodeId) -> Peer | None:
        return Peer(peer, frozenset())

    async def peer_events(self) -> AsyncIterator[Resumed | PeerOnline | PeerOffline]:
        yield Resumed()
        while True:
            yield await self._events.get()

    # --- played by the test -----------------------------------------------------------------------------------------

    async def deliver(self, message: object, sender: NodeId = LSP) -> None:
        payload = message if isinstance(message, bytes) else json.dumps(message).encode()
        self._incoming.put_nowait(Message(sender, payload))
        await settle()

    async def break_stream(self, error: Exception) -> None:
        self._incoming.put_nowait(error)
        await settle()

    async def happen(self, *events: Resumed | PeerOnline | PeerOffline) -> None:
        for event in events:
            self._events.put_nowait(event)
        await settle()

    async def reply(self, result: object, index: int = -1) -> None:
        """Answer the request with this number."""
        await settle()
        await self.deliver({"jsonrpc": "2.0", "id": self.sent[index]["id"], "result": result})


class PlayedNode:
    """A node that has messages and nothing else."""

    def __init__(self, messages: PlayedMessages) -> None:
        self.messages = messages
        self.invoices = self.payments = self.channels = self.wallet = None


NOT_CONNECTED = PeerNotConnected("no address of the LSP is known: give one as HOST:PORT")


def patch(target: object, name: str, replacement: object) -> None:
    """Put a test's own function in the place of a method of one object."""
    setattr(target, name, replacement)


async def until(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Let everything run on until the condition holds."""
    while True:
        holds = condition()
        if holds if isinstance(holds, bool) else await holds:
            return
        await asyncio.sleep(0)
