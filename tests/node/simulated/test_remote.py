"""What a socket between a simulated node and its user adds: ends that come and go, errors that travel, bad bytes."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lsps.clock import SystemClock
from lsps.compose import open_node
from lsps.node.contract import InvoiceState, InvoiceStatus, Node, NodeError, NodeUnreachable, Resumed
from lsps.node.simulated.host import CannotHost
from lsps.node.simulated.remote import InvalidSocketUrl, RemoteNode
from lsps.node.simulated.wire import ERRORS, LONGEST_FRAME, METHODS, BadFrame, Kind, frame
from lsps.testing import ManualClock, SimulatedNetwork, simulated_network
from lsps.units import Msat, NodeId, Sat
from tests.node.contract.environment import eventually, listening

PAYMENT_HASH = hashlib.sha256(b"a preimage").digest()


@pytest.fixture
async def net() -> AsyncIterator[SimulatedNetwork[ManualClock]]:
    async with simulated_network() as made:
        yield made


@asynccontextmanager
async def reached(path: Path) -> AsyncIterator[RemoteNode]:
    node = RemoteNode(path, SystemClock())
    try:
        yield node
    finally:
        await node.close()


async def exchange(path: Path, data: bytes) -> bytes:
    """Everything that the host answers to these bytes, until it closes."""
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(data)
    writer.write_eof()
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def unanswered_call(net: SimulatedNetwork[ManualClock], node: RemoteNode) -> asyncio.Task[str]:
    """A call whose effect is there, and whose answer never comes."""
    net.world.faults.hang_next(net.lsp.node_id, "invoices.add_hold", before=False)
    asking = asyncio.create_task(node.invoices.add_hold(PAYMENT_HASH, Msat(1_000), "", 3_600, 144))
    await eventually("it is asked", lambda: net.lsp.invoices.lookup(PAYMENT_HASH))
    return asking


async def test_the_socket_is_its_owners_alone(net: SimulatedNetwork[ManualClock], tmp_path: Path) -> None:
    """Nobody else may connect (mode 0600), and the socket goes with its host."""
    path = tmp_path / "s"
    async with net.hosting(net.lsp, path):
        assert path.stat().st_mode & 0o777 == 0o600
    assert not path.exists()


@pytest.mark.parametrize("name", ["taken", "x" * 120, "no/such/directory"])
async def test_a_socket_that_cannot_be_made(net: SimulatedNetwork[ManualClock], tmp_path: Path, name: str) -> None:
    """Where no socket can be made, CannotHost names the place, and what is there stays."""
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(CannotHost, match=name):
        async with net.hosting(net.lsp, tmp_path / name):
            pytest.fail("there is no socket")
    assert (tmp_path / "taken").read_text() == "a file"


async def test_a_socket_whose_path_is_too_long(net: SimulatedNetwork[ManualClock], tmp_path: Path) -> None:
    """A path that is too long for a socket is told as that, with what to do."""
    with pytest.raises(CannotHost, match="choose a shorter directory"):
        async with net.hosting(net.lsp, tmp_path / ("x" * 120)):
            pytest.fail("there is no socket")


def test_the_whole_contract_is_there(tmp_path: Path) -> None:
    """Every method of the contract has a name on the wire, and is one of RemoteNode's; only `close` stays at home."""
    parts = ("messages", "invoices", "payments", "channels", "wallet")
    node = RemoteNode(tmp_path / "s", SystemClock())
    assert {method.of(node).__name__ for method in METHODS.values()} >= {"info", "tips", "watch", "accept_zero_conf"}
    assert {name.partition(".")[0].lower() for name in METHODS} == {"node", *parts}
    assert "Node.close" not in METHODS
    kinds = {name: METHODS[name].kind for name in ("Node.info", "Node.tips", "Invoices.unwatch")}
    assert kinds == {"Node.info": Kind.CALL, "Node.tips": Kind.STREAM, "Invoices.unwatch": Kind.NOTE}


@pytest.mark.parametrize("kind", ERRORS.values(), ids=str)
async def test_errors_travel(net: SimulatedNetwork[ManualClock], tmp_path: Path, kind: type[NodeError]) -> None:
    """An error arrives as its own kind with its text; one that the contract does not know as its nearest kind."""

    class Unheard(kind):  # type: ignore[misc,valid-type]
        """An adapter's own."""

    async with net.hosting(net.lsp, tmp_path / "s"), reached(tmp_path / "s") as node:
        for error in (kind("so it is"), Unheard("so it is")):
            net.world.faults.fail_next(net.lsp.node_id, "wallet.inputs", error=error)
            with pytest.raises(kind, match=r"^so it is$") as raised:
                await node.wallet.inputs()
            assert raised.type is kind


