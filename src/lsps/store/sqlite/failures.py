"""SQLite's errors in words that say what to do. No sqlite3 exception leaves the store."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lsps.store.orders import StoreUnavailable

_FULL = "the disk is full: free some space"
_READ_ONLY = "the file system is read-only: mount it for writing, and look at the machine's log for why it is not"
_NOT_WRITABLE = "it cannot be written: make the file and its directory writable for this user"
_NOT_OURS = "this user may not use it: look at the owner and mode of the file and of its directory"

_ADVICE = {
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_READONLY: _NOT_WRITABLE,
    sqlite3.SQLITE_BUSY: "another program holds its lock: close what has the file open",
    sqlite3.SQLITE_LOCKED: "another program holds its lock: close what has the file open",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: stop, keep it, and put back a copy",
    sqlite3.SQLITE_NOTADB: "the file is not an SQLite database, or is damaged: look at the path, or put back a copy",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened: look at the path, and whether this user may write in its directory",
    sqlite3.SQLITE_IOERR: "the disk reports an error: look at this user's quota and limits, the disk, and its log",
    sqlite3.SQLITE_PERM: _NOT_OURS,
    sqlite3.SQLITE_AUTH: _NOT_OURS,
    sqlite3.SQLITE_NOMEM: "there is no memory left",
}


_ADVICE_BY_ERRNO = {
    errno.ENOSPC: _FULL,
    errno.EDQUOT: "this user's disk quota is used up: free some space, or raise it",
    errno.EROFS: _READ_ONLY,
    errno.EACCES: _NOT_OURS,
    errno.EPERM: _NOT_OURS,
    errno.ELOOP: "a symbolic link stands where its .lock belongs: remove it",
    errno.EIO: "the disk reports an error: look at the disk and at the machine's log",
}


def unavailable(path: Path, error: sqlite3.Error) -> StoreUnavailable:
    """The store's own error for SQLite's. The text holds no value of any row."""
    code = getattr(error, "sqlite_errorcode", None)
    primary = code & 0xFF if isinstance(code, int) else None
    advice = _ADVICE.get(primary) if primary is not None else None
    if primary in {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY}:
        advice = _of_file_system(path) or advice
    return StoreUnavailable(f"{path}: {advice} ({error})" if advice else f"{path}: {error}")


def check_writable(path: Path) -> None:
    """Raises StoreUnavailable: SQLite would open the file for reading alone, and say so at the first write."""
    if path.exists() and not os.access(path, os.W_OK):
        raise StoreUnavailable(f"{path}: {_of_file_system(path) or _NOT_WRITABLE}")


def _of_file_system(path: Path) -> str | None:
    """SQLite says "disk I/O error" of much, and not why: the file system may."""
    try:
        found = os.statvfs(path.parent)
    except OSError:
        return None
    if found.f_flag & os.ST_RDONLY:
        return _READ_ONLY
    return _FULL if found.f_blocks and not found.f_bavail else None


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Raises StoreUnavailable for any sqlite3 error or OSError of the block."""
    try:
        yield
    except sqlite3.Error as error:
        raise unavailable(path, error) from error
    except OSError as error:
        advice = _ADVICE_BY_ERRNO.get(error.errno or 0, "look at the path")
        raise StoreUnavailable(f"{path}: {advice} ({error.strerror or error})") from error
