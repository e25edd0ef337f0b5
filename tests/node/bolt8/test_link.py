"""One link between an event loop and an owner, both played by the tests."""

from __future__ import annotations

import asyncio

from lsps.lightning.features import CLIENT_INIT
from lsps.lightning.messages import CustomMessage, Init, PeerError, PeerWarning
from lsps.node.bolt8.limits import Limits
from lsps.node.bolt8.link import READ_BYTES, Link, LinkEnded
from lsps.protocol.jsonrpc import MESSAGE_TYPE
from tests.lightning.peers import REGTEST, completed, initiator, lsp


class Wire(asyncio.Transport):
    """What is written stays here."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def get_write_buffer_size(self) -> int:
        return 0


class Choosy:
    """An owner that ends each link as soon as it is open, as `Peers` does when another one stays."""

    def __init__(self) -> None:
        self.read_buffer = memoryview(bytearray(READ_BYTES))
        self.heard: list[CustomMessage] = []

    def on_made(self, link: Link) -> None:
        link.begin(0)

    def on_open(self, link: Link) -> None:
        link.close(LinkEnded("another one stays"))

    def on_message(self, link: Link, message: CustomMessage) -> None:
        self.heard.append(message)

    def on_complaint(self, link: Link, complaint: PeerError | PeerWarning) -> None: ...

    def on_lost(self, link: Link) -> None: ...


def give(link: Link, owner: Choosy, data: bytes) -> None:
    link.get_buffer(-1)[: len(data)] = data
    link.buffer_updated(len(data))


def test_nothing_is_heard_of_a_link_that_was_ended() -> None:
    """What comes behind the init in one chunk is not told once the owner ended the link; nor is what comes later."""
    owner, wire, peer = Choosy(), Wire(), initiator()
    link = Link(lsp(), owner, Limits(), outgoing=False)
    link.connection_made(wire)
    give(link, owner, peer.bytes_to_send())
    transport = completed(peer.receive(wire.written)).transport
    message = CustomMessage(MESSAGE_TYPE, b"{}").encode()
    opening = transport.encrypt(Init(CLIENT_INIT, REGTEST).encode()) + transport.encrypt(message)
    give(link, owner, peer.bytes_to_send() + opening)
    assert (wire.closed, str(link.cause)) == (True, "another one stays")
    give(link, owner, transport.encrypt(message))
    assert owner.heard == []
