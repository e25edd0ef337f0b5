"""One router a node: it decodes each message once and hands it to the service or to a client session.

A request (`method` and `id`) is the service's, a response or a notification is the client's. A process without a
service answers no request: LND hands every custom message to every subscriber, so `lsps serve` also sees the replies
meant for `lsps leases` on the same node, and answering those would start an endless exchange of errors.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from lsps import logs
from lsps.node.contract import Message, Messages, Resumed
from lsps.protocol import jsonrpc
from lsps.protocol.errors import PARSE_ERROR
from lsps.protocol.jsonrpc import BadMessageFormat, ErrorResponse, Notification, Request, Response
from lsps.units import NodeId

_log = logging.getLogger("lsps.router")


class RequestReceiver(Protocol):
    """The service. None of these may wait: they start what takes time."""

    def on_request(self, peer: NodeId, request: Request) -> None: ...

    def on_bad_message(self, peer: NodeId, error: BadMessageFormat) -> None:
        """Undecodable bytes: to be answered with -32700 and id null (bLIP-50, bad message format)."""
        ...

    def on_reply_not_understood(self, peer: NodeId) -> None:
        """The peer answered -32700 with id null: it could not parse what we sent it."""
        ...


class ReplyReceiver(Protocol):
    """A client's session with one LSP. None of these may wait."""

    def on_reply(self, reply: Response | ErrorResponse) -> bool:
        """Whether the reply's id is one this session waits for; any other is ignored (bLIP-50, Disconnection)."""
        ...

    def on_notification(self, notification: Notification) -> None: ...

    def on_bad_message(self, error: BadMessageFormat) -> None: ...


class Router:
    """Reads one node's message stream until cancelled."""

    def __init__(self, messages: Messages) -> None:
        self._messages = messages
        self._service: RequestReceiver | None = None
        self._sessions: dict[NodeId, list[ReplyReceiver]] = {}
        self._listening = asyncio.Event()

    def serve(self, service: RequestReceiver | None) -> None:
        self._service = service

    def attach(self, lsp: NodeId, session: ReplyReceiver) -> None:
        self._sessions.setdefault(lsp, []).append(session)

    def detach(self, lsp: NodeId, session: ReplyReceiver) -> None:
        sessions = self._sessions.get(lsp, [])
        if session in sessions:
            sessions.remove(session)
        if not sessions:
            self._sessions.pop(lsp, None)

    async def run(self) -> None:
        async for received in self._messages.received():
            if isinstance(received, Resumed):
                self._listening.set()
            else:
                self.route(received)

    async def listening(self) -> None:
        """Return once the stream is up: a reply to a request sent before could be lost."""
        await self._listening.wait()

    def route(self, message: Message) -> None:
        peer = message.peer
        sessions = tuple(self._sessions.get(peer, ()))
        try:
            decoded = jsonrpc.decode(message.payload)
        except BadMessageFormat as error:
            logs.event(_log, logging.WARNING, "bad_message", peer=peer, bytes=len(message.payload), reason=str(error))
            for session in sessions:
                session.on_bad_message(error)
            if self._service is not None:
                self._service.on_bad_message(peer, error)
            return
        if isinstance(decoded, Request):
            if self._service is not None:
                self._service.on_request(peer, decoded)
        elif isinstance(decoded, Notification):
            for session in sessions:
                session.on_notification(decoded)
        else:
            self._route_reply(peer, decoded, sessions)

    def _route_reply(self, peer: NodeId, reply: Response | ErrorResponse, sessions: tuple[ReplyReceiver, ...]) -> None:
        if isinstance(reply, ErrorResponse) and reply.id is None:
            if self._service is not None and reply.error.code == PARSE_ERROR:
                self._service.on_reply_not_understood(peer)
        elif any(session.on_reply(reply) for session in sessions):
            return
        logs.event(_log, logging.DEBUG, "reply_nobody_waits_for", peer=peer)
