"""Migrations: from nothing to now in one transaction each, and no touching of files that are not ours or are newer."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lsps.store.orders import Change, StoreUnavailable, TokenCount, UnpaidCount, VersionConflict
from lsps.store.sqlite.journal import open_journal
from lsps.store.sqlite.opening import open_order_store_read_only
from lsps.store.sqlite.schema import JOURNAL, ORDERS, migrations
from lsps.units import BlockHeight
from tests.store import samples
from tests.store.opened import by_hand, open_here, open_inline
from tests.store.samples import START


async def test_an_empty_file_is_migrated_and_marked(tmp_path: Path) -> None:
    """Every migration is applied and counted in user_version, each kind of file has its own application_id."""
    (tmp_path / "lsps.db").touch()
    await open_here(tmp_path / "lsps.db").store.close()
    await open_journal(tmp_path / "client.db").close()
    for name, kind in (("lsps.db", ORDERS), ("client.db", JOURNAL)):
        with by_hand(tmp_path / name) as file:
            assert file.execute("PRAGMA user_version").fetchone() == (len(migrations(kind)),)
            assert file.execute("PRAGMA application_id").fetchone() == (kind.application_id,)
            assert file.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """An older lsps does not touch a newer one's file, says so, and holds no lock afterwards."""
    path = tmp_path / "lsps.db"
    await open_here(path).store.close()
    with by_hand(path) as file:
        file.execute("PRAGMA user_version = 99")
    for _ in range(2):
        with pytest.raises(StoreUnavailable, match="newer lsps"):
            open_here(path)
    with pytest.raises(StoreUnavailable, match="newer lsps"):
        open_order_store_read_only(path)
    with by_hand(path) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (99,)


async def test_looking_at_an_older_file_says_what_to_do(tmp_path: Path) -> None:
    """A reader cannot migrate: `lsps serve` does."""
    path = tmp_path / "lsps.db"
    path.touch()
    with pytest.raises(StoreUnavailable, match="start `lsps serve`"):
        open_order_store_read_only(path)


async def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    """A client's journal, another program's database or no database at all: refused, and left as it is."""
    journal, foreign, text = tmp_path / "client.db", tmp_path / "foreign.db", tmp_path / "text"
    await open_journal(journal).close()
    with by_hand(foreign) as file:
        file.execute("CREATE TABLE theirs (a)")
    text.write_text("not a database, " * 100)
    for path in (journal, foreign):
        with pytest.raises(StoreUnavailable, match="is not an order store"):
            open_here(path)
    with pytest.raises(StoreUnavailable, match="not an SQLite database"):
        open_here(text)
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        open_journal(tmp_path)
    assert text.read_text() == "not a database, " * 100


async def test_a_failed_migration_leaves_nothing(tmp_path: Path) -> None:
    """A migration is one transaction: when it cannot end, the file is as before and can be opened later."""
    path = tmp_path / "lsps.db"
    with by_hand(path) as file:
        file.execute("PRAGMA journal_mode = WAL")
        file.execute("BEGIN IMMEDIATE")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("lsps.store.sqlite.connection.WRITE_PATIENCE_MS", 0)
            with pytest.raises(StoreUnavailable, match="another program"):
                open_here(path)
        file.execute("ROLLBACK")
        assert file.execute("SELECT count(*) FROM sqlite_schema").fetchone() == (0,)
    store = open_here(path).store
    await store.commit(samples.placed("a"), START)
    with pytest.raises(VersionConflict):
        await store.commit(samples.placed("a"), START)
    await store.close()


async def test_another_process_migrated_first(tmp_path: Path) -> None:
    """Two first openings at once: the one that comes second finds the work done and does not do it again."""
    path = tmp_path / "client.db"
    await open_journal(path).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lsps.store.sqlite.schema._version", lambda *_: 0)  # what it saw before the other one's commit
        await open_journal(path).close()
    with by_hand(path) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (len(migrations(JOURNAL)),)


async def test_a_store_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    """Orders, leases, effects, reserved inputs, tokens and the secret of a store from before on-chain payments are the
    same afterwards; orders go on from their versions, and the counts of unpaid ones with them."""
    changes = [
        samples.placed("unpaid", token="TOKEN", token_uses=5),
        samples.paid("paid"),
        samples.fulfilling("fulfilling", "coin"),
        samples.failed("failed"),
        Change(lease=samples.lease_of("leased")),
    ]
    new = open_inline(tmp_path / "new.db").store
    for change in changes:
        await new.commit(change, START)
    secret, orders = await new.preimage_secret(), await new.newest_orders(None, 10)
    await new.close()
    old = tmp_path / "old.db"
    _as_of_the_first_schema(tmp_path / "new.db", old)
    store = open_inline(old).store
    assert (await store.preimage_secret(), await store.newest_orders(None, 10)) == (secret, orders)
    assert await store.lease(samples.channel_id("leased")) == replace(samples.lease_of("leased"), version=1)
    assert await store.reserved_inputs() == {samples.outpoint("coin")}
    assert len(await store.due_effects(START, 10)) == 2
    assert await store.token_count("TOKEN") == TokenCount(1, 0)
    assert await store.unpaid(samples.PEER) == UnpaidCount(1, 1)
    assert await store.deposits_read_to() == BlockHeight(0)
    assert (await samples.expire(store, "unpaid")).version == 2
    assert await store.unpaid(samples.PEER) == UnpaidCount(0, 0)
    await store.commit(samples.placed_onchain("onchain"), START)
    assert await store.order_of_address("bcrt1onchain") is not None
    await store.close()


def _as_of_the_first_schema(source: Path, target: Path) -> None:
    """The same rows, in the columns that there were then."""
    with by_hand(target) as file:
        file.executescript(migrations(ORDERS)[0])
        file.execute(f"PRAGMA application_id = {ORDERS.application_id}")
        file.execute("PRAGMA user_version = 1")
        file.execute("ATTACH ? AS now", (str(source),))
        tables = ("lsps", "orders", "leases", "extensions", "effects", "reserved_inputs", "tokens")
        for table in tables:
            columns = ", ".join(row[1] for row in file.execute(f"PRAGMA main.table_info({table})"))
            file.execute(f"INSERT INTO main.{table} ({columns}) SELECT {columns} FROM now.{table}")  # noqa: S608
