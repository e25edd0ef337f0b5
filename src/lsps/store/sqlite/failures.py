"""SQLite's errors in words that say what to do. No sqlite3 exception leaves the store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lsps.store.orders import StoreUnavailable

_ADVICE = {
    sqlite3.SQLITE_FULL: "the disk is full: free some space",
    sqlite3.SQLITE_READONLY: "it cannot be written: make the file and its directory writable for this user",
    sqlite3.SQLITE_BUSY: "another program holds its lock: close what has the file open",
    sqlite3.SQLITE_LOCKED: "another program holds its lock: close what has the file open",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: stop, keep it, and put back a copy",
    sqlite3.SQLITE_NOTADB: "the file is not an SQLite database, or is damaged: look at the path, or put back a copy",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: look at the path, and whether this user may write in its directory",
    sqlite3.SQLITE_IOERR: "the disk reports an error: look at the machine's disk and its log",
    sqlite3.SQLITE_PERM: "this user may not use it: look at the file's owner and mode",
    sqlite3.SQLITE_AUTH: "this user may not use it: look at the file's owner and mode",
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}


def unavailable(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    """The store's own error for SQLite's. The text holds no value of any row."""
    code = getattr(error, "sqlite_errorcode", None)
    advice = _ADVICE.get(code & 0xFF) if isinstance(code, int) else None
    return StoreUnavailable(f"{path}: {advice} ({error})" if advice else f"{path}: {error}")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raises StoreUnavailable for any sqlite3 error or OSError of the block."""
    try:
        yield
    except sqlite3.Error as error:
        raise unavailable(path, error) from error
    except OSError as error:
        raise StoreUnavailable(f"{path}: {error.strerror}: look at the path and at who may write there") from error
