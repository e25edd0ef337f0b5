"""No statement's cost grows with history: SQLite's own plans, and its own count of steps."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from lsps.orders.pending import EffectName
from lsps.store.orders import Change, DueEffect, OrderStore
from lsps.store.sqlite import statements
from lsps.store.sqlite.connection import open_for_writing
from lsps.store.sqlite.schema import JOURNAL, ORDERS, migrate
from lsps.store.sqlite.writer import InlineWriter
from lsps.units import BlockHeight, OrderId
from tests.store import samples
from tests.store.opened import open_here
from tests.store.samples import PEER, START, TIP, after, needed

STATEMENTS = {name: sql for name, sql in vars(statements).items() if name.isupper() and not name.startswith("_")}
ALLOWED_SCANS = {
    "LSPS": "SCAN lsps",  # a row for each LSP of the file, read once by `lsps orders --service`
    "NEWEST_ENTRIES": "SCAN entries",  # backwards by primary key, and limited
}
ALL_OF_AN_LSP = {"NEWEST_ORDERS", "RESERVED_INPUTS"}
"""The first is limited and ordered by its index; the second wants every row, of which few live at a time."""


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    """The tables of both kinds of file in one."""
    path = tmp_path_factory.mktemp("plans") / "both.db"
    connection = open_for_writing(path)
    migrate(connection, path, ORDERS)
    connection.execute("PRAGMA user_version = 0")
    connection.execute(f"PRAGMA application_id = {JOURNAL.application_id}")
    migrate(connection, path, JOURNAL)
    yield connection
    connection.close()


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_searches_by_index(database: sqlite3.Connection, name: str) -> None:
    """SQLite's plan of each statement has no scan of a table or index, and no sorting."""
    sql = STATEMENTS[name]
    parameters = dict.fromkeys(re.findall(r":(\w+)", sql), 0)
    plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {sql}", parameters)]
    bad = [step for step in plan if step.startswith("SCAN") or "TEMP B-TREE" in step or "AUTOMATIC" in step]
    assert bad == ([ALLOWED_SCANS[name]] if name in ALLOWED_SCANS else [])
    assert name in ALL_OF_AN_LSP or not any(step.endswith("(lsp=?)") for step in plan)
    assert not name.startswith("NEWEST") or sql.endswith("LIMIT :limit")


def test_all_statements_are_in_one_place() -> None:
    """No other file of the adapter holds SQL that touches a row, so the tests here see all of it."""
    folder = Path(needed(statements.__file__)).parent
    for file in folder.glob("*.py"):
        if file.name not in ("statements.py", "schema.py"):
            assert not re.search(r"\b(SELECT|INSERT INTO|UPDATE \w+ SET|DELETE FROM)\b", file.read_text()), file.name


async def grow(store: OrderStore, first: int, last: int) -> None:
    """A peer's history: orders that expired, were refunded, and extended leases of channels that are gone."""
    for number in range(first, last):
        name = f"h{number}"
        await store.commit(samples.failed(f"{name}-expired", closed_at=after(10**6)), START)
        gone = samples.placed(f"{name}-free", samples.extension(name), free=True)
        await store.commit(replace(gone, lease=replace(needed(gone.lease), ended=True)), START)
        await store.commit(samples.paid(f"{name}-paid"), START)
        await samples.expire(store, f"{name}-paid")


Operation = Callable[[OrderStore], Awaitable[object]]
EFFECT = DueEffect(OrderId("live-a"), EffectName.CHOOSE_INPUTS, START, 0)
READS: dict[str, Operation] = {
    "preimage_secret": lambda s: s.preimage_secret(),
    "order": lambda s: s.order(OrderId("live-a")),
    "order_of_hash": lambda s: s.order_of_hash(samples.option("live-a").payment_hash),
    "order_of_address": lambda s: s.order_of_address("bcrt1none"),
    "orders_with_deposits": lambda s: s.orders_with_deposits(TIP, None, 50),
    "deposits_read_to": lambda s: s.deposits_read_to(),
    "lease": lambda s: s.lease(samples.channel_id("h1")),
    "open_leases": lambda s: s.open_leases(None, 50),
    "due_effects": lambda s: s.due_effects(after(10**8), 50),
    "due_orders": lambda s: s.due_orders(after(10**8), 50),
    "orders_due_at_height": lambda s: s.orders_due_at_height(BlockHeight(2**32 - 1), 50),
    "next_due": lambda s: s.next_due(START),
    "watched_orders": lambda s: s.watched_orders(None, 50),
    "owing_orders": lambda s: s.owing_orders(None, 50),
    "reserved_inputs": lambda s: s.reserved_inputs(),
    "unpaid": lambda s: s.unpaid(PEER),
    "token_count": lambda s: s.token_count("T"),
    "newest_orders": lambda s: s.newest_orders(None, 3),
    "older_orders": lambda s: s.newest_orders(OrderId("h5-paid"), 3),
}
WRITES: dict[str, Operation] = {
    "place": lambda s: s.commit(samples.placed("new", token="T", token_uses=9), START),
    "hold": lambda s: samples.happen(s, "new", samples.HELD),
    "refund": lambda s: samples.expire(s, "new"),
    "extend": lambda s: s.commit(samples.placed("ext", samples.extension("new"), free=True), START),
    "open": lambda s: s.commit(samples.fulfilling("opening", "z"), START),
    "put_off": lambda s: s.put_off(EFFECT, after(60)),
    "hasten": lambda s: s.hasten(PEER, after(30)),
    "hasten_beyond": lambda s: s.hasten_beyond(after(30), START),
    "lease": lambda s: s.commit(Change(lease=samples.lease_of("other")), START),
    "prune": lambda s: s.prune(after(10**5), 3),
    "deposits": lambda s: s.set_deposits_read_to(TIP),
}


async def steps_with(history: int, path: Path) -> dict[str, int]:
    """How many virtual-machine steps SQLite takes for each operation after so much history."""
    opened = open_here(path, writer=InlineWriter)
    store, counted = opened.store, dict.fromkeys((*READS, *(f"commit {name}" for name in WRITES)), 0)
    await grow(store, 0, history)
    for name in ("live-a", "live-b"):
        await store.commit(samples.paid(name), START)
    for number in range(5):
        await store.commit(samples.failed(f"old{number}"), START)
    for operations, connection, prefix in ((READS, store._reads, ""), (WRITES, opened.writes, "commit ")):
        for name, operation in operations.items():
            current = prefix + name

            def count(current: str = current) -> int:
                counted[current] += 1
                return 0

            connection.set_progress_handler(count, 1)
            await operation(store)
            connection.set_progress_handler(None, 1)
    await store.close()
    return counted


async def test_no_operation_costs_more_with_history(tmp_path: Path) -> None:
    """With ten times the history of one peer, every operation takes as many steps as before."""
    few = await steps_with(12, tmp_path / "few.db")
    many = await steps_with(120, tmp_path / "many.db")
    assert all(few.values())
    grown = {name: (few[name], many[name]) for name in few if many[name] > few[name] + 5}
    assert grown == {}
