"""Opening an order store: to serve it (one process), or to look at it (any number, meanwhile)."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from lsps.orders import pending
from lsps.orders.events import Rules
from lsps.store.orders import StoreError, StoreUnavailable
from lsps.store.sqlite import statements as sql
from lsps.store.sqlite.connection import open_for_reading, open_for_writing
from lsps.store.sqlite.failures import translated
from lsps.store.sqlite.files import ServingLock, make_private
from lsps.store.sqlite.orders import SqliteOrderStore
from lsps.store.sqlite.reader import SqliteOrderReader
from lsps.store.sqlite.rows import order_from_row
from lsps.store.sqlite.schema import ORDERS, check, migrate
from lsps.store.sqlite.writer import MakeWriter, ThreadWriter
from lsps.units import NodeId


def open_order_store(
    path: Path,
    lsp: NodeId,
    rules: Rules,
    *,
    writer: MakeWriter = ThreadWriter,
    token_bytes: Callable[[int], bytes] = secrets.token_bytes,
) -> SqliteOrderStore:
    """Serve the store at `path`, made if missing (mode 0600, its directory 0700). Raises StoreInUse, StoreUnavailable.

    `rules` decide from which height an order is due; orders stored under other rules are set right here.
    """
    path = path.resolve()  # one file, one lock, whatever links lead to it
    with translated(path), ExitStack() as opened:
        opened.callback(ServingLock(path).release)
        make_private(path)
        writes = open_for_writing(path)
        opened.callback(writes.close)
        migrate(writes, path, ORDERS)
        _settle_in(writes, lsp, rules, token_bytes)
        reads = open_for_reading(path)
        opened.callback(reads.close)
        make_store = partial(SqliteOrderStore, path, lsp, rules, reads=reads, writer=writer(writes, path))
        return make_store(on_close=opened.pop_all().close)


def open_order_store_read_only(path: Path, lsp: NodeId | None = None) -> SqliteOrderReader:
    """Look at the store at `path`, also while it is served; nothing is written. Without `lsp`: of the only one in it.

    Raises StoreUnavailable, and StoreError when the file does not hold that LSP's orders, or several LSPs'.
    """
    path = path.resolve()
    with translated(path), ExitStack() as opened:
        if not path.exists():
            raise StoreUnavailable(f"there is no store at {path}: `lsps serve` makes it")
        reads = open_for_reading(path)
        opened.callback(reads.close)
        check(reads, path, ORDERS)
        lsp = _only_lsp(path, [NodeId(row[0]) for row in reads.execute(sql.LSPS)], lsp)
        opened.pop_all()
        return SqliteOrderReader(path, lsp, reads)


def _settle_in(writes: sqlite3.Connection, lsp: NodeId, rules: Rules, token_bytes: Callable[[int], bytes]) -> None:
    """At an LSP's first use, its secret; at every start, the due heights of the few paid orders under today's rules."""
    key = {"lsp": lsp.hex}
    writes.execute("BEGIN IMMEDIATE")
    try:
        if writes.execute(sql.SECRET, key).fetchone() is None:
            writes.execute(sql.ADD_LSP, {**key, "secret": token_bytes(32)})
        for *row, stored in writes.execute(sql.ORDERS_WITH_DUE_HEIGHT, key).fetchall():
            order = order_from_row(tuple(row))
            height = pending.due_height(order, rules)
            if height is not None and int(height) != stored:
                writes.execute(sql.SET_DUE_HEIGHT, {**key, "id": order.id, "due_height": int(height)})
        writes.execute("COMMIT")
    except BaseException:
        if writes.in_transaction:
            writes.execute("ROLLBACK")
        raise


def _only_lsp(path: Path, present: list[NodeId], wanted: NodeId | None) -> NodeId:
    names = ", ".join(node.hex for node in present) or "none yet"
    if wanted is None and len(present) == 1:
        return present[0]
    if wanted is not None and wanted in present:
        return wanted
    if wanted is None and present:
        raise StoreError(f"{path} holds the orders of several LSPs, name one: {names}")
    raise StoreError(f"{path} holds no orders of {'any LSP' if wanted is None else wanted}; it has those of: {names}")
