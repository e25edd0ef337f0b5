"""Files that only their owner reads, and the lock that keeps a second server away."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from lsps.logs import event
from lsps.paths import make_directory, others_can_read
from lsps.store.orders import StoreInUse

_log = logging.getLogger("lsps.store")


def make_private(path: Path) -> None:
    """Make the file, and the directories it lies in, readable by their owner alone, where they do not exist yet.

    SQLite gives the files beside a database the database's own mode. An existing file is not even opened: closing it
    again would drop the locks of this process's other connections to it. One that others can read is warned of.
    """
    make_directory(path.parent)
    try:
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        if others_can_read(path):
            event(_log, logging.WARNING, "readable_by_others", file=str(path), advice="it has secrets: chmod 600 it")


class ServingLock:
    """Held while a process serves the store at `path`. The kernel drops it when the process ends, however it ends."""

    def __init__(self, path: Path) -> None:
        """Raises StoreInUse, OSError."""
        file = path.with_name(path.name + ".lock")
        make_private(file)
        self._fd = os.open(file, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._fd, 32).decode("ascii", "replace").strip()
            os.close(self._fd)
            by = f"process {holder}" if holder.isdigit() else "another process"
            raise StoreInUse(
                f"{path} is being served by {by}, which holds {file}: stop that one first, or give this one a store"
                " of its own (`lsps orders --service` can read it meanwhile)"
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._fd)
