"""Disks that are full for a while, by each of the ways in which a kernel or SQLite refuses to write."""

from __future__ import annotations

import os
import resource
import sqlite3
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path

from lsps.store.sqlite.writer import Writer

Full = Callable[[Path, Writer], AbstractAsyncContextManager[None]]
"""While the block lasts, the store at the path, which is written by the writer, cannot grow."""


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """The kernel refuses to write beyond so many bytes of any file: what fits is written, the rest is EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@asynccontextmanager
async def file_limit(path: Path, _: Writer) -> AsyncIterator[None]:
    """The log may grow by half a page: its next frame is written in part, and SQLite tells of an I/O error."""
    with files_of_at_most(path.with_name(f"{path.name}-wal").stat().st_size + 2048):
        yield


@asynccontextmanager
async def page_limit(_: Path, writer: Writer) -> AsyncIterator[None]:
    """The database may have no page more: SQLite tells that it is full, as it does of a disk without space."""

    def allow(pages: int) -> Callable[[sqlite3.Connection], object]:
        return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

    def present(connection: sqlite3.Connection) -> int:
        return int(connection.execute("PRAGMA page_count").fetchone()[0])

    await writer.run(allow(await writer.run(present)))
    try:
        yield
    finally:
        await writer.run(allow(2**31 - 2))


FULL: dict[str, tuple[Full, str]] = {
    "file limit": (file_limit, "the disk reports an error: look at this user's quota and limits"),
    "page limit": (page_limit, "the disk is full: free some space"),
}
"""And what the store's error must say of each."""

MOUNTING = ("unshare", "--map-root-user", "--mount")
"""Runs a command that may mount, seen by itself alone."""
WITHOUT_PRIVILEGE = ("setpriv", "--bounding-set=-dac_override,-dac_read_search") if os.geteuid() == 0 else ()
"""Runs a command for which the modes of files mean what they say, also if we are root."""


def can_mount() -> bool:
    """Whether this machine lets us mount a small file system of our own."""
    try:
        return subprocess.run([*MOUNTING, "true"], check=False, capture_output=True).returncode == 0
    except OSError:
        return False
