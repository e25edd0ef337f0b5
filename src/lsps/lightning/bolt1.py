"""One connection to a peer by BOLT 1, over BOLT 8: bytes in, events out. Pure: no I/O, no clock, no randomness.

    handshake --act wrong--> closed
        | done: Authenticated; our init goes out
    awaiting init --anything but init--> closed
        | a compatible init: Init
    open --broken frame, malformed or unknown even message, second init--> closed

1. Our init is our first message, and until the peer's is here we send nothing else (BOLT 1, init): no warning either.
2. An odd type that we do not know is ignored, an even one closes (BOLT 1, Lightning Message Format).
3. What was wrong is told in a `warning`, never in an `error`: an error for all channels makes a node fail them, and
   this connection may speak with the key of a node that has some.
4. Closed is the last event of a connection. It comes once, and what was said before it is still to be sent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass

from lsps.errors import LspsError
from lsps.lightning import reactions
from lsps.lightning.bolt8 import HandshakeFailed, Initiator, Responder
from lsps.lightning.features import init_objection
from lsps.lightning.messages import CustomMessage, Init, PeerError, PeerWarning, Ping, Pong, encode_warning, split_type
from lsps.lightning.reactions import Reaction, State
from lsps.lightning.transport import Transport, TransportBroken
from lsps.lightning.wire import Malformed
from lsps.units import Network, NodeId

MAX_UNSENT_BYTES = 2**20
"""A ping of 40 bytes on the wire asks for a pong of up to 65,569; this much of them is kept until it can be sent."""
_DECODERS: Mapping[int, type[Init | PeerError | PeerWarning | Ping | Pong]] = {
    Init.TYPE: Init,
    PeerError.TYPE: PeerError,
    PeerWarning.TYPE: PeerWarning,
    Ping.TYPE: Ping,
    Pong.TYPE: Pong,
}


class ProtocolViolation(LspsError):
    """The peer broke a rule of BOLT 1, which the text names."""

    def __init__(self, rule: str) -> None:
        super().__init__(f"broken rule of BOLT 1: {rule}")


class Incompatible(LspsError):
    """The peer's init asks for what we do not have, or it is on other networks."""

    def __init__(self, objection: str) -> None:
        super().__init__(f"incompatible init: {objection}")


class PeerHungUp(LspsError):
    """The peer closed the connection."""

    def __init__(self) -> None:
        super().__init__(
            "the peer closed the connection; one that dislikes our init (networks, features) does so without a word"
        )


class NotOpen(LspsError):
    """A message was to be sent before the peer's init, or after the end."""


@dataclass(frozen=True, slots=True)
class Authenticated:
    """The handshake is done: the peer holds the secret key of `peer`."""

    peer: NodeId


@dataclass(frozen=True, slots=True)
class Closed:
    """The connection is over: send what is left to send, then close the socket. `cause` says why."""

    cause: LspsError


Event = Authenticated | Init | CustomMessage | Ping | Pong | PeerError | PeerWarning | Closed


