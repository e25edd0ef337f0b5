"""A copy of a database that others may be writing to, by SQLite's online backup.

The copy is made beside its final name, checked, brought to the disk and only then renamed: no half copy is ever seen
under that name. It reads the store as of one moment; writers go on meanwhile, since the log takes what they write.
"""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

from lsps.store.backup import Backup, CopyRefused
from lsps.store.orders import StoreUnavailable
from lsps.store.sqlite.connection import open_for_reading
from lsps.store.sqlite.failures import translated
from lsps.store.sqlite.schema import JOURNAL, ORDERS, Kind, count_rows, recognise

_BESIDE = ("-wal", "-shm", "-journal")
"""What SQLite keeps beside a database that is open, or was not closed."""
_LOCK = ".lock"
"""What `lsps serve` keeps beside it."""
_TAKEN = "exists already: name another file, or overwrite it with --force"


def back_up_orders(store: Path, target: Path, *, overwrite: bool) -> Backup:
    """The order store at `store` into the file `target`, mode 0600. Raises CopyRefused, StoreUnavailable."""
    return _back_up(store, ORDERS, target, overwrite=overwrite)


def back_up_journal(journal: Path, target: Path, *, overwrite: bool) -> Backup:
    """The client's journal, likewise."""
    return _back_up(journal, JOURNAL, target, overwrite=overwrite)


def _back_up(source: Path, kind: Kind, target: Path, *, overwrite: bool) -> Backup:
    source, target = source.resolve(), target.resolve()
    _refuse_harm(source, target, overwrite=overwrite)
    with translated(source), closing(_open(source, kind)) as reads, translated(target), ExitStack() as unfinished:
        descriptor, name = tempfile.mkstemp(
            dir=target.parent, prefix=f".{target.name}.", suffix=".partial"
        )  # mode 0600
        os.close(descriptor)
        partial = Path(name)
        unfinished.callback(partial.unlink, missing_ok=True)
        rows = _copy(reads, partial)
        _to_disk(partial)
        if not overwrite:
            _claim(target)
        partial.replace(target)
        _to_disk(target.parent)
        return Backup(source, target, target.stat().st_size, rows, holds_secret=kind is ORDERS)


def _claim(target: Path) -> None:
    """Another may have taken the name since it was looked at."""
    try:
        os.close(os.open(target, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    except FileExistsError:
        raise CopyRefused(f"{target} {_TAKEN}") from None


def _refuse_harm(source: Path, target: Path, *, overwrite: bool) -> None:
    if target.name in {source.name + end for end in ("", *_BESIDE, _LOCK)} and target.parent == source.parent:
        raise CopyRefused(f"{target} belongs to the store itself: name another file, best on another disk")
    if target.is_dir():
        raise CopyRefused(f"{target} is a directory: name a file in it")
    if not target.parent.is_dir():
        raise CopyRefused(f"there is no directory {target.parent}: make it, or mount what belongs there")
    if not target.exists():
        return
    if target.samefile(source):
        raise CopyRefused(f"{target} is the store itself: name another file")
    if not overwrite:
        raise CopyRefused(f"{target} {_TAKEN}")
    for end in _BESIDE:
        if target.with_name(target.name + end).exists():
            raise CopyRefused(
                f"{target} is open, or was not closed: {target.name}{end} lies beside it; name another file"
            )


def _open(source: Path, kind: Kind) -> sqlite3.Connection:
    if not source.exists():
        raise StoreUnavailable(f"there is no {source}: nothing was copied")
    reads = open_for_reading(source)
    try:
        recognise(reads, source, kind)
    except BaseException:
        reads.close()
        raise
    return reads


def _copy(reads: sqlite3.Connection, partial: Path) -> dict[str, int]:
    """One read transaction: what is counted is what is copied. In one step, for a copy in steps begins anew whenever
    another process writes, and would not end on a busy store."""
    reads.execute("BEGIN")
    try:
        counted = count_rows(reads)
        with closing(sqlite3.connect(partial, isolation_level=None)) as copy:
            copy.execute("PRAGMA synchronous = FULL")
            reads.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, readable where nothing can be written
            _check(copy, counted, partial)
    finally:
        reads.execute("ROLLBACK")
    return counted


def _check(copy: sqlite3.Connection, counted: dict[str, int], partial: Path) -> None:
    found = copy.execute("PRAGMA integrity_check").fetchone()[0]
    if found != "ok":
        raise StoreUnavailable(f"the copy is damaged ({found}), and so is the store, it seems: keep the older copies")
    if copy.execute("PRAGMA foreign_key_check").fetchone() is not None or count_rows(copy) != counted:
        raise StoreUnavailable(f"{partial}: the copy is not what was read: look at this disk, and copy to another")


def _to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
