"""Our own transport keeps the messages part of the node contract, over loopback TCP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.node.bolt8.environment import environment
from tests.node.contract.environment import ContractEnvironment
from tests.node.contract.messages import MessagesContract


@pytest.fixture
async def env() -> AsyncIterator[ContractEnvironment]:
    async with environment() as made:
        yield made


class TestMessages(MessagesContract):
    """Messages and connections."""
