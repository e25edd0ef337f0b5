"""A service whose messages go over our listener, and customers who reach it by TCP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from lsps.client.client import Client
from lsps.clock import Clock, SystemClock
from lsps.compose import connect, open_service
from lsps.config.file import load_config
from lsps.lightning.features import OPTION_SUPPORTS_LSPS
from lsps.node.bolt8.limits import Limits
from lsps.node.bolt8.listener import serving
from lsps.node.contract import NotSupported
from lsps.node.overlay import WithMessages
from lsps.node.simulated.node import SimulatedNode
from lsps.service.service import Service, rules_of
from lsps.store.sqlite.opening import open_order_store
from lsps.testing import OFFER, QUICK, SimulatedNetwork, create_network
from lsps.units import Sat, Scid
from tests.node.bolt8.environment import host

LISTEN = '[listen]\naddress = "127.0.0.1:0"\nkey = "lsp.key"\n'


@pytest.fixture
async def net() -> AsyncIterator[SimulatedNetwork[Clock]]:
    clock: Clock = SystemClock()
    made = create_network(clock)
    yield made
    made.world.close()


def keep_key(net: SimulatedNetwork[Clock], node: SimulatedNode, file: Path) -> None:
    """A simulated node's own key, where our transport looks for it."""
    file.write_text(net.world.nodes[node.node_id].key.to_bytes().hex())
    file.chmod(0o600)


@asynccontextmanager
async def lsp_over_tcp(net: SimulatedNetwork[Clock], directory: Path) -> AsyncIterator[str]:
    """The simulated LSP, its messages over our listener alone; gives PUBKEY@HOST:PORT."""
    keep_key(net, net.lsp, directory / "lsp.key")
    async with AsyncExitStack() as stack:
        ours = await stack.enter_async_context(host(key=net.world.nodes[net.lsp.node_id].key))
        store = open_order_store(directory / "lsp.db", net.lsp.node_id, rules_of(OFFER))
        stack.push_async_callback(store.close)
        service = Service(WithMessages(net.lsp, ours.messages), store, OFFER, clock=net.clock)
        await stack.enter_async_context(service.running())
        yield f"{net.lsp.node_id}@{ours.address}"


@asynccontextmanager
async def client_over_tcp(net: SimulatedNetwork[Clock], directory: Path) -> AsyncIterator[Client]:
    """The simulated customer, its own key speaking by TCP."""
    buyer = net.clients[0]
    async with (
        host(key=net.world.nodes[buyer.node_id].key) as ours,
        connect(WithMessages(buyer, ours.messages), journal=directory / "client.db", patience=QUICK) as client,
    ):
        yield client


async def test_a_channel_is_bought_over_tcp(net: SimulatedNetwork[Clock], tmp_path: Path) -> None:
    """With the nodes' own keys the whole of LSPS1 goes over our transport: info, order, payment, channel."""

    async def blocks() -> None:
        while True:
            await asyncio.sleep(0.01)
            net.mine()

    async with lsp_over_tcp(net, tmp_path) as address, client_over_tcp(net, tmp_path) as client:
        await net.open_channel(net.clients[0], net.lsp, Sat(1_000_000))
        lsp = client.lsp(address)
        assert await lsp.lsps0.list_protocols() == (1, 7)
        mining = asyncio.create_task(blocks())
        bought = await lsp.lsps1.buy(lsp_balance=Sat(500_000), expiry_blocks=1_000, max_fee=Sat(50_000))
        mining.cancel()
        assert bought.channel is not None
        assert bought.channel.peer == net.lsp.node_id


async def test_many_customers_at_once(net: SimulatedNetwork[Clock], tmp_path: Path) -> None:
    """Throwaway identities ask at the same time, and each gets its own answer."""
    async with lsp_over_tcp(net, tmp_path) as address, AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(connect("bolt8://", journal=tmp_path / f"{number}.db"))
            for number in range(10)
        ]
        answers = await asyncio.gather(*(client.lsp(address).lsps1.get_info() for client in clients))
        assert len(set(answers)) == 1


async def test_without_a_node_nothing_is_ordered(net: SimulatedNetwork[Clock], tmp_path: Path) -> None:
    """Buying and extending need the paying node's own identity: refused before the LSP is asked anything."""
    async with (
        lsp_over_tcp(net, tmp_path) as address,
        connect("bolt8://?network=regtest", journal=tmp_path / "client.db") as client,
    ):
        lsp = client.lsp(address)
        with pytest.raises(NotSupported, match="identity of the node that pays"):
            await lsp.lsps1.buy(lsp_balance=Sat(500_000), expiry_blocks=1_000, max_fee=Sat(50_000))
        with pytest.raises(NotSupported, match="identity of the node that pays"):
            await lsp.lsps7.extend(Scid.parse("1x1x1"), blocks=10, max_fee=Sat(1_000))
        assert await client.node.messages.peer(lsp.node_id) is None
        assert await client.journal.newest(1) == []


async def test_a_listener_from_lsps_toml(
    net: SimulatedNetwork[Clock], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """[listen] serves over our own listener, whose init says that it is an LSP (bLIP-50: MAY); a key that is not the
    node's own is warned of."""
    (tmp_path / "lsps.toml").write_text('store = "sqlite://lsp.db"\n[lsps1]\n' + LISTEN)
    config = load_config(tmp_path / "lsps.toml")
    with caplog.at_level("INFO", "lsps.node"):
        async with open_service(config, node=net.lsp, environment={}) as wired, wired.service.running():
            address = listening_at(caplog)
            async with connect("bolt8://", journal=tmp_path / "client.db") as client:
                assert await client.lsp(address).lsps0.list_protocols() == (1,)
                peer = await client.node.messages.peer(client.lsp(address).node_id)
                assert peer is not None
                assert OPTION_SUPPORTS_LSPS in peer.features
    warning = next(record for record in caplog.records if record.message == "listening_with_another_key")
    assert "opened only to a customer who is connected to the node" in str(vars(warning)["lsps_fields"]["advice"])
    assert (tmp_path / "lsp.key").stat().st_mode & 0o777 == 0o600


async def test_the_nodes_own_key_is_nothing_to_warn_of(
    net: SimulatedNetwork[Clock], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """With the node's own key there is no warning, and the listener's identity is the node's."""
    keep_key(net, net.lsp, tmp_path / "lsp.key")
    with caplog.at_level("INFO", "lsps.node"):
        async with serving(
            net.lsp,
            address="127.0.0.1:0",
            key=tmp_path / "lsp.key",
            limits=Limits(),
            clock=net.clock,
            random=net.world.random,
        ):
            assert listening_at(caplog).startswith(f"{net.lsp.node_id}@127.0.0.1:")
    assert not [record for record in caplog.records if record.levelname == "WARNING"]


def listening_at(caplog: pytest.LogCaptureFixture) -> str:
    record = next(record for record in caplog.records if record.message == "listening")
    return str(vars(record)["lsps_fields"]["lsp"])
