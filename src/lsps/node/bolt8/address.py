"""The URL of a connection without a node.

bolt8://                                               an identity that is thrown away, peers on any network
bolt8://?key=PATH&network=regtest&socks5=HOST:PORT     each part may be left out
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

from lsps.node.bolt8.dialing import split_address
from lsps.node.contract import NodeError
from lsps.paths import seen_from
from lsps.units import Network

T = TypeVar("T")


class InvalidNodeUrl(NodeError, ValueError):
    """The URL is not bolt8://?…; the text says which part is wrong."""


@dataclass(frozen=True, slots=True)
class Bolt8Address:
    """`key`: the identity's file; None: a throwaway one. `network` None: any. `socks5`: HOST:PORT."""

    key: Path | None = None
    network: Network | None = None
    socks5: str | None = None


def parse(url: str, base: Path = Path()) -> Bolt8Address:
    """Relative paths are seen from `base`. Raises InvalidNodeUrl, InvalidPath."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidNodeUrl(f"this is no URL: {error!s:.200}") from None
    if parts.scheme != "bolt8" or parts.netloc or parts.path not in ("", "/") or parts.fragment:
        raise InvalidNodeUrl(
            "write bolt8://?key=PATH&network=…, or bolt8:// alone; the LSP's address is not part of it"
        )
    try:
        pairs = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise InvalidNodeUrl("after ? come NAME=VALUE pairs joined by &") from error
    options = dict(pairs)
    unknown = options.keys() - {"key", "network", "socks5"}
    if unknown or len(options) < len(pairs) or not all(options.values()):
        raise InvalidNodeUrl("after bolt8://? come key, network and socks5, each at most once and with a value")
    key, socks5 = options.get("key"), options.get("socks5")
    return Bolt8Address(
        None if key is None else seen_from(base, key),
        _read(Network, options.get("network"), f"network is one of {', '.join(Network)}"),
        None if _read(split_address, socks5, "socks5 is HOST:PORT, like 127.0.0.1:9050") is None else socks5,
    )


def _read(parse: Callable[[str], T], text: str | None, rule: str) -> T | None:
    try:
        return None if text is None else parse(text)
    except ValueError as error:
        raise InvalidNodeUrl(rule) from error
