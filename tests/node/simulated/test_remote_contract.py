"""A simulated node that is reached through a socket keeps the node contract."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from lsps.clock import SystemClock
from lsps.node.simulated.node import SimulatedNode
from lsps.node.simulated.remote import RemoteNode
from lsps.testing import simulated_network
from tests.node.contract.channels import ChannelsContract, ZeroConfContract
from tests.node.contract.environment import ContractEnvironment
from tests.node.contract.invoices import InvoicesContract
from tests.node.contract.messages import MessagesContract
from tests.node.contract.node import NodeContract
from tests.node.contract.payments import PaymentsContract
from tests.node.contract.wallet import WalletContract
from tests.node.simulated.environment import POLICY, SimulatedEnvironment


@pytest.fixture
async def env(tmp_path: Path) -> AsyncIterator[ContractEnvironment]:
    async with simulated_network(clients=2, policy=POLICY) as net, AsyncExitStack() as stack:
        sockets = {}
        for number, node in enumerate((net.lsp, *net.clients)):
            sockets[node.node_id] = tmp_path / f"{number}.sock"
            await stack.enter_async_context(net.hosting(node, sockets[node.node_id]))

        def reach(node: SimulatedNode) -> RemoteNode:
            remote = RemoteNode(sockets[node.node_id], SystemClock())
            stack.push_async_callback(remote.close)
            return remote

        yield SimulatedEnvironment(net, reach)


class TestMessages(MessagesContract):
    """Messages and connections."""


class TestInvoices(InvoicesContract):
    """Hold invoices."""


class TestPayments(PaymentsContract):
    """Payments."""


class TestChannels(ChannelsContract):
    """Channels."""


class TestZeroConf(ZeroConfContract):
    """0-conf channels."""


class TestWallet(WalletContract):
    """The on-chain wallet."""


class TestNode(NodeContract):
    """Identity, chain, restarts."""
