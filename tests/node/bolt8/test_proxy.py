"""SOCKS5: connections through a proxy, which here is a small one of the tests' own."""

from __future__ import annotations

import asyncio
import ipaddress
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from lsps.node.bolt8.dialing import Dialer
from lsps.node.contract import NotSupported, PeerNotConnected
from tests.node.bolt8.environment import Host, host, new_key, server

ONION = "pg6mmjiyjmcrsslvykfwnntlaru7p5svn6y2ymmju6nubxndf4pscryd.onion"


class FakeProxy:
    """RFC 1928 without authentication; every destination leads to one port of loopback, or is refused."""

    def __init__(self, target: Host, *, refuse: bool = False) -> None:
        self.asked: list[tuple[str, int]] = []
        self._target = target
        self._refuse = refuse
        self._tasks: list[asyncio.Task[None]] = []
        self._writers: list[asyncio.StreamWriter] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        methods = (await reader.readexactly(2))[1]
        await reader.readexactly(methods)
        writer.write(b"\x05\x00")
        try:
            _, _, _, kind = await reader.readexactly(4)
        except asyncio.IncompleteReadError:
            return  # it could not ask for what it wanted
        match kind:
            case 1:
                name = str(ipaddress.IPv4Address(await reader.readexactly(4)))
            case 4:
                name = str(ipaddress.IPv6Address(await reader.readexactly(16)))
            case _:
                name = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        self.asked.append((name, int.from_bytes(await reader.readexactly(2), "big")))
        if self._refuse:
            writer.write(b"\x05\x04\x00\x01" + bytes(6))  # host unreachable
            return
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._target.port)
        self._writers.append(there_writer)
        writer.write(b"\x05\x00\x00\x01" + bytes(6))
        self._tasks = [
            asyncio.create_task(self._pump(reader, there_writer)),
            asyncio.create_task(self._pump(there_reader, writer)),
        ]

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(2**16):
            target.write(data)
        target.close()


@asynccontextmanager
async def proxy(target: Host, *, refuse: bool = False) -> AsyncIterator[tuple[FakeProxy, Dialer]]:
    fake = FakeProxy(target, refuse=refuse)
    server = await asyncio.start_server(fake.serve, "127.0.0.1", 0)
    try:
        yield fake, Dialer(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
    finally:
        server.close()
        await fake.close()


@pytest.mark.parametrize("name", [ONION, "lsp.invalid", "127.0.0.1", "::1"])
async def test_every_address_goes_through_the_proxy(name: str) -> None:
    """With a proxy, names go to it unresolved (an onion name cannot be resolved here), and addresses as well."""
    async with host() as theirs, proxy(theirs) as (fake, dialer), host(dialer=dialer) as ours:
        await ours.messages.connect(theirs.node_id, f"{name}:9735")
        assert fake.asked == [(name, 9735)]
        assert await ours.messages.peer(theirs.node_id) is not None


async def test_a_proxy_that_cannot_connect() -> None:
    """The proxy's refusal is told, with the address that was asked for."""
    async with host() as theirs, proxy(theirs, refuse=True) as (_, dialer), host(dialer=dialer) as ours:
        with pytest.raises(PeerNotConnected, match=rf"{ONION}.*SOCKS5"):
            await ours.messages.connect(theirs.node_id, f"{ONION}:9735")


async def test_no_proxy_is_there() -> None:
    """A proxy that does not answer is told as such."""
    async with host() as theirs, host(dialer=Dialer("127.0.0.1:1")) as ours:
        with pytest.raises(PeerNotConnected, match="SOCKS5"):
            await ours.messages.connect(theirs.node_id, theirs.address)


@pytest.mark.parametrize("name", [ONION, ONION.upper(), f"{ONION}."])
async def test_an_onion_address_without_a_proxy(name: str) -> None:
    """An onion name, however it is written, must not be asked of DNS: the error says what is needed."""
    async with host() as ours, host() as theirs:
        with pytest.raises(PeerNotConnected, match="socks5="):
            await ours.messages.connect(theirs.node_id, f"{name}:9735")


@pytest.mark.parametrize("name", ["x" * 64, "a." * 130 + "onion", "a\ud800b", ""])
async def test_a_name_that_no_proxy_takes(name: str) -> None:
    """A name that is too long for SOCKS5, or none, is PeerNotConnected and nothing worse."""
    async with host() as theirs, proxy(theirs) as (fake, dialer), host(dialer=dialer) as ours:
        with pytest.raises(PeerNotConnected):
            await ours.messages.connect(theirs.node_id, f"{name}:9735")
        assert fake.asked == []


@pytest.mark.parametrize("answer", [b"", b"\x05", b"\x05\xff", b"HTTP/1.1 400\r\n", b"\x05\x00\x05\x00\x00\x07"])
async def test_a_proxy_that_is_none(answer: bytes) -> None:
    """Whatever a program says that is no SOCKS5 proxy, it is told of as such."""
    async with server(answer, read=1) as address, host(dialer=Dialer(address)) as ours:
        with pytest.raises(PeerNotConnected, match="SOCKS5"):
            await ours.messages.connect(new_key().node_id, f"{ONION}:9735")


def test_the_library_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without python-socks a proxy is refused with the command that installs it."""
    monkeypatch.setitem(sys.modules, "python_socks.async_.asyncio", None)
    with pytest.raises(NotSupported, match=r"pip install 'lsps\[socks\]'"):
        Dialer("127.0.0.1:9050")
