"""Opening: one server a file, private files, a secret made once, any number that look."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from lsps.store.orders import StoreError, StoreInUse, StoreUnavailable
from lsps.store.sqlite.journal import open_journal
from lsps.store.sqlite.opening import open_order_store, open_order_store_read_only
from lsps.units import BlockHeight, OrderId
from tests.store import samples
from tests.store.opened import PROJECT, open_here, open_inline
from tests.store.samples import LSP, OTHER_LSP, RULES, START

SERVE = """
import sys, time
from pathlib import Path
from lsps.store.sqlite.opening import open_order_store
from tests.store.samples import LSP, RULES
try:
    open_order_store(Path(sys.argv[1]), LSP, RULES)
except Exception as error:
    print(type(error).__name__, error)
else:
    print("serving", flush=True)
    time.sleep(60)
"""


def serve_elsewhere(path: Path) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", SERVE, str(path)], stdout=subprocess.PIPE, text=True, cwd=PROJECT)


def first_line(process: subprocess.Popen[str]) -> str:
    return samples.needed(process.stdout).readline()


def modes_below(directory: Path) -> dict[str, int]:
    return {file.name: stat.S_IMODE(file.stat().st_mode) for file in directory.rglob("*")}


async def test_a_second_process_is_refused(tmp_path: Path) -> None:
    """It is told which file, who holds it and what to do; the first one is not disturbed."""
    path = tmp_path / "lsps.db"
    store = open_here(path).store
    with serve_elsewhere(path) as second:
        told = first_line(second)
    assert told.startswith("StoreInUse")
    assert str(path) in told
    assert f"process {os.getpid()}" in told
    await store.commit(samples.placed("a"), START)
    await store.close()


async def test_a_killed_server_leaves_no_lock(tmp_path: Path) -> None:
    """After SIGKILL the next process serves the store at once; while the first lives, it does not, by any path."""
    path = tmp_path / "lsps.db"
    link = tmp_path / "link.db"
    with serve_elsewhere(path) as first:
        try:
            assert first_line(first) == "serving\n"
            link.symlink_to(path)
            for name in (path, link):
                with pytest.raises(StoreInUse, match=str(first.pid)):
                    open_here(name)
        finally:
            first.send_signal(signal.SIGKILL)
    await open_here(path).store.close()


async def test_a_closed_store_can_be_served_again(tmp_path: Path) -> None:
    """close() lets the lock go, also after a second close, and what was committed is there."""
    path = tmp_path / "lsps.db"
    store = open_here(path).store
    await store.commit(samples.placed("a"), START)
    await store.close()
    await store.close()
    with pytest.raises(StoreUnavailable, match="closed"):
        await store.commit(samples.placed("b"), START)
    again = open_here(path).store
    assert [order.id for order in await again.newest_orders(None, 5)] == ["a"]
    await again.close()


async def test_files_are_private(tmp_path: Path) -> None:
    """Whatever the umask: database, log, index, lock and journal 0600, new directories 0700."""
    before = os.umask(0)
    try:
        store = open_here(tmp_path / "new" / "deep" / "lsps.db").store
        journal = open_journal(tmp_path / "state" / "client.db")
        await store.commit(samples.placed("a"), START)
        modes = modes_below(tmp_path)
        assert {name: mode for name, mode in modes.items() if mode != 0o600} == dict.fromkeys(
            ["new", "deep", "state"], 0o700
        )
        assert modes.keys() >= {"lsps.db", "lsps.db-wal", "lsps.db-shm", "lsps.db.lock", "client.db", "client.db-wal"}
    finally:
        os.umask(before)
    await store.close()
    await journal.close()


async def test_the_secret_is_made_once_for_each_lsp(tmp_path: Path) -> None:
    """Drawn from the given randomness at an LSP's first opening, and the same ever after."""
    draws = iter([b"\x01" * 32, b"\x02" * 32])
    secrets = []
    for lsp in (LSP, OTHER_LSP, LSP, OTHER_LSP):
        store = open_order_store(tmp_path / "lsps.db", lsp, RULES, token_bytes=lambda _: next(draws))
        secrets.append(await store.preimage_secret())
        await store.close()
    assert secrets == [b"\x01" * 32, b"\x02" * 32] * 2


