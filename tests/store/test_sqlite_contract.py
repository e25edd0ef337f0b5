"""The order store's contract, held by SQLite with either writer."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from lsps.store.orders import OrderStore
from lsps.store.sqlite.writer import InlineWriter, MakeWriter, ThreadWriter
from tests.store.contract import CommitContract
from tests.store.contract_queries import QueryContract
from tests.store.opened import open_here


@pytest.fixture(params=[ThreadWriter, InlineWriter])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[OrderStore]:
    writer: MakeWriter = request.param
    store = open_here(tmp_path / "lsps.db", writer=writer).store
    yield store
    await store.close()


class TestCommits(CommitContract):
    """What a commit is."""


class TestQueries(QueryContract):
    """What queries say."""