class Connection:
    """A peer, from the first byte to the last. After every call, send what `bytes_to_send` gives."""

    def __init__(
        self, handshake: Initiator | Responder, *, features: int, networks: Set[Network], custom_types: Set[int]
    ) -> None:
        """`features`: what our init says (features.CLIENT_INIT). `networks`: a peer that names only others is refused;
        none: any will do, and our init names none. `custom_types`: the types that become a CustomMessage."""
        self._below: Initiator | Responder | Transport | None = handshake
        """BOLT 8: the handshake, forgotten with its keys when done; then the transport; nothing at the end."""
        self._init = Init(features, frozenset(networks) or None)
        self._custom_types = frozenset(custom_types)
        self._unsent = bytearray(handshake.bytes_to_send())
        self._heard_init = False
        self.state = State.HANDSHAKE

    @property
    def buffered(self) -> int:
        """Bytes kept of what has not come whole: fewer than 65,535 + 16."""
        return 0 if self._below is None else self._below.buffered

    def bytes_to_send(self) -> bytes:
        """What must go to the peer now; each byte is given once."""
        unsent = bytes(self._unsent)
        self._unsent.clear()
        return unsent

    def send(self, message: CustomMessage | Ping) -> None:
        """Raises NotOpen, and MessageTooLong for a payload above 65,533 bytes."""
        if self.state is State.CLOSED:
            raise NotOpen("the connection has ended: connect again")
        if self.state is not State.OPEN or not isinstance(self._below, Transport):
            raise NotOpen("the peer's init is not here yet: wait for the Init event")
        self._unsent += self._below.encrypt(message.encode())

    def receive(self, data: bytes) -> list[Event]:
        """What `data` brought, in order. Raises nothing: what was wrong is in Closed. After that, nothing comes."""
        events: list[Event] = []
        if self.state is State.CLOSED:
            return events
        try:
            for event in self._events(data):
                events.append(event)
        except (HandshakeFailed, TransportBroken) as error:
            self._unsent.clear()  # BOLT 8: terminate without any further messages
            events.append(self._close(error))
        except Malformed as error:
            events.append(self._refuse(ProtocolViolation(f"a malformed message: {error}")))
        except (ProtocolViolation, Incompatible) as error:
            events.append(self._refuse(error))
        return events

    def receive_eof(self) -> list[Event]:
        """The peer closed its side of the socket."""
        if self.state is State.CLOSED:
            return []
        try:
            if isinstance(self._below, Initiator | Responder):
                self._below.receive_eof()
        except HandshakeFailed as error:
            return [self._close(error)]
        return [self._close(PeerHungUp())]

    def _events(self, data: bytes) -> Iterator[Event]:
        if isinstance(self._below, Initiator | Responder):
            completed = self._below.receive(data)
            self._unsent += self._below.bytes_to_send()
            if completed is None:
                return
            self._below = completed.transport
            self._unsent += self._below.encrypt(self._init.encode())
            self.state = State.AWAITING_INIT
            yield Authenticated(completed.peer)
            data = completed.unread
        if isinstance(self._below, Transport):
            for message in self._below.receive(data):
                yield from self._react(self._below, *split_type(message))

    def _react(self, transport: Transport, message_type: int, payload: bytes) -> Iterator[Event]:
        self._heard_init = self._heard_init or message_type == Init.TYPE
        reaction = reactions.reaction(self.state, message_type, self._custom_types)
        if reaction in {Reaction.TELL, Reaction.TELL_AND_CLOSE}:
            decoder = _DECODERS.get(message_type)
            message = CustomMessage(message_type, payload) if decoder is None else decoder.decode(payload)
            if isinstance(message, Init):
                self._check(message)
                self.state = State.OPEN
            yield message
            if isinstance(message, Ping):
                self._answer(transport, message)
        if reaction in {Reaction.CLOSE, Reaction.TELL_AND_CLOSE}:
            raise ProtocolViolation(reactions.objection(self.state, message_type))

    def _check(self, theirs: Init) -> None:
        objection = init_objection(theirs.features)  # BOLT 1: MUST close for unknown even bits, missing dependencies
        if objection is not None:
            raise Incompatible(objection)
        ours = self._init.networks
        if ours is not None and theirs.networks is not None and not ours & theirs.networks:  # BOLT 1: MAY close
            raise Incompatible(f"its networks are none of ours ({', '.join(sorted(ours))})")

    def _answer(self, transport: Transport, ping: Ping) -> None:
        pong = ping.answer()
        if pong is None:
            return
        if len(self._unsent) + pong.byteslen > MAX_UNSENT_BYTES:  # BOLT 1: precautions against ping flooding
            raise ProtocolViolation("pongs are asked for faster than they are read")
        self._unsent += transport.encrypt(pong.encode())

    def _refuse(self, cause: LspsError) -> Closed:
        if isinstance(self._below, Transport) and self._heard_init:
            self._unsent += self._below.encrypt(encode_warning(str(cause)))
        return self._close(cause)

    def _close(self, cause: LspsError) -> Closed:
        self.state = State.CLOSED
        self._below = None
        return Closed(cause)