async def test_without_a_host(tmp_path: Path) -> None:
    """Where nobody hosts a node, calls and contexts raise NodeUnreachable that names the socket."""
    async with reached(tmp_path / "nobody") as node:
        with pytest.raises(NodeUnreachable, match="nobody"):
            await node.info()
        with pytest.raises(NodeUnreachable, match="nobody"):
            async with node.channels.accept_zero_conf(NodeId("02" + "11" * 32), Sat(1)):
                pytest.fail("nobody accepts it")


async def test_a_host_that_ends_leaves_calls_unanswered(net: SimulatedNetwork[ManualClock], tmp_path: Path) -> None:
    """A call in work when its host ends raises NodeUnreachable: what became of it is unknown."""
    async with reached(tmp_path / "s") as node:
        async with net.hosting(net.lsp, tmp_path / "s"):
            asking = await unanswered_call(net, node)
        with pytest.raises(NodeUnreachable):
            await asking


async def test_streams_outlive_hosts(net: SimulatedNetwork[ManualClock], tmp_path: Path) -> None:
    """A stream waits for a host, and goes on with Resumed at each new one; watched invoices are told anew."""
    async with reached(tmp_path / "s") as node:
        node.invoices.watch(PAYMENT_HASH)
        heard: list[object] = []
        more = asyncio.Event()

        async def listen() -> None:
            async for update in node.invoices.updates():
                heard.append(update)
                more.set()

        task = asyncio.create_task(listen())
        await net.lsp.invoices.add_hold(PAYMENT_HASH, Msat(1_000), "", 3_600, 144)
        told = [Resumed(), InvoiceStatus(PAYMENT_HASH, InvoiceState.OPEN, Msat(0), None)]
        for times in (1, 2):
            async with net.hosting(net.lsp, tmp_path / "s"):
                while len(heard) < 2 * times:
                    more.clear()
                    await more.wait()
        assert heard == told * 2
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_closing_ends_everything(net: SimulatedNetwork[ManualClock], tmp_path: Path) -> None:
    """`close` ends streams, also one that waits for a host, a call in work, and a consent; later calls are refused."""
    async with net.hosting(net.lsp, tmp_path / "s"):
        node, waiting = RemoteNode(tmp_path / "s", SystemClock()), RemoteNode(tmp_path / "nobody", ManualClock())

        async def consent() -> None:
            async with node.channels.accept_zero_conf(net.clients[0].node_id, Sat(1)):
                await asyncio.Event().wait()

        async def consents(wanted: bool = True) -> bool:
            return bool(net.world.nodes[net.lsp.node_id].zero_conf_offers) is wanted

        async def listen(stream: AsyncIterator[object]) -> None:
            async for _ in stream:
                pass

        streams = [asyncio.create_task(listen(stream)) for stream in (node.tips(), waiting.tips())]
        consenting = asyncio.create_task(consent())
        await eventually("it consents", consents)
        asking = await unanswered_call(net, node)
        for closing in (node, waiting, node):
            await closing.close()
        await asyncio.gather(*streams)
        with pytest.raises(NodeUnreachable):
            await asking
        await eventually("the consent ends", lambda: consents(False))
        consenting.cancel()
        await asyncio.gather(consenting, return_exceptions=True)
        with pytest.raises(NodeUnreachable, match="closed"):
            await node.info()
        assert [event async for event in node.tips()] == []


async def test_a_consent_that_was_left_has_ended(net: SimulatedNetwork[ManualClock], tmp_path: Path) -> None:
    """Leaving `accept_zero_conf` returns when the node itself accepts no more."""
    offers = net.world.nodes[net.lsp.node_id].zero_conf_offers
    async with net.hosting(net.lsp, tmp_path / "s"), reached(tmp_path / "s") as node:
        async with node.channels.accept_zero_conf(net.clients[0].node_id, Sat(1)):
            assert len(offers) == 1
        assert not offers


BAD_REQUESTS = {
    "no frame": b"GET / HTTP/1.1\r\n\r\n",
    "a frame too long": (LONGEST_FRAME + 1).to_bytes(4, "big"),
    "half a frame": frame(METHODS["Node.info"].request(()))[:-1],
    "not MessagePack": b"\x00\x00\x00\x01\xc1",
    "another shape": b"\x00\x00\x00\x01\x07",
    "unknown method": frame(METHODS["Node.info"].request(())).replace(b"info", b"exec"),
    "arguments of another type": frame(METHODS["Wallet.feerate"].request(("soon",))),
    "too many arguments": frame(METHODS["Node.info"].request((1,))),
    "a value out of bounds": frame(METHODS["Payments.pay"].request(("lnbc1", {"value": -1}))),
    "a note at first": frame(METHODS["Invoices.watch"].request((PAYMENT_HASH,))),
}


