"""A copy of a store: whole while others write, checked, private, and never over a file that matters."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest

from lsps.store.backup import Backup, CopyRefused
from lsps.store.orders import StoreUnavailable
from lsps.store.sqlite.backup import back_up_journal, back_up_orders
from lsps.store.sqlite.journal import open_journal
from lsps.store.sqlite.opening import open_order_store_read_only
from lsps.store.sqlite.schema import count_rows
from lsps.units import OrderId
from tests.store import samples
from tests.store.consistency import disagreements
from tests.store.disks import files_of_at_most
from tests.store.opened import Opened, by_hand, open_here, open_inline
from tests.store.samples import RULES, START, channel_id


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Opened]:
    """A store that is served."""
    yield (made := open_inline(tmp_path / "lsps.db"))
    made.writes.close()


@pytest.fixture
def store(tmp_path: Path, opened: Opened) -> Path:
    """Its file."""
    return tmp_path / "lsps.db"


def files(directory: Path) -> set[str]:
    return {path.name for path in directory.iterdir()}


async def test_a_copy_of_a_store_that_is_being_written(tmp_path: Path) -> None:
    """Each copy is of one moment: all that was acknowledged before is in it, and what hangs on its orders is theirs."""
    opened = open_here(tmp_path / "lsps.db")
    acknowledged: list[str] = []

    async def sell(channel: str) -> None:
        for number in count():
            name, lease = f"{channel}-{number}", await opened.store.lease(channel_id(channel))
            free = samples.placed(name, samples.extension(channel), free=True, lease=lease, token="T", token_uses=10**9)
            await opened.store.commit(free, START)
            acknowledged.append(name)
            await opened.store.commit(samples.fulfilling(f"{name}-open", f"{name}-x"), START)

    sellers = [asyncio.create_task(sell(str(channel))) for channel in range(4)]
    try:
        for number in range(10):
            before, target = set(acknowledged), tmp_path / f"copy-{number}.db"
            made = await asyncio.to_thread(back_up_orders, tmp_path / "lsps.db", target, overwrite=False)
            with by_hand(target) as copy:
                assert disagreements(copy, RULES) == []
                present = {row[0] for row in copy.execute("SELECT id FROM orders")}
            assert before <= present
            assert made.rows["orders"] == len(present)
    finally:
        for seller in sellers:
            seller.cancel()
        outcomes = await asyncio.gather(*sellers, return_exceptions=True)
        await opened.store.close()
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    assert len(acknowledged) > 10


async def test_the_copy_is_one_private_file(tmp_path: Path, store: Path, opened: Opened) -> None:
    """Mode 0600, nothing beside it, told truly, with the secret, and readable where nothing can be written."""
    await opened.store.commit(samples.placed("a"), START)
    target = tmp_path / "away" / "copy.db"
    target.parent.mkdir()
    made = back_up_orders(store, target, overwrite=False)
    assert files(target.parent) == {"copy.db"}
    assert target.stat().st_mode & 0o777 == 0o600
    assert made == Backup(store, target, target.stat().st_size, made.rows, holds_secret=True)
    assert made.rows["orders"] == 1
    with closing(sqlite3.connect(f"{target.as_uri()}?immutable=1", uri=True)) as copy:  # would not read a log
        assert copy.execute("SELECT id FROM orders").fetchall() == [("a",)]
    reader = open_order_store_read_only(target)
    assert await reader.preimage_secret() == await opened.store.preimage_secret()
    await reader.close()
    assert files(target.parent) == {"copy.db"}


async def test_a_copy_overwrites_only_when_told(tmp_path: Path, store: Path, opened: Opened) -> None:
    """A file that is there is kept, unless the caller says otherwise; then it is replaced as a whole."""
    target = tmp_path / "copy.db"
    target.write_text("mine")
    with pytest.raises(CopyRefused, match="--force"):
        back_up_orders(store, target, overwrite=False)
    assert target.read_text() == "mine"
    back_up_orders(store, target, overwrite=True)
    await opened.store.commit(samples.placed("a"), START)
    assert back_up_orders(store, target, overwrite=True).rows["orders"] == 1
    assert target.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["lsps.db", "lsps.db-wal", "lsps.db-shm", "lsps.db-journal", "lsps.db.lock"])
def test_the_store_itself_is_never_overwritten(store: Path, name: str) -> None:
    """Neither the store nor what belongs to it takes a copy, whatever the caller says."""
    with pytest.raises(CopyRefused, match="belongs to the store"):
        back_up_orders(store, store.with_name(name), overwrite=True)


async def test_where_no_copy_goes(tmp_path: Path, store: Path, opened: Opened) -> None:
    """The store by another name, an open database, a directory, a missing one: refused with the reason, unharmed."""
    (tmp_path / "hard.db").hardlink_to(store)
    (tmp_path / "link.db").symlink_to(store)
    other = open_inline(tmp_path / "other.db")
    await other.store.commit(samples.placed("theirs"), START)
    for name, reason in {
        "hard.db": "the store itself",
        "link.db": "belongs to the store",
        "other.db": "other.db-wal lies beside it",
        ".": "is a directory",
        "missing/copy.db": "there is no directory",
    }.items():
        with pytest.raises(CopyRefused, match=reason):
            back_up_orders(store, tmp_path / name, overwrite=True)
    assert await other.store.order(OrderId("theirs")) is not None
    await other.store.close()
    await opened.store.commit(samples.placed("still served"), START)
    assert not (tmp_path / "missing").exists()


async def test_what_cannot_be_copied(tmp_path: Path) -> None:
    """A missing file, another kind of file and a damaged store give their reason, and leave no file behind."""
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    with pytest.raises(StoreUnavailable, match="there is no"):
        back_up_orders(tmp_path / "lsps.db", target, overwrite=False)
    journal = open_journal(tmp_path / "client.db")
    with pytest.raises(StoreUnavailable, match="is not an order store"):
        back_up_orders(tmp_path / "client.db", target, overwrite=False)
    assert back_up_journal(tmp_path / "client.db", target, overwrite=False).rows == {"entries": 0, "transactions": 0}
    await journal.close()
    target.unlink()
    opened = open_inline(tmp_path / "lsps.db")
    for number in range(50):
        await opened.store.commit(samples.placed(f"o{number}"), START)
    await opened.store.close()
    data = bytearray((tmp_path / "lsps.db").read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    (tmp_path / "lsps.db").write_bytes(data)
    with pytest.raises(StoreUnavailable, match="damaged"):
        back_up_orders(tmp_path / "lsps.db", target, overwrite=False)
    assert files(target.parent) == set()


def test_a_store_that_contradicts_itself_is_told(tmp_path: Path, store: Path) -> None:
    """A copy that SQLite's check finds damaged never gets its name."""
    with by_hand(store) as file:
        file.execute("PRAGMA foreign_keys = OFF")
        file.execute("INSERT INTO leases VALUES ('nobody', 'c', 1, 'p', 1, NULL, NULL, NULL, NULL, '[]', 0, NULL)")
    with pytest.raises(StoreUnavailable, match="not what was read"):
        back_up_orders(store, tmp_path / "copy.db", overwrite=False)
    assert not (tmp_path / "copy.db").exists()


