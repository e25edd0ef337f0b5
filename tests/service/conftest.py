"""Worlds for the service's tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from tests.service.peers import Peer
from tests.service.world import LspWorld, lsp_world

MakeWorld = Callable[..., AbstractAsyncContextManager[LspWorld]]


@pytest.fixture
def make_world(tmp_path: Path) -> MakeWorld:
    """`async with make_world(offer=…) as world`."""
    return partial(lsp_world, tmp_path)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[LspWorld]:
    """An LSP that sells everything, and one customer who opened a channel to it."""
    async with lsp_world(tmp_path) as made:
        yield made


@pytest.fixture
def alice(world: LspWorld) -> Peer:
    """The world's customer."""
    return world.peers[0]
