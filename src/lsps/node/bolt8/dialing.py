"""From HOST:PORT to a connected Link: IPv4, IPv6, DNS names, and all of them through a SOCKS5 proxy if one is named.

With a proxy every connection goes through it, and names are resolved by it: who names Tor's wants no other trace.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable

from lsps.errors import LspsError
from lsps.node.bolt8.link import Link
from lsps.node.contract import NotSupported

DEFAULT_PORT = 9735
"""BOLT 1: Lightning's port on mainnet."""
_HAPPY_EYEBALLS_SECONDS = 0.25


class CannotDial(LspsError):
    """No connection to the address was made; the text says why."""


class InvalidAddress(CannotDial, ValueError):
    """Not HOST:PORT."""


def split_address(address: str) -> tuple[str, int]:
    """Host, without an IPv6 address's brackets, and port. Raises InvalidAddress."""
    host, colon, port = address.strip().rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    if not (colon and host and port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) < 2**16):
        raise InvalidAddress(f"{address!r:.80} is not HOST:PORT, like 127.0.0.1:{DEFAULT_PORT}")
    return host, int(port)


class Dialer:
    """`socks5`: HOST:PORT of a proxy. Raises InvalidAddress, and NotSupported when the library for it is missing."""

    def __init__(self, socks5: str | None = None) -> None:
        self._proxy = None if socks5 is None else split_address(socks5)
        if socks5 is not None:
            try:
                import python_socks.async_.asyncio  # noqa: F401
            except ModuleNotFoundError as error:
                raise NotSupported("a SOCKS5 proxy needs a library: pip install 'lsps[socks]'") from error

    async def connect(self, address: str, make: Callable[[], Link]) -> Link:
        """Raises CannotDial. How long it may take is the caller's."""
        host, port = split_address(address)
        loop = asyncio.get_running_loop()
        try:
            if self._proxy is not None:
                through = await self._through(self._proxy, host, port)
                try:
                    _, link = await loop.create_connection(make, sock=through)
                except BaseException:
                    through.close()
                    raise
            elif host.lower().rstrip(".").endswith(".onion"):
                raise CannotDial("an onion address needs Tor's SOCKS5 proxy: bolt8://?socks5=127.0.0.1:9050")
            else:
                _, link = await loop.create_connection(make, host, port, happy_eyeballs_delay=_HAPPY_EYEBALLS_SECONDS)
        except (OSError, ValueError) as error:
            raise CannotDial(in_words(error)) from error
        return link

    async def _through(self, proxy: tuple[str, int], host: str, port: int) -> socket.socket:
        from python_socks import ProxyError, ProxyType
        from python_socks.async_.asyncio import Proxy

        made = Proxy.create(ProxyType.SOCKS5, *proxy, rdns=True)
        try:
            return await made.connect(host, port)
        except (ProxyError, OSError) as error:
            raise CannotDial(f"the SOCKS5 proxy could not connect: {in_words(error)}") from error


def in_words(error: Exception) -> str:
    """In the system's own words: asyncio's repeat the address, which our caller names."""
    if isinstance(error, LspsError):
        return str(error)
    if isinstance(error, ValueError):  # a name that cannot be asked for; the library's text is about codecs and bytes
        return "no host can have this name"
    if isinstance(error, OSError) and error.errno is not None:
        return os.strerror(error.errno) if error.errno > 0 else str(error.strerror)
    return str(error)