async def test_no_room_for_the_copy(tmp_path: Path, store: Path, opened: Opened) -> None:
    """When the copy cannot be written, the older one under its name stays, and nothing half lies beside it."""
    for number in range(50):
        await opened.store.commit(samples.placed(f"o{number}"), START)
    target = tmp_path / "copies" / "copy.db"
    target.parent.mkdir()
    target.write_text("the older copy")
    with files_of_at_most(8192), pytest.raises(StoreUnavailable, match=r"copy\.db: the disk reports an error"):
        back_up_orders(store, target, overwrite=True)
    assert files(target.parent) == {"copy.db"}
    assert target.read_text() == "the older copy"
    assert back_up_orders(store, target, overwrite=True).rows["orders"] == 50


def test_a_file_that_appears_meanwhile_is_kept(store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The name is taken while the copy is made: what took it stays as it is."""
    target = tmp_path / "copy.db"

    def count(connection: sqlite3.Connection) -> dict[str, int]:
        target.write_text("mine")
        return count_rows(connection)

    monkeypatch.setattr("lsps.store.sqlite.backup.count_rows", count)
    with pytest.raises(CopyRefused, match="--force"):
        back_up_orders(store, target, overwrite=False)
    assert target.read_text() == "mine"


async def test_damage_that_only_the_integrity_check_finds(tmp_path: Path, store: Path, opened: Opened) -> None:
    """An index that lacks a row: the copy is refused, with what SQLite found."""
    with by_hand(store) as file:
        index = file.execute("SELECT * FROM sqlite_schema WHERE name = 'effects_due'").fetchone()
        file.execute("PRAGMA writable_schema = ON")
        file.execute("DELETE FROM sqlite_schema WHERE name = 'effects_due'")
    await opened.store.close()
    again = open_inline(store)  # which knows of no such index
    await again.store.commit(samples.fulfilling("a", "x"), START)
    await again.store.close()
    with by_hand(store) as file:
        file.execute("PRAGMA writable_schema = ON")
        file.execute("INSERT INTO sqlite_schema VALUES (?, ?, ?, ?, ?)", index)
    with pytest.raises(StoreUnavailable, match="missing from index effects_due"):
        back_up_orders(store, tmp_path / "copy.db", overwrite=False)
    assert not (tmp_path / "copy.db").exists()
