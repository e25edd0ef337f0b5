"""Who carries out writes. Many callers share one durable commit, since the disk's fsync is what a commit costs.

Each job runs within a savepoint of its own: one that fails is rolled back alone, and the others of its group are
committed. Nobody is answered before the group is on the disk. When that fails, all of the group get StoreUnavailable
and nothing of it is visible.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from lsps.store.orders import StoreUnavailable
from lsps.store.sqlite.failures import unavailable

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

LARGEST_GROUP = 500


class Writer(Protocol):
    """Used from one event loop."""

    async def run(self, job: Job[T]) -> T:
        """The job's result, once it is durable. Raises what the job raises, or StoreUnavailable.

        A caller that is cancelled while its job waits learns nothing; the job is still carried out, whole.
        """
        ...

    async def close(self) -> None:
        """Carry out what waits, and stop."""
        ...


MakeWriter = Callable[[sqlite3.Connection, Path], Writer]


@dataclass(slots=True)
class Queued:
    job: Job[Any]
    future: asyncio.Future[Any] | None = None
    result: Any = None
    error: Exception | None = None


def write_group(connection: sqlite3.Connection, path: Path, group: Sequence[Queued]) -> None:
    """One transaction for all; afterwards each has its result or its error."""
    try:
        try:
            connection.execute("BEGIN IMMEDIATE")
            for queued in group:
                _run_in_savepoint(connection, path, queued)
            connection.execute("COMMIT")
        finally:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
    except sqlite3.Error as error:
        # The disk is full or fails: SQLite may have ended the transaction itself, and with it the other jobs' work.
        for queued in group:
            queued.error = unavailable(path, error)


def _run_in_savepoint(connection: sqlite3.Connection, path: Path, queued: Queued) -> None:
    connection.execute("SAVEPOINT job")
    try:
        queued.result = queued.job(connection)
    except Exception as error:  # whatever the job raises is its caller's
        if isinstance(error, sqlite3.Error):
            if not connection.in_transaction:
                raise
            error = unavailable(path, error)
        queued.error = error
        connection.execute("ROLLBACK TO job")
    connection.execute("RELEASE job")


class InlineWriter:
    """Each job a transaction of its own, carried out before `run` returns: for tests, simulations, small tools."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    async def run(self, job: Job[T]) -> T:
        queued = Queued(job)
        write_group(self._connection, self._path, [queued])
        if queued.error is not None:
            raise queued.error
        result: T = queued.result
        return result

    async def close(self) -> None:
        """Nothing ever waits."""


class ThreadWriter:
    """A thread that takes whatever has queued up while the last group was being written, as the next group."""

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._queue: queue.SimpleQueue[Queued | None] = queue.SimpleQueue()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name=f"writer of {path.name}", daemon=True)
        self._thread.start()

    async def run(self, job: Job[T]) -> T:
        if self._closed:
            raise StoreUnavailable(f"{self._path} is closed")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._queue.put(Queued(job, future))
        return await future

    async def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._queue.put(None)
            self._thread.join()  # a commit or two; a cancelled close must not leave the connection in use

    def _work(self) -> None:
        last = False
        while not last:
            group = []
            taken = self._queue.get()
            while taken is not None:
                group.append(taken)
                if len(group) == LARGEST_GROUP or self._queue.empty():
                    break
                taken = self._queue.get()
            last = taken is None
            if group:
                write_group(self._connection, self._path, group)
                _answer(group)


def _answer(group: Sequence[Queued]) -> None:
    future = group[0].future
    if future is not None:
        with suppress(RuntimeError):  # the loop is closed: nobody waits any more
            future.get_loop().call_soon_threadsafe(answer, group)


def answer(group: Sequence[Queued]) -> None:
    for queued in group:
        if queued.future is None or queued.future.done():  # done: its caller was cancelled
            continue
        if queued.error is not None:
            queued.future.set_exception(queued.error)
        else:
            queued.future.set_result(queued.result)
