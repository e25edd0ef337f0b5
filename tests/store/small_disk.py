"""A store on a real file system that is too small, and then read-only: `python -m tests.store.small_disk DIRECTORY`.

Mounts a tmpfs of 1 MiB there: run it where it may (disks.MOUNTING). Exits with a text when something is lost.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from itertools import count
from pathlib import Path

import pytest

from lsps.store.orders import StoreUnavailable
from lsps.store.sqlite.backup import back_up_orders
from tests.store import samples
from tests.store.consistency import disagreements
from tests.store.opened import Opened, by_hand, open_here
from tests.store.samples import RULES, START

BALLAST = 256 * 1024


def mount(*options: str) -> None:
    subprocess.run(["mount", *options], check=True)


async def fill(opened: Opened) -> tuple[set[str], set[str]]:
    """Commits in groups until one is refused: the names that were acknowledged, and what the refusals said."""
    acknowledged: set[str] = set()
    for number in count():
        names = [f"o{number}-{part}" for part in range(5)]
        commits = (opened.store.commit(samples.placed(name), START) for name in names)
        outcomes = await asyncio.gather(*commits, return_exceptions=True)
        acknowledged |= {name for name, outcome in zip(names, outcomes, strict=True) if outcome is None}
        refused = {str(outcome) for outcome in outcomes if isinstance(outcome, StoreUnavailable)}
        if refused:
            return acknowledged, refused
    raise AssertionError


def check(path: Path, acknowledged: set[str]) -> None:
    with by_hand(path) as file:
        assert {row[0] for row in file.execute("SELECT id FROM orders")} == acknowledged
        assert disagreements(file, RULES) == []


async def main(directory: Path) -> None:
    mount("-t", "tmpfs", "-o", "size=1m,mode=700", "none", str(directory))
    ballast, path, copy = directory / "ballast", directory / "lsps.db", directory / "copy.db"
    ballast.write_bytes(bytes(BALLAST))
    opened = open_here(path)
    acknowledged, refused = await fill(opened)
    assert acknowledged
    assert all(f"{path}: the disk is full: free some space" in text for text in refused), refused
    check(path, acknowledged)
    assert {order.id for order in await opened.store.newest_orders(None, 10_000)} == acknowledged
    no_room(path, copy)
    ballast.unlink()
    await opened.store.commit(samples.placed("after"), START)
    await opened.store.close()
    check(path, acknowledged | {"after"})

    mount("-o", "remount,ro", str(directory))
    with pytest.raises(StoreUnavailable, match=f"{path}: the file system is read-only: mount it for writing"):
        open_here(path)
    mount("-o", "remount,rw", str(directory))
    again = open_here(path)
    await again.store.commit(samples.placed("in the end"), START)
    await again.store.close()
    check(path, acknowledged | {"after", "in the end"})


def no_room(path: Path, copy: Path) -> None:
    with pytest.raises(StoreUnavailable, match=f"{copy}: the disk is full: free some space"):
        back_up_orders(path, copy, overwrite=False)
    assert not [file for file in path.parent.iterdir() if "copy" in file.name]


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
