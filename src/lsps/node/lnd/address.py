"""The URL that names an LND node, and the files it leads to.

    lnd://HOST:PORT?tls_cert=PATH&macaroon=PATH
    lnd:///path/to/lnddir?network=regtest[&rpc=HOST:PORT]

The second form is a directory of lnd's own layout: its tls.cert, and `lsps.macaroon` if it is there, else the network's
admin.macaroon, with a warning, since that one can spend everything.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from lsps.logs import event
from lsps.node.contract import NodeError
from lsps.paths import seen_from
from lsps.units import Network

DEFAULT_RPC = "127.0.0.1:10009"
"""Where lnd listens for gRPC unless its rpclisten says otherwise."""

_LND_IN_HEX, _LND_IN_BASE64 = "0201036c6e64", "AgEDbG5k"
"""With these begins every macaroon of lnd's: version 2, then its location, "lnd"."""

_logger = logging.getLogger("lsps.node")


class InvalidNodeUrl(NodeError, ValueError):
    """The URL cannot name an LND node, or a file it names cannot be read; the text says which part."""


@dataclass(frozen=True, slots=True)
class LndAddress:
    """`rpc` is HOST:PORT. The macaroon is named by its file: the secret itself is read only to connect."""

    rpc: str
    tls_cert: Path
    macaroon: Path


def parse(url: str, base: Path = Path()) -> LndAddress:
    """The address that the URL names. Relative paths are relative to `base`. Raises InvalidNodeUrl, InvalidPath."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InvalidNodeUrl(f"this is no URL: {error!s:.200}") from None
    if parts.scheme != "lnd":
        raise InvalidNodeUrl(f"a URL of an LND node begins with lnd://, not {parts.scheme or 'nothing'}://")
    if parts.username is not None or parts.fragment:
        raise InvalidNodeUrl("a URL of an LND node has no user and no #: lnd://HOST:PORT?tls_cert=PATH&macaroon=PATH")
    if parts.netloc:
        if parts.path not in ("", "/"):
            raise InvalidNodeUrl("with HOST:PORT there is no path: name a directory as lnd:///path/to/lnddir?network=…")
        options = _options(parts.query, ("tls_cert", "macaroon"))
        return LndAddress(
            _host_and_port(parts.netloc, "host"),
            seen_from(base, _required(options, "tls_cert")),
            seen_from(base, _path_of_macaroon(options)),
        )
    if parts.path in ("", "/"):
        raise InvalidNodeUrl(
            "write lnd://HOST:PORT?tls_cert=PATH&macaroon=PATH or lnd:///path/to/lnddir?network=regtest"
        )
    options = _options(parts.query, ("network", "rpc"))
    directory = seen_from(Path("/"), unquote(parts.path))
    network = _network(options.get("network", Network.MAINNET.value))
    rpc = _host_and_port(options["rpc"], "rpc") if "rpc" in options else DEFAULT_RPC
    return LndAddress(rpc, directory / "tls.cert", _macaroon_in(directory, network))


def read_file(path: Path, name: str) -> bytes:
    """The file's content. Raises InvalidNodeUrl that names it and says where LND keeps it."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidNodeUrl(f"{name}: cannot read {path}: {error.strerror}; {_WHERE[name]}") from error


def read_certificate(path: Path) -> bytes:
    """As `read_file`. What is no certificate is told here: gRPC would take it, and say that lnd does not answer."""
    content = read_file(path, "tls_cert")
    if b"-----BEGIN CERTIFICATE-----" not in content:
        raise InvalidNodeUrl(f"tls_cert: {path} is no certificate (PEM); {_WHERE['tls_cert']}")
    return content


_WHERE = {
    "tls_cert": "lnd writes tls.cert into its directory at first start",
    "macaroon": "bake one with `lncli bakemacaroon` as docs/lnd.md shows",
}


def _options(query: str, known: tuple[str, ...]) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query))
    except ValueError as error:
        raise InvalidNodeUrl("after ? come NAME=VALUE pairs joined by &") from error
    options: dict[str, str] = {}
    for name, value in pairs:
        if name not in known:
            raise InvalidNodeUrl(f"unknown option {name!r:.40}: this form of the URL takes {' and '.join(known)}")
        if name in options or not value:
            raise InvalidNodeUrl(f"the option {name} must be there once, with a value")
        options[name] = value
    return options


def _required(options: dict[str, str], name: str) -> str:
    if name not in options:
        raise InvalidNodeUrl(f"{name}=PATH is missing: lnd://HOST:PORT?tls_cert=PATH&macaroon=PATH")
    return options[name]


def _path_of_macaroon(options: dict[str, str]) -> str:
    """lndconnect:// URLs have the macaroon itself there: taken for a path, it would be shown in an error."""
    text = _required(options, "macaroon")
    if text.lower().startswith(_LND_IN_HEX) or text.startswith(_LND_IN_BASE64):
        raise InvalidNodeUrl("macaroon: here stands a macaroon itself, a secret: save it in a file, and name that")
    return text


def _host_and_port(text: str, name: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdecimal() and len(port) <= 5 and 0 < int(port) < 2**16):
        raise InvalidNodeUrl(f"{name}: {text!r:.80} is not HOST:PORT, like {DEFAULT_RPC}")
    return text


def _network(text: str) -> Network:
    try:
        return Network(text)
    except ValueError as error:
        raise InvalidNodeUrl(f"network: {text!r:.40} is none of {', '.join(Network)}") from error


def _macaroon_in(directory: Path, network: Network) -> Path:
    own = directory / "lsps.macaroon"
    try:
        if own.exists():
            return own
    except OSError as error:
        raise InvalidNodeUrl(f"lnd's directory: cannot look for {own}: {error.strerror}") from error
    admin = directory / "data" / "chain" / "bitcoin" / network.value / "admin.macaroon"
    event(
        _logger,
        logging.WARNING,
        "using_admin_macaroon",
        macaroon=str(admin),
        advice=f"it can spend everything: bake {own} with the few permissions lsps needs, see docs/lnd.md",
    )
    return admin
