"""The handshake of BOLT 8, Noise_XK_secp256k1_ChaChaPoly_SHA256, for both roles. Pure: bytes in, bytes and events out.

    initiator                        responder            each side's work
    wants act two    -- act one -->  wants act one        e, es
    wants act two    <-- act two --  wants act three      e, ee
    done            -- act three ->  done                 s, se

1. An act has a fixed size and is looked at only when all of it is there, so cutting the stream changes nothing.
2. Any act that is wrong ends the handshake: nothing more is sent (BOLT 8: MUST terminate without further messages).
3. When done, the keys go to a `Transport`, and what followed the last act belongs to that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum
from typing import ClassVar

from lsps.errors import LspsError
from lsps.lightning.aead import TAG_BYTES, BadTag
from lsps.lightning.keys import InvalidKey, SecretKey
from lsps.lightning.noise import POINT_BYTES, HandshakeState
from lsps.lightning.transport import Transport
from lsps.units import InvalidUnit, NodeId


class State(Enum):
    """What a side waits for."""

    WANTS_ACT_ONE = "act one"
    WANTS_ACT_TWO = "act two"
    WANTS_ACT_THREE = "act three"
    DONE = "nothing: the keys are split"
    FAILED = "nothing: an act was wrong"


@dataclass(frozen=True, slots=True)
class _Act:
    number: int
    size: int


_ACTS: Mapping[State, _Act] = {
    State.WANTS_ACT_ONE: _Act(1, 1 + POINT_BYTES + TAG_BYTES),
    State.WANTS_ACT_TWO: _Act(2, 1 + POINT_BYTES + TAG_BYTES),
    State.WANTS_ACT_THREE: _Act(3, 1 + POINT_BYTES + TAG_BYTES + TAG_BYTES),
}
_VERSION = b"\0"
"""Each act begins with it."""


class Reason(StrEnum):
    """Why an act was refused; the names are those of BOLT 8's test vectors."""

    READ_FAILED = "READ_FAILED"
    BAD_VERSION = "BAD_VERSION"
    BAD_PUBKEY = "BAD_PUBKEY"
    BAD_CIPHERTEXT = "BAD_CIPHERTEXT"
    BAD_TAG = "BAD_TAG"


_EXPLANATIONS: Mapping[Reason, str] = {
    Reason.READ_FAILED: "the peer hung up; a node does so when it is called by a public key that is not its own",
    Reason.BAD_VERSION: "the peer speaks a version of the handshake that we do not know, or no Lightning at all",
    Reason.BAD_PUBKEY: "the peer sent a public key that is no point of secp256k1",
    Reason.BAD_CIPHERTEXT: "the peer's identity does not decrypt: its bytes were changed on the way",
    Reason.BAD_TAG: "one side does not hold the key that the other expects: check the public key and the address",
}


class HandshakeFailed(LspsError):
    """The handshake ended at act `act` (1 to 3) for `reason`; close the connection and send nothing more."""

    def __init__(self, act: int, reason: Reason) -> None:
        super().__init__(f"the handshake failed at act {act} ({reason}): {_EXPLANATIONS[reason]}")
        self.act = act
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Completed:
    """The handshake is done: the peer proved that it holds the secret key of `peer`."""

    peer: NodeId
    transport: Transport = field(repr=False)
    unread: bytes = field(repr=False)
    """What came after the last act: for `transport`."""


