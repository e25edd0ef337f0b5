"""What happens when the disk, or another program, does not let the store write."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from pathlib import Path

import pytest

from lsps.store.orders import StoreUnavailable, VersionConflict
from lsps.store.sqlite.failures import unavailable
from lsps.units import OrderId
from tests.store import samples
from tests.store.opened import Opened, by_hand, open_here, open_inline
from tests.store.samples import START


async def stored(opened: Opened) -> set[str]:
    return {order.id for order in await opened.store.newest_orders(None, 10_000)}


async def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Once full, commits are refused with advice; exactly the acknowledged ones are there; with room it goes on."""
    opened = open_here(tmp_path / "lsps.db")
    (pages,) = opened.writes.execute("PRAGMA page_count").fetchone()
    opened.writes.execute(f"PRAGMA max_page_count = {pages + 20}")
    acknowledged: set[str] = set()
    refused: list[BaseException] = []
    for number in range(40):
        names = [f"o{number}-{part}" for part in range(5)]
        outcomes = await asyncio.gather(
            *(opened.store.commit(samples.placed(name), START) for name in names), return_exceptions=True
        )
        acknowledged |= {name for name, outcome in zip(names, outcomes, strict=True) if outcome is None}
        refused += [outcome for outcome in outcomes if outcome is not None]
    assert acknowledged
    assert refused
    assert all(isinstance(error, StoreUnavailable) and "disk is full" in str(error) for error in refused)
    assert await stored(opened) == acknowledged
    assert (await opened.store.unpaid(samples.PEER)).in_all == len(acknowledged)
    opened.writes.execute("PRAGMA max_page_count = 1000000")
    await opened.store.commit(samples.placed("after"), START)
    assert await stored(opened) == acknowledged | {"after"}
    await opened.store.close()


async def test_a_file_that_became_read_only(tmp_path: Path) -> None:
    """Writing is refused with advice, reading goes on."""
    opened = open_here(tmp_path / "lsps.db")
    await opened.store.commit(samples.placed("a"), START)
    opened.writes.execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailable, match="writable for this user"):
        await opened.store.commit(samples.placed("b"), START)
    with pytest.raises(StoreUnavailable, match="writable for this user"):
        await opened.store.prune(samples.after(10), 10)
    assert await stored(opened) == {"a"}
    await opened.store.close()


async def test_another_program_holds_the_lock(tmp_path: Path) -> None:
    """Writing is refused with advice, reading goes on, and writing works again when the lock is gone."""
    opened = open_here(tmp_path / "lsps.db")
    opened.writes.execute("PRAGMA busy_timeout = 0")
    with by_hand(tmp_path / "lsps.db") as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match="another program"):
            await opened.store.commit(samples.placed("a"), START)
        assert await stored(opened) == set()
        other.execute("ROLLBACK")
    await opened.store.commit(samples.placed("a"), START)
    await opened.store.close()


def leave_a_dangling_row(connection: sqlite3.Connection) -> None:
    """A job whose harm only COMMIT finds."""
    connection.execute("PRAGMA defer_foreign_keys = ON")
    connection.execute("INSERT INTO leases VALUES ('nobody', 'c', 1, 'p', 1, NULL, NULL, NULL, NULL, '[]', 0, NULL)")


def lose_the_transaction(connection: sqlite3.Connection) -> None:
    """A job in which SQLite ends the whole transaction by itself, as it may on a full or failing disk."""
    connection.execute("ROLLBACK")
    connection.execute("SELECT * FROM no_such_table")


@pytest.mark.parametrize(
    ("harm", "cause"), [(leave_a_dangling_row, "FOREIGN KEY"), (lose_the_transaction, "no_such_table")]
)
async def test_a_group_that_cannot_be_committed(tmp_path: Path, harm: samples.Harm, cause: str) -> None:
    """All of it are told the cause, also what had failed otherwise; nothing of it is visible; the next group works."""
    opened = open_here(tmp_path / "lsps.db")
    await opened.store.commit(samples.placed("before"), START)
    begun, go_on = threading.Event(), threading.Event()

    def keep_busy(_: sqlite3.Connection) -> None:
        begun.set()
        go_on.wait()

    first = asyncio.ensure_future(opened.writer.run(keep_busy))
    await asyncio.to_thread(begun.wait)  # the writer is busy now, so that what follows is one group
    group = [
        asyncio.ensure_future(opened.store.commit(samples.placed("a"), START)),
        asyncio.ensure_future(opened.store.commit(samples.placed("before"), START)),
        asyncio.ensure_future(opened.writer.run(harm)),
        asyncio.ensure_future(opened.store.commit(samples.placed("b"), START)),
    ]
    await asyncio.sleep(0)
    go_on.set()
    await first
    outcomes = await asyncio.gather(*group, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [StoreUnavailable] * 4
    assert all(cause in str(outcome) for outcome in outcomes)
    assert await stored(opened) == {"before"}
    await opened.store.commit(samples.placed("a"), START)
    with pytest.raises(VersionConflict):
        await opened.store.commit(samples.placed("before"), START)
    assert await stored(opened) == {"before", "a"}
    await opened.store.close()


async def test_a_cancelled_caller_leaves_a_whole_commit(tmp_path: Path) -> None:
    """The write of a caller that was cancelled while it waited is carried out whole, and close() waits for it."""
    path = tmp_path / "lsps.db"
    opened = open_here(path)
    tasks = []
    for number in range(10):
        change = samples.placed(f"o{number}", samples.extension(f"c{number}"), free=True)
        tasks.append(asyncio.ensure_future(opened.store.commit(change, START)))
    await asyncio.sleep(0)
    for task in tasks:
        task.cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(outcome, asyncio.CancelledError) for outcome in outcomes)
    await opened.store.close()
    again = open_here(path)
    for number in range(10):
        assert await again.store.order(OrderId(f"o{number}")) is not None
        assert await again.store.lease(samples.channel_id(f"c{number}")) is not None
    await again.store.close()


