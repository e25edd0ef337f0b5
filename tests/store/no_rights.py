"""A store whose file and directory lose and regain the right to write: `python -m tests.store.no_rights DIRECTORY`.

Modes mean nothing to root: run it without that privilege (disks.WITHOUT_PRIVILEGE). Exits with a text when something is
wrong.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from lsps.store.orders import StoreUnavailable
from tests.store import samples
from tests.store.consistency import disagreements
from tests.store.opened import by_hand, open_here
from tests.store.samples import RULES, START


def cannot_open(path: Path, advice: str) -> None:
    with pytest.raises(StoreUnavailable, match=f"{path}: .*{advice}"):
        open_here(path)


def main(path: Path) -> None:
    """Rights are asked for when a file is opened: a service that runs is not harmed, and one that starts is told."""
    asyncio.run(serve(path, "before", then=lambda: allow(path, file=0o400, directory=0o500), after="meanwhile"))
    for file, directory in ((0o400, 0o700), (0o000, 0o700), (0o600, 0o500)):
        allow(path, file=file, directory=directory)
        cannot_open(path, "it cannot be written: make the file and its directory writable for this user")
    allow(path, file=0o600, directory=0o700)
    lock = path.with_name(f"{path.name}.lock")
    lock.chmod(0o400)
    cannot_open(path, "look at the owner and mode of the file and of its directory")
    lock.chmod(0o600)
    asyncio.run(serve(path, "again", then=lambda: None, after="in the end"))
    with by_hand(path) as store:
        stored = {row[0] for row in store.execute("SELECT id FROM orders")}
        assert stored == {"before", "meanwhile", "again", "in the end"}
        assert disagreements(store, RULES) == []


async def serve(path: Path, before: str, *, then: Callable[[], None], after: str) -> None:
    opened = open_here(path)
    await opened.store.commit(samples.placed(before), START)
    then()
    await opened.store.commit(samples.placed(after), START)
    allow(path, file=0o600, directory=0o700)
    await opened.store.close()


def allow(path: Path, *, file: int, directory: int) -> None:
    path.chmod(file)
    path.parent.chmod(directory)


if __name__ == "__main__":
    main(Path(sys.argv[1]) / "lsps.db")
