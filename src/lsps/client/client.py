"""A customer's end of one node: everything that is bought through it begins here."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType
from typing import Any, Self

from lsps import failpoints
from lsps.client.customer import Customer
from lsps.client.lsp import Lsp
from lsps.client.patience import Patience
from lsps.client.session import Randomness, Session
from lsps.clock import Clock
from lsps.errors import LspsError
from lsps.failpoints import Failpoint
from lsps.lightning.keys import check_node_id
from lsps.node.contract import Node, PeerOffline, PeerOnline
from lsps.node.router import Router
from lsps.store.journal import Journal
from lsps.units import NodeId


class InvalidLspAddress(LspsError, ValueError):
    """Not PUBKEY or PUBKEY@HOST:PORT."""


class Client:
    """Use it as `async with`. Node, journal and router belong to whoever made them, and outlive it.

    `router`: the one that already runs for this node (with a service in the same process). Without it the client runs
    one of its own: there is one router a node.
    """

    def __init__(
        self,
        node: Node,
        journal: Journal,
        clock: Clock,
        randomness: Randomness,
        *,
        router: Router | None = None,
        patience: Patience | None = None,
        failpoint: Failpoint = failpoints.none,
    ) -> None:
        self.node = node
        self.journal = journal
        self._clock = clock
        self._randomness = randomness
        self._patience = patience or Patience()
        self._failpoint = failpoint
        self._owns_router = router is None
        self._router = router or Router(node.messages)
        self._sessions: dict[NodeId, Session] = {}
        self._listening: asyncio.Future[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._listening = asyncio.get_running_loop().create_future()
        if self._owns_router:
            self._start(self._router.run())
        self._start(self._await_listening(self._listening))
        self._start(self._watch_peers())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for lsp, session in self._sessions.items():
            self._router.detach(lsp, session)
        self._sessions.clear()

    def lsp(self, address: str | NodeId) -> Lsp:
        """The LSP at PUBKEY or PUBKEY@HOST:PORT. Asks nobody yet. Raises InvalidLspAddress."""
        lsp, place = (address, None) if isinstance(address, NodeId) else _parse(address)
        session = self._session(lsp)
        session.address = place or session.address
        customer = Customer(
            node=self.node,
            journal=self.journal,
            clock=self._clock,
            patience=self._patience,
            failpoint=self._failpoint,
            session=session,
        )
        return Lsp(customer)

    def _session(self, lsp: NodeId) -> Session:
        if self._listening is None:
            raise LspsError("the client is not running: use it inside `async with`")
        if lsp not in self._sessions:
            session = Session(
                self.node.messages, self._listening, self._clock, self._randomness, self._patience, lsp, None
            )
            self._sessions[lsp] = session
            self._router.attach(lsp, session)
        return self._sessions[lsp]

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        task.add_done_callback(self._on_end)
        self._tasks.append(task)

    def _on_end(self, task: asyncio.Task[None]) -> None:
        # Streams do not fail because the node is away: this is a missing permission, say, and nobody would see it.
        error = None if task.cancelled() else task.exception()
        if not isinstance(error, Exception) or self._listening is None:
            return
        if not self._listening.done():
            self._listening.set_exception(error)
            self._listening.exception()  # retrieved: it may be that nobody asks anything any more
        for session in self._sessions.values():
            session.on_broken(error)

    async def _await_listening(self, listening: asyncio.Future[None]) -> None:
        await self._router.listening()
        if not listening.done():
            listening.set_result(None)

    async def _watch_peers(self) -> None:
        async for event in self.node.messages.peer_events():
            if isinstance(event, PeerOnline | PeerOffline):
                session = self._sessions.get(event.node_id)
                if session is not None:
                    session.on_connection(online=isinstance(event, PeerOnline))
            else:
                for session in self._sessions.values():
                    session.on_missed_events()


def _parse(address: str) -> tuple[NodeId, str | None]:
    key, at, place = address.strip().partition("@")
    try:
        lsp = NodeId.parse(key)
        check_node_id(lsp)
    except ValueError as error:
        raise InvalidLspAddress(f"an LSP is written PUBKEY or PUBKEY@HOST:PORT: {error}") from None
    host, colon, port = place.rpartition(":")
    if at and not (colon and host and port.isascii() and port.isdigit() and 0 < int(port[:6]) < 2**16):
        raise InvalidLspAddress("an LSP is written PUBKEY or PUBKEY@HOST:PORT, with a port from 1 to 65535")
    return lsp, place or None
