"""BOLT 1's own messages, as they are sent and as they arrive: init, error, warning, ping, pong; and custom ones.

`decode` takes what follows the two bytes of the type and raises `wire.Malformed`; `encode` gives the whole message.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar, Self

from lsps.lightning.wire import Malformed, Reader, decode_tlv_stream, encode_tlv_stream
from lsps.units import ChannelId, Network

TYPE_BYTES = 2
PONG_LIMIT = 65_532
"""BOLT 1: a ping that asks for this many bytes or more is not answered."""
_MAX_TEXT = 500
_NETWORKS = 1
_CHAIN_HASH_BYTES = 32
_NO_CHANNEL = bytes(32)
_CHAIN_HASHES: Mapping[Network, bytes] = {
    Network.MAINNET: bytes.fromhex("6fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000"),
    Network.TESTNET: bytes.fromhex("43497fd7f826957108f4a30fd9cec3aeba79972084e90ead01ea330900000000"),
    Network.SIGNET: bytes.fromhex("f61eee3b63a380a477a063af32b2bbc97c9ff9f01f2c4225e973988108000000"),
    Network.REGTEST: bytes.fromhex("06226e46111a0b59caaf126043eb5bbf28c34f3a5e332a1fc7b2b73cf188910f"),
}
"""BOLT 0: the genesis block's hash, in the order of its bytes."""


@dataclass(frozen=True, slots=True)
class Init:
    """What a node supports, requires and is about: the first message on a connection."""

    TYPE: ClassVar[int] = 16

    features: int = field(repr=False)
    """A BOLT 9 vector (see `features`), of up to a million bits when it is a peer's."""
    networks: frozenset[Network] | None = None
    """None: not told. Those that we have no name for are left out."""

    def encode(self) -> bytes:
        features = self.features.to_bytes((self.features.bit_length() + 7) // 8, "big")
        records = {}
        if self.networks is not None:
            records[_NETWORKS] = b"".join(_CHAIN_HASHES[network] for network in sorted(self.networks))
        # All features go into the second field: SHOULD NOT set those above 13 in globalfeatures.
        return _u16(self.TYPE) + _u16(0) + _u16(len(features)) + features + encode_tlv_stream(records)

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        reader = Reader(payload)
        globalfeatures = int.from_bytes(reader.take(reader.uint(2)), "big")
        features = int.from_bytes(reader.take(reader.uint(2)), "big")
        chains = decode_tlv_stream(reader.rest(), {_NETWORKS}).get(_NETWORKS)
        return cls(globalfeatures | features, None if chains is None else _networks(chains))


@dataclass(frozen=True, slots=True)
class _Text:
    channel_id: ChannelId | None
    """None: about all channels, or no special one (all zero)."""
    text: str
    """Printable ASCII, anything else as "?" (BOLT 1: SHOULD NOT print it verbatim), at most 500 characters."""

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        reader = Reader(payload)
        channel_id = reader.take(32)
        data = reader.take(reader.uint(2))[:_MAX_TEXT]
        text = "".join(chr(byte) if 32 <= byte <= 126 else "?" for byte in data)
        return cls(None if channel_id == _NO_CHANNEL else ChannelId(channel_id.hex()), text)


class PeerError(_Text):
    """An `error`: the peer gives up on a channel, or on all of them."""

    __slots__ = ()
    TYPE: ClassVar[int] = 17


class PeerWarning(_Text):
    """A `warning`: worth logging, nothing is given up."""

    __slots__ = ()
    TYPE: ClassVar[int] = 1


@dataclass(frozen=True, slots=True)
class Ping:
    """Asks for a pong of `num_pong_bytes`."""

    TYPE: ClassVar[int] = 18

    num_pong_bytes: int = 0

    def encode(self) -> bytes:
        return _u16(self.TYPE) + _u16(self.num_pong_bytes) + _u16(0)

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        reader = Reader(payload)
        num_pong_bytes = reader.uint(2)
        reader.take(reader.uint(2))
        return cls(num_pong_bytes)

    def answer(self) -> Pong | None:
        """The pong that a node MUST send; None for a ping that it MUST ignore."""
        return Pong(self.num_pong_bytes) if self.num_pong_bytes < PONG_LIMIT else None


@dataclass(frozen=True, slots=True)
class Pong:
    """Answers a ping with `byteslen` bytes, zeros when it is ours."""

    TYPE: ClassVar[int] = 19

    byteslen: int = 0

    def encode(self) -> bytes:
        return _u16(self.TYPE) + _u16(self.byteslen) + bytes(self.byteslen)

    @classmethod
    def decode(cls, payload: bytes) -> Self:
        reader = Reader(payload)
        byteslen = reader.uint(2)
        reader.take(byteslen)
        return cls(byteslen)


@dataclass(frozen=True, slots=True)
class CustomMessage:
    """A message of a type that BOLT 1 leaves to applications, like bLIP-50's 37913; at most 65,533 bytes of payload."""

    type: int
    payload: bytes = field(repr=False)

    def encode(self) -> bytes:
        return _u16(self.type) + self.payload


def encode_warning(text: str) -> bytes:
    """A `warning` about no special channel; what is not printable ASCII becomes "?"."""
    data = text.encode("ascii", "replace")[:_MAX_TEXT]
    return _u16(PeerWarning.TYPE) + _NO_CHANNEL + _u16(len(data)) + data


def split_type(message: bytes) -> tuple[int, bytes]:
    """A message's type and what follows it. Raises Malformed when it is too short to have one."""
    reader = Reader(message)
    return reader.uint(TYPE_BYTES), reader.rest()


def _networks(chains: bytes) -> frozenset[Network]:
    if len(chains) % _CHAIN_HASH_BYTES:
        raise Malformed("its `networks` are not whole chain hashes of 32 bytes")
    hashes = {chains[start : start + _CHAIN_HASH_BYTES] for start in range(0, len(chains), _CHAIN_HASH_BYTES)}
    return frozenset(network for network, chain_hash in _CHAIN_HASHES.items() if chain_hash in hashes)


def _u16(value: int) -> bytes:
    return value.to_bytes(2, "big")