class _Handshake:
    """What both roles share: whole acts are read, answered or refused."""

    first_state: ClassVar[State]

    def __init__(self, local: SecretKey, responder: NodeId, ephemeral: SecretKey) -> None:
        self._local = local
        self._ephemeral = ephemeral
        self._noise = HandshakeState(responder)
        self._buffer = b""
        self._unsent = b""
        self._failure: HandshakeFailed | None = None
        self.state = self.first_state

    @property
    def buffered(self) -> int:
        """Bytes kept of an act that is not complete: at most 65."""
        return len(self._buffer)

    def bytes_to_send(self) -> bytes:
        """What must go to the peer now; each byte is given once."""
        unsent, self._unsent = self._unsent, b""
        return unsent

    def receive(self, data: bytes) -> Completed | None:
        """Takes bytes of any length; then ask for `bytes_to_send`. What comes after Completed is for its transport.
        Raises HandshakeFailed, and again for whatever comes after that."""
        if self._failure is not None:
            raise self._failure
        self._buffer += data
        completed = None
        while (act := _ACTS.get(self.state)) is not None and len(self._buffer) >= act.size:
            message, self._buffer = self._buffer[: act.size], self._buffer[act.size :]
            completed = self._take_act(act, message)
        return completed

    def receive_eof(self) -> None:
        """The peer closed its side. Raises HandshakeFailed while an act is awaited."""
        if (act := _ACTS.get(self.state)) is not None:
            raise self._fail(act, Reason.READ_FAILED)

    def _take_act(self, act: _Act, message: bytes) -> Completed | None:
        if message[:1] != _VERSION:  # BOLT 8, Handshake Versioning: MUST reject an unknown version
            raise self._fail(act, Reason.BAD_VERSION)
        try:
            return self._answer(message[1:])
        except BadTag:
            raise self._fail(act, Reason.BAD_TAG) from None
        except (InvalidUnit, InvalidKey):
            raise self._fail(act, Reason.BAD_PUBKEY) from None

    def _answer(self, message: bytes) -> Completed | None:
        """Takes an act without its version byte, queues the next one and moves on."""
        raise NotImplementedError

    def _fail(self, act: _Act, reason: Reason) -> HandshakeFailed:
        self.state = State.FAILED
        self._buffer = self._unsent = b""
        self._failure = HandshakeFailed(act.number, reason)
        return self._failure

    def _complete(self, peer: NodeId, *, sending_key: bytes, receiving_key: bytes) -> Completed:
        self.state = State.DONE
        unread, self._buffer = self._buffer, b""
        chaining_key = self._noise.chaining_key
        transport = Transport(sending_key=sending_key, receiving_key=receiving_key, chaining_key=chaining_key)
        return Completed(peer, transport, unread)


class Initiator(_Handshake):
    """Who connects: it knows the responder's key beforehand. Act one is ready to be sent from the start."""

    first_state = State.WANTS_ACT_TWO

    def __init__(self, local: SecretKey, remote: NodeId, ephemeral: SecretKey) -> None:
        """`ephemeral` is fresh and random for each connection. Raises InvalidKey when `remote` is no point."""
        super().__init__(local, remote, ephemeral)
        self._remote = remote
        self._unsent = _VERSION + self._noise.write_ephemeral(ephemeral, remote)

    def _answer(self, message: bytes) -> Completed:
        noise = self._noise
        their_ephemeral = noise.read_ephemeral(message, self._ephemeral)
        identity = noise.seal(1, bytes(self._local.node_id))
        noise.mix_key(self._local.ecdh(their_ephemeral))
        self._unsent += _VERSION + identity + noise.seal(0, b"")
        ours, theirs = noise.split()
        return self._complete(self._remote, sending_key=ours, receiving_key=theirs)


class Responder(_Handshake):
    """Who listens: it learns from act three who the initiator is."""

    first_state = State.WANTS_ACT_ONE

    def __init__(self, local: SecretKey, ephemeral: SecretKey) -> None:
        """`ephemeral` is fresh and random for each connection."""
        super().__init__(local, local.node_id, ephemeral)

    def _answer(self, message: bytes) -> Completed | None:
        if self.state is State.WANTS_ACT_THREE:
            return self._answer_act_three(message[:-TAG_BYTES], message[-TAG_BYTES:])
        their_ephemeral = self._noise.read_ephemeral(message, self._local)
        self._unsent = _VERSION + self._noise.write_ephemeral(self._ephemeral, their_ephemeral)
        self.state = State.WANTS_ACT_THREE
        return None

    def _answer_act_three(self, identity: bytes, tag: bytes) -> Completed:
        noise = self._noise
        try:
            point = noise.open(1, identity)
        except BadTag:
            raise self._fail(_ACTS[self.state], Reason.BAD_CIPHERTEXT) from None
        peer = NodeId(point.hex())
        noise.mix_key(self._ephemeral.ecdh(peer))
        noise.open(0, tag)
        theirs, ours = noise.split()
        return self._complete(peer, sending_key=ours, receiving_key=theirs)
