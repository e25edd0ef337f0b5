"""Fixtures for the command line."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.cli.terminal import Terminal, Town, town


@pytest.fixture
def terminal(tmp_path: Path) -> Terminal:
    """A terminal on a machine with no node and no files."""
    return Terminal(tmp_path)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Town]:
    """An LSP that sells, and a customer with a channel."""
    async with town(tmp_path) as made:
        yield made
