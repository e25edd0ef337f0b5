"""The LSP's disk: SQLite's file is real, writes take their turn in the simulation, and they can fail.

Writes are grouped as the service's own writer thread does it, by the same function; here the loop runs it.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from lsps.store.orders import StoreUnavailable
from lsps.store.sqlite.writer import LARGEST_GROUP, Job, Queued, answer, write_group
from tests.simulation.loop import SimulatedLoop

T = TypeVar("T")

_NO_LIMIT = 2**32 - 2
"""SQLite's largest max_page_count, and its default."""


class Disk:
    """What befalls the writes of whichever process has the file open now."""

    def __init__(self, loop: SimulatedLoop, on_commit: Callable[[], None]) -> None:
        self.loop = loop
        self.on_commit = on_commit
        self.latency = 0.0
        """How long a group takes to be written, in seconds."""
        self.fail_before = 0
        """So many groups are not written, and their callers told so."""
        self.fail_after = 0
        """So many groups are written although their callers are told that they are not."""
        self._full = False
        self._writer: SimulatedWriter | None = None

    @property
    def full(self) -> bool:
        return self._full

    @full.setter
    def full(self, full: bool) -> None:
        self._full = full
        if self._writer is not None:
            self._writer.limit(full=full)

    @property
    def well(self) -> bool:
        return not (self._full or self.fail_before or self.fail_after)

    def writer(self, connection: sqlite3.Connection, path: Path) -> SimulatedWriter:
        """For open_order_store."""
        self._writer = SimulatedWriter(self, connection, path)
        self._writer.limit(full=self._full)
        return self._writer

    def empty(self) -> None:
        """There is room again."""
        self.full = False

    def heal(self) -> None:
        self.fail_before = self.fail_after = 0
        self.full = False


class SimulatedWriter:
    """A store's Writer, as ThreadWriter without its thread."""

    def __init__(self, disk: Disk, connection: sqlite3.Connection, path: Path) -> None:
        self._disk = disk
        self._connection = connection
        self._path = path
        self._queue: deque[Queued] = deque()
        self._dead = False
        connection.execute("PRAGMA synchronous = OFF")  # a process dies here, never the machine

    async def run(self, job: Job[T]) -> T:
        if self._dead:
            raise StoreUnavailable("this process is dead")
        future = self._disk.loop.create_future()
        self._queue.append(Queued(job, future))
        if len(self._queue) == 1:
            self._disk.loop.call_later(self._disk.latency, self._write)
        result: T = await future
        return result

    async def close(self) -> None:
        """Nothing is carried out: only `die` comes before it."""

    def die(self, *, written: bool) -> None:
        """The process is killed. `written`: what it had queued reaches the disk just before."""
        if written:
            self._write()
        self._dead = True
        self._queue.clear()

    def limit(self, *, full: bool) -> None:
        if self._dead:
            return
        (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
        self._connection.execute(f"PRAGMA max_page_count = {pages if full else _NO_LIMIT}")

    def _write(self) -> None:
        group = [self._queue.popleft() for _ in range(min(len(self._queue), LARGEST_GROUP))]
        if not group:
            return
        disk = self._disk
        if disk.fail_before:
            disk.fail_before -= 1
            _deny(group)
        else:
            write_group(self._connection, self._path, group)
            disk.on_commit()
            if disk.fail_after:
                disk.fail_after -= 1
                _deny(group)
        answer(group)
        if self._queue:
            disk.loop.call_later(disk.latency, self._write)


def _deny(group: list[Queued]) -> None:
    for queued in group:
        queued.error = StoreUnavailable("the disk reports an error (which the simulation asked for)")