async def test_close_carries_out_what_waits(tmp_path: Path) -> None:
    """Commits that were begun before close() are acknowledged and durable."""
    opened = open_here(tmp_path / "lsps.db")
    tasks = [asyncio.ensure_future(opened.store.commit(samples.placed(f"o{n}"), START)) for n in range(50)]
    await asyncio.sleep(0)
    await opened.store.close()
    assert await asyncio.gather(*tasks) == [None] * 50
    again = open_inline(tmp_path / "lsps.db")
    assert len(await stored(again)) == 50
    await again.store.close()


async def test_reading_a_closed_store(tmp_path: Path) -> None:
    """A closed store says so with its own error, inline as well."""
    opened = open_inline(tmp_path / "lsps.db")
    await opened.store.close()
    with pytest.raises(StoreUnavailable, match=r"lsps\.db"):
        await opened.store.order(OrderId("a"))
    with pytest.raises(StoreUnavailable, match=r"lsps\.db"):
        await opened.store.commit(samples.placed("a"), START)


async def test_a_damaged_row_is_told_without_its_contents(tmp_path: Path) -> None:
    """An order whose body is no longer one: StoreUnavailable with its id, and nothing of what is stored."""
    opened = open_here(tmp_path / "lsps.db")
    await opened.store.commit(samples.placed("a", token="SECRET"), START)
    with by_hand(tmp_path / "lsps.db") as other:
        other.execute("UPDATE orders SET body = replace(body, 'lsp_balance', 'SECRET')")
    with pytest.raises(StoreUnavailable, match="stored order a is damaged") as told:
        await opened.store.order(OrderId("a"))
    assert "SECRET" not in str(told.value)
    await opened.store.close()


async def test_a_damaged_file(tmp_path: Path) -> None:
    """Pages overwritten with junk give StoreUnavailable that says to put back a copy."""
    path = tmp_path / "lsps.db"
    opened = open_inline(path)
    for number in range(50):
        await opened.store.commit(samples.placed(f"o{number}"), START)
    await opened.store.close()
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xff" * (len(data) - 8192)
    path.write_bytes(data)
    with pytest.raises(StoreUnavailable, match="put back a copy"):
        open_here(path)


@pytest.mark.parametrize("code", [sqlite3.SQLITE_IOERR | 4 << 8, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, 255])
def test_every_failure_of_sqlite_has_a_text(tmp_path: Path, code: int) -> None:
    """Extended codes get their primary code's advice; unknown ones SQLite's own words; always the file's name."""
    error = sqlite3.OperationalError("what SQLite says")
    error.sqlite_errorcode = code
    text = str(unavailable(tmp_path / "lsps.db", error))
    assert str(tmp_path / "lsps.db") in text
    assert "what SQLite says" in text
    assert (code == 255) != (": look at" in text or "free some space" in text)


@pytest.mark.parametrize(
    ("flags", "free", "advice"),
    [(os.ST_RDONLY, 9, "the file system is read-only"), (0, 0, "the disk is full"), (0, 9, "reports an error")],
)
def test_an_io_error_is_explained_by_the_file_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flags: int, free: int, advice: str
) -> None:
    """SQLite says "disk I/O error" of a log or an index to it that cannot grow, too: the file system tells why."""
    found = os.statvfs(tmp_path)
    told = os.statvfs_result((*found[:4], free, *found[5:8], flags, *found[9:]))
    monkeypatch.setattr(os, "statvfs", lambda _: told)
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    assert advice in str(unavailable(tmp_path / "lsps.db", error))
