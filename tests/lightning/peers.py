"""Two ends of a BOLT 8 connection, with the keys of its test vectors; and a peer that says anything."""

from __future__ import annotations

from lsps.lightning.bolt1 import Authenticated, Closed, Connection, Event
from lsps.lightning.bolt8 import Completed, Initiator, Responder
from lsps.lightning.features import CLIENT_INIT, LSP_INIT
from lsps.lightning.keys import SecretKey
from lsps.lightning.messages import Init, PeerWarning, Ping
from lsps.lightning.reactions import State
from lsps.lightning.transport import Transport
from lsps.units import Network

INITIATOR = SecretKey(b"\x11" * 32)
INITIATOR_EPHEMERAL = SecretKey(b"\x12" * 32)
RESPONDER = SecretKey(b"\x21" * 32)
RESPONDER_EPHEMERAL = SecretKey(b"\x22" * 32)
LSPS = 37913
REGTEST = frozenset({Network.REGTEST})
GOOD_INIT = Init(LSP_INIT, REGTEST).encode()
PING = Ping(1).encode()


def initiator() -> Initiator:
    return Initiator(INITIATOR, RESPONDER.node_id, INITIATOR_EPHEMERAL)


def responder() -> Responder:
    return Responder(RESPONDER, RESPONDER_EPHEMERAL)


def completed(result: Completed | None) -> Completed:
    assert result is not None
    return result


def transports() -> tuple[Transport, Transport]:
    """The initiator's end and the responder's, after the handshake."""
    ours, theirs = initiator(), responder()
    assert theirs.receive(ours.bytes_to_send()) is None
    done = completed(ours.receive(theirs.bytes_to_send()))
    return done.transport, completed(theirs.receive(ours.bytes_to_send())).transport


def client(networks: frozenset[Network] = REGTEST, features: int = CLIENT_INIT) -> Connection:
    return Connection(initiator(), features=features, networks=networks, custom_types={LSPS})


def lsp(networks: frozenset[Network] = REGTEST, features: int = LSP_INIT) -> Connection:
    return Connection(responder(), features=features, networks=networks, custom_types={LSPS})


def exchange(one: Connection, other: Connection) -> tuple[list[Event], list[Event]]:
    """Carries bytes both ways until there are none; gives the events of both."""
    of_one: list[Event] = []
    of_other: list[Event] = []
    while True:
        there, back = one.bytes_to_send(), other.bytes_to_send()
        if not there and not back:
            return of_one, of_other
        of_other += other.receive(there)
        of_one += one.receive(back)


class Peer:
    """A peer that says anything: it did the handshake with a connection of ours, and reads what that sends."""

    def __init__(self, networks: frozenset[Network] = REGTEST) -> None:
        self.ours = lsp(networks)
        handshake = initiator()
        self.ours.receive(handshake.bytes_to_send())
        self.transport: Transport = completed(handshake.receive(self.ours.bytes_to_send())).transport
        assert self.ours.receive(handshake.bytes_to_send()) == [Authenticated(INITIATOR.node_id)]

    def says(self, *messages: bytes) -> list[Event]:
        return self.ours.receive(b"".join(map(self.transport.encrypt, messages)))

    def hears(self) -> list[bytes]:
        return list(self.transport.receive(self.ours.bytes_to_send()))


def opened() -> Peer:
    """A peer after both inits."""
    peer = Peer()
    assert peer.says(GOOD_INIT) == [Init(LSP_INIT, REGTEST)]
    assert peer.hears() == [GOOD_INIT]
    return peer


def message(message_type: int, payload: bytes = b"") -> bytes:
    return message_type.to_bytes(2, "big") + payload


def warning_in(heard: list[bytes]) -> str:
    """The text of the one warning, about no channel, that was heard."""
    (only,) = heard
    assert only[:2] == b"\0\1"
    warning = PeerWarning.decode(only[2:])
    assert warning.channel_id is None
    return warning.text


def refused(peer: Peer, events: list[Event], cause: type[Exception], text: str, *, told: bool = True) -> None:
    """The last event is Closed for this cause, it is told in a warning or not at all, and nothing comes after it."""
    closed = events[-1]
    assert isinstance(closed, Closed)
    assert type(closed.cause) is cause
    assert text in str(closed.cause)
    heard = peer.hears()
    assert warning_in(heard) == str(closed.cause) if told else heard == []
    assert peer.ours.state is State.CLOSED
    assert peer.says(GOOD_INIT, PING) == []
    assert peer.hears() == []
    assert peer.ours.buffered == 0
