"""Two ends of a BOLT 8 connection, with the keys of its test vectors."""

from __future__ import annotations

from lsps.lightning.bolt1 import Connection, Event
from lsps.lightning.bolt8 import Completed, Initiator, Responder
from lsps.lightning.features import CLIENT_INIT, LSP_INIT
from lsps.lightning.keys import SecretKey
from lsps.lightning.transport import Transport
from lsps.units import Network

INITIATOR = SecretKey(b"\x11" * 32)
INITIATOR_EPHEMERAL = SecretKey(b"\x12" * 32)
RESPONDER = SecretKey(b"\x21" * 32)
RESPONDER_EPHEMERAL = SecretKey(b"\x22" * 32)
LSPS = 37913
REGTEST = frozenset({Network.REGTEST})


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