async def test_lsps_in_one_file_do_not_see_each_other(tmp_path: Path) -> None:
    """Orders, leases, effects, counts, inputs and tokens of another LSP are as if they were not there."""
    first = open_inline(tmp_path / "lsps.db").store
    await first.commit(samples.placed("a", token="T", token_uses=1), START)
    await first.commit(samples.fulfilling("b", "x"), START)
    await first.commit(samples.placed("c", samples.extension(), free=True), START)
    await first.commit(samples.failed("d"), START)
    await first.close()
    other = open_here(tmp_path / "lsps.db", lsp=OTHER_LSP).store
    late = samples.after(10**8)
    assert await other.newest_orders(None, 10) == []
    assert await other.order(OrderId("a")) is None
    assert await other.lease(samples.channel_id("channel")) is None
    assert await other.open_leases(None, 10) == []
    assert await other.due_effects(late, 10) == []
    assert await other.due_orders(late, 10) == []
    assert await other.watched_orders(None, 10) == []
    assert await other.reserved_inputs() == frozenset()
    assert (await other.unpaid(samples.PEER)).in_all == 0
    assert (await other.token_count("T")).reserved == 0
    assert await other.prune(late, 10) == 0
    await other.commit(samples.placed("a", lsp=OTHER_LSP, token="T", token_uses=1), START)
    await other.close()


async def test_due_heights_follow_the_rules_of_today(tmp_path: Path) -> None:
    """An operator who widens the margin has it hold for the payments that are held already."""
    path = tmp_path / "lsps.db"
    store = open_inline(path).store
    await store.commit(samples.paid("a"), START)
    await store.close()
    store = open_here(path, rules=replace(RULES, hold_margin_blocks=100)).store
    due = samples.TIP + (144 - 100 + 1)
    assert await store.orders_due_at_height(BlockHeight(int(due) - 1), 10) == []
    assert await store.orders_due_at_height(due, 10) == ["a"]
    await store.close()


async def test_looking_while_it_is_served(tmp_path: Path) -> None:
    """A read-only opening takes no lock, sees each commit, and leaves the LSP's id to the file."""
    path = tmp_path / "lsps.db"
    store = open_here(path).store
    looking = open_order_store_read_only(path)
    for number in range(3):
        await store.commit(samples.placed(f"o{number}"), START)
        assert [order.id for order in await looking.newest_orders(None, 1)] == [f"o{number}"]
    assert looking.lsp == LSP
    await store.close()
    assert len(await looking.newest_orders(None, 10)) == 3
    await looking.close()
    await open_here(path).store.close()


async def test_looking_changes_nothing(tmp_path: Path) -> None:
    """The database's bytes are the same after a look, and nothing appears where no store is."""
    path = tmp_path / "lsps.db"
    await open_here(path).store.close()
    before = path.read_bytes()
    looking = open_order_store_read_only(path, LSP)
    assert await looking.newest_orders(None, 10) == []
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        looking._reads.execute("DELETE FROM lsps")
    await looking.close()
    assert path.read_bytes() == before
    with pytest.raises(StoreUnavailable, match="no store at"):
        open_order_store_read_only(tmp_path / "new" / "lsps.db")
    assert not (tmp_path / "new").exists()


async def test_looking_names_the_lsps_to_choose_from(tmp_path: Path) -> None:
    """With several LSPs in a file the error lists them; one that is not in it is refused."""
    path = tmp_path / "lsps.db"
    await open_here(path).store.close()
    with pytest.raises(StoreError, match=LSP.hex):
        open_order_store_read_only(path, OTHER_LSP)
    await open_here(path, lsp=OTHER_LSP).store.close()
    with pytest.raises(StoreError, match=f"{LSP}, {OTHER_LSP}"):
        open_order_store_read_only(path)
    looking = open_order_store_read_only(path, OTHER_LSP)
    assert looking.lsp == OTHER_LSP
    await looking.close()
