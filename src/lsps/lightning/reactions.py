"""What BOLT 1 says about a message by its type alone, as data: what is told, ignored, or closes the connection."""

from __future__ import annotations

from collections.abc import Mapping, Set
from enum import Enum, auto

from lsps.lightning.messages import Init, PeerError, PeerWarning, Ping, Pong


class State(Enum):
    """Where a connection is."""

    HANDSHAKE = auto()
    AWAITING_INIT = auto()
    OPEN = auto()
    CLOSED = auto()


class Reaction(Enum):
    """What is done about a message."""

    TELL = auto()
    """It becomes an event; a ping is answered as well, an init opens the connection or is refused."""
    IGNORE = auto()
    CLOSE = auto()
    TELL_AND_CLOSE = auto()


_CHANNEL_ANNOUNCEMENT = 256
_CHANNEL_UPDATE = 258

_BY_TYPE: Mapping[State, Mapping[int, Reaction]] = {
    State.AWAITING_INIT: {
        Init.TYPE: Reaction.TELL,
        # Some nodes say first why they will not have us: against BOLT 1, but worth hearing.
        PeerError.TYPE: Reaction.TELL_AND_CLOSE,
        PeerWarning.TYPE: Reaction.TELL_AND_CLOSE,
    },
    State.OPEN: {
        Init.TYPE: Reaction.CLOSE,
        PeerError.TYPE: Reaction.TELL,
        PeerWarning.TYPE: Reaction.TELL,
        Ping.TYPE: Reaction.TELL,
        Pong.TYPE: Reaction.TELL,
        # BOLT 7's even types are known, and come unasked to a peer that does not offer gossip_queries.
        _CHANNEL_ANNOUNCEMENT: Reaction.IGNORE,
        _CHANNEL_UPDATE: Reaction.IGNORE,
    },
}


def reaction(state: State, message_type: int, custom_types: Set[int]) -> Reaction:
    """By the table; any other type closes before init (BOLT 1: init MUST come first), and after it is told if it is one
    of ours, ignored if odd, and closes if even (BOLT 1, Lightning Message Format)."""
    by_type = _BY_TYPE[state].get(message_type)
    if by_type is not None:
        return by_type
    if state is State.AWAITING_INIT:
        return Reaction.CLOSE
    if message_type in custom_types:
        return Reaction.TELL
    return Reaction.IGNORE if message_type % 2 else Reaction.CLOSE


def objection(state: State, message_type: int) -> str:
    """The rule that a message broke whose reaction was to close."""
    if state is State.AWAITING_INIT:
        return f"the first message is init (type 16), not one of type {message_type}"
    if message_type == Init.TYPE:
        return "init comes once"
    return f"message type {message_type} is even and unknown, so it may not be ignored"
