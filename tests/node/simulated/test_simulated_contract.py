"""The simulated node keeps the node contract."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

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
async def env() -> AsyncIterator[ContractEnvironment]:
    async with simulated_network(clients=2, policy=POLICY) as net:
        yield SimulatedEnvironment(net)


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