@pytest.mark.parametrize("data", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
async def test_bad_requests(
    net: SimulatedNetwork[ManualClock], tmp_path: Path, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    """Bytes that are no request get no answer but the end of the connection, and a line in the log; others are served.

    A user that is gone before its request was whole is nothing to log."""
    async with net.hosting(net.lsp, tmp_path / "s"), reached(tmp_path / "s") as node:
        assert await exchange(tmp_path / "s", data) == b""
        assert ("hosted_node_failed" in caplog.messages) is (data != BAD_REQUESTS["half a frame"])
        assert (await node.info()).node_id == net.lsp.node_id


async def test_a_call_in_the_middle_of_a_stream(net: SimulatedNetwork[ManualClock], tmp_path: Path) -> None:
    """Only notes may follow on a connection: anything else ends it."""
    async with net.hosting(net.lsp, tmp_path / "s"):
        reader, writer = await asyncio.open_unix_connection(tmp_path / "s")
        writer.write(frame(METHODS["Node.tips"].request(())) + frame(METHODS["Node.info"].request(())))
        await reader.read()
        writer.close()
        await writer.wait_closed()


@given(data=st.binary(max_size=300) | st.binary(max_size=300).map(lambda body: len(body).to_bytes(4, "big") + body))
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever bytes come, the host ends that connection and serves the next one."""
    path = tmp_path_factory.mktemp("any") / "s"
    async with simulated_network() as net, net.hosting(net.lsp, path), reached(path) as node:
        await exchange(path, data)
        assert (await node.info()).node_id == net.lsp.node_id


BAD_ANSWERS = {
    "another alternative": frame(METHODS["Node.tips"].value(Resumed())).replace(b"\x00\x80", b"\x07\x80"),
    "another type": frame(METHODS["Wallet.feerate"].value(253)),
    "not MessagePack": b"\x00\x00\x00\x01\xc1",
    "too long": b"\xff\xff\xff\xff",
}


@pytest.mark.parametrize("data", BAD_ANSWERS.values(), ids=BAD_ANSWERS.keys())
async def test_bad_answers(tmp_path: Path, data: bytes) -> None:
    """A host that answers something else is told of as such, by calls and by streams: BadFrame, a NodeError."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        await reader.read()
        writer.close()

    server = await asyncio.start_unix_server(answer, tmp_path / "s")
    async with server, reached(tmp_path / "s") as node:
        with pytest.raises(BadFrame):
            await node.info()
        with pytest.raises(BadFrame):
            await anext(node.tips())


async def test_its_url(net: SimulatedNetwork[ManualClock], tmp_path: Path) -> None:
    """simulated://SOCKET opens the node, a relative path seen from the base; without a path it is refused."""
    async with net.hosting(net.lsp, tmp_path / "s"):
        for url in (f"simulated://{tmp_path / 's'}", "simulated://s"):
            node: Node = open_node(url, tmp_path, SystemClock())
            assert (await node.info()).alias == "lsp"
            await node.close()
    with pytest.raises(InvalidSocketUrl, match="simulated:///path"):
        open_node("simulated://", tmp_path, SystemClock())


async def test_what_unwatching_leaves_untold(net: SimulatedNetwork[ManualClock], tmp_path: Path) -> None:
    """After `unwatch` an invoice's changes are not told, also when they were on their way."""
    other = hashlib.sha256(b"another").digest()
    async with net.hosting(net.lsp, tmp_path / "s"), reached(tmp_path / "s") as node:
        for payment_hash in (PAYMENT_HASH, other):
            await net.lsp.invoices.add_hold(payment_hash, Msat(1_000), "", 3_600, 144)
        async with listening(node.invoices.updates()) as updates:
            node.invoices.watch(PAYMENT_HASH)
            await updates.until(lambda heard: len(heard) == 2)
            await net.lsp.invoices.cancel(PAYMENT_HASH)
            node.invoices.unwatch(PAYMENT_HASH)
            node.invoices.watch(other)
            heard = await updates.until(lambda heard: isinstance(heard[-1], InvoiceStatus) and len(heard) > 2)
        assert [event.payment_hash for event in heard if isinstance(event, InvoiceStatus)] == [PAYMENT_HASH, other]
