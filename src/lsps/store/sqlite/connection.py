"""One way to open a database: durable, strict about foreign keys, and usable from the writer's thread."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from lsps.store.orders import StoreUnavailable
from lsps.store.sqlite.failures import check_writable

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables came with it."""

WRITE_PATIENCE_MS = 5_000
READ_PATIENCE_MS = 1_000
"""How long to wait for another program's lock; reads wait on the event loop's thread, so less."""


def open_for_writing(path: Path) -> sqlite3.Connection:
    """Autocommit; transactions are begun by whoever needs one. Raises sqlite3.Error, StoreUnavailable."""
    check_writable(path)
    connection = _connect(str(path), WRITE_PATIENCE_MS, uri=False)
    try:
        _use_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")  # a commit is on the disk before it returns
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """Sees what is committed, also while another connection writes. Raises sqlite3.Error, StoreUnavailable."""
    return _connect(f"{path.as_uri()}?mode=ro", READ_PATIENCE_MS, uri=True)


def _connect(database: str, patience_ms: int, *, uri: bool) -> sqlite3.Connection:
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        wanted = ".".join(map(str, OLDEST_SQLITE))
        raise StoreUnavailable(f"this Python uses SQLite {sqlite3.sqlite_version}: {wanted} or later is needed")
    return sqlite3.connect(database, uri=uri, timeout=patience_ms / 1000, isolation_level=None, check_same_thread=False)


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log. SQLite does not wait for a lock here, so two first openings at once try again."""
    for last_try in (False,) * 50 + (True,):
        try:
            if connection.execute("PRAGMA journal_mode = WAL").fetchone() == ("wal",):
                return
        except sqlite3.OperationalError:
            if last_try:
                raise
        time.sleep(0.02)
    raise StoreUnavailable("the file system does not support SQLite's write-ahead log: keep the store on a local disk")
