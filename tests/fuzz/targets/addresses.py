"""What people and files name things by: nodes' URLs, PUBKEY@HOST:PORT, HOST:PORT. The first byte chooses which."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lsps.client import client
from lsps.errors import LspsError
from lsps.lightning.keys import InvalidKey, check_node_id
from lsps.node.bolt8 import address as bolt8
from lsps.node.bolt8 import dialing, peers
from lsps.node.lnd import address as lnd
from lsps.units import InvalidUnit, NodeId, Outpoint, Scid
from tests.fuzz.target import Target
from tests.lightning.peers import RESPONDER

HERE = Path("/nonexistent")


def node_id(text: str) -> None:
    parsed = NodeId.parse(text)
    assert NodeId.parse(str(parsed)) == parsed
    check_node_id(parsed)


def scid(text: str) -> None:
    assert str(Scid.parse(text)) == text
    assert Scid.from_int(int(Scid.parse(text))) == Scid.parse(text)


def outpoint(text: str) -> None:
    assert str(Outpoint.parse(text)) == text.lower()
    Outpoint.parse(text).channel_id()


def lsp(text: str) -> None:
    client._parse(text)


PARSERS: tuple[Callable[[str], object], ...] = (
    lambda text: lnd.parse(text, HERE),
    lambda text: bolt8.parse(text, HERE),
    dialing.split_address,
    peers.source_of,
    lsp,
    node_id,
    scid,
    outpoint,
)
PREFIXES = ("lnd://", "bolt8://", "", "", "", "", "", "")


def check(data: bytes) -> None:
    """A value, or a typed error of one short text."""
    if not data:
        return
    choice = data[0] % len(PARSERS)
    try:
        PARSERS[choice](PREFIXES[choice] + data[1:].decode(errors="replace"))
    except (LspsError, InvalidUnit, InvalidKey) as error:
        assert len(str(error)) < 500


NODE = RESPONDER.node_id.hex
TEXTS = (
    *((0, text) for text in ("127.0.0.1:10009?tls_cert=a&macaroon=b", "/dir?network=regtest&rpc=[::1]:1", "u@h:1#f")),
    *((1, text) for text in ("", "?key=a&network=regtest&socks5=127.0.0.1:9050", "[", "?key=~no-such-user/x")),
    *((2, text) for text in ("127.0.0.1:9735", "[::1]:1", "a.onion:65536")),
    *((3, text) for text in ("127.0.0.1", "::ffff:1.2.3.4", "fe80::1%eth0", "2001:db8::1")),
    *((4, text) for text in (NODE, f"{NODE}@127.0.0.1:9735", f"{NODE}@[::1]:1")),
    *((5, text) for text in (NODE, NODE.upper(), "02" + "00" * 32)),
    *((6, text) for text in ("539268x845x1", "16777215x16777215x65535", "1x1x65536")),
    *((7, text) for text in ("AB" * 32 + ":0", "ab" * 32 + ":65535")),
)
TARGET = Target(
    check,
    tuple(bytes([choice]) + text.encode() for choice, text in TEXTS),
    words=("[", "]", "://", "?", "&", "network=", "rpc=", "key=", "socks5=", "tls_cert=", "macaroon=", "~", "%00", "@"),
    max_bytes=400,
)
