"""Order stores on disk for the tests, with a hand on what is inside."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lsps.orders.events import Rules
from lsps.store.sqlite.opening import open_order_store
from lsps.store.sqlite.orders import SqliteOrderStore
from lsps.store.sqlite.writer import InlineWriter, MakeWriter, ThreadWriter, Writer
from lsps.units import NodeId
from tests.store.samples import LSP, RULES

PROJECT = Path(__file__).parents[2]
"""Where a subprocess of a test finds the tests' modules."""


@dataclass(frozen=True)
class Opened:
    """A store, the connection it writes through, and its writer."""

    store: SqliteOrderStore
    writes: sqlite3.Connection
    writer: Writer


def open_here(path: Path, *, writer: MakeWriter = ThreadWriter, lsp: NodeId = LSP, rules: Rules = RULES) -> Opened:
    seen: list[tuple[sqlite3.Connection, Writer]] = []

    def make(connection: sqlite3.Connection, at: Path) -> Writer:
        made = writer(connection, at)
        seen.append((connection, made))
        return made

    store = open_order_store(path, lsp, rules, writer=make)
    return Opened(store, *seen[0])


def open_inline(path: Path) -> Opened:
    return open_here(path, writer=InlineWriter)


@contextmanager
def by_hand(path: Path) -> Iterator[sqlite3.Connection]:
    """The file as another program sees it."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=0)
    try:
        yield connection
    finally:
        connection.close()
