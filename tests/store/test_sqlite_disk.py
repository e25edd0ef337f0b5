"""The store on disks that really refuse: full by the kernel's word, read-only, without rights. None loses anything."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from lsps.store.orders import StoreUnavailable
from tests.store import samples
from tests.store.consistency import disagreements
from tests.store.disks import FULL, MOUNTING, WITHOUT_PRIVILEGE, can_mount
from tests.store.opened import PROJECT, by_hand, open_here
from tests.store.samples import RULES, START

SCRIPTS = {"no_rights": WITHOUT_PRIVILEGE} | ({"small_disk": MOUNTING} if can_mount() else {})
"""Programs that need a machine of their own, and what gives it to them. Where no file system can be mounted, only the
disks of FULL say what a full one does."""


@pytest.mark.parametrize("how", FULL)
async def test_groups_on_a_full_disk(tmp_path: Path, how: str) -> None:
    """Of groups of commits, exactly the acknowledged are there, each whole, the others have the advice; with room again
    all goes on, also in the next process."""
    full, advice = FULL[how]
    path = tmp_path / "lsps.db"
    opened = open_here(path)
    await opened.store.commit(samples.placed("before"), START)
    acknowledged = {"before"}
    refused: list[BaseException] = []
    async with full(path, opened.writer):
        for number in range(10):
            names = [f"o{number}-{part}" for part in range(5)]
            commits = (opened.store.commit(samples.placed(name), START) for name in names)
            outcomes = await asyncio.gather(*commits, return_exceptions=True)
            acknowledged |= {name for name, outcome in zip(names, outcomes, strict=True) if outcome is None}
            refused += [outcome for outcome in outcomes if outcome is not None]
        assert {order.id for order in await opened.store.newest_orders(None, 1_000)} == acknowledged
    assert refused
    assert all(isinstance(error, StoreUnavailable) and f"{path}: {advice}" in str(error) for error in refused)
    await opened.store.commit(samples.placed("after"), START)
    await opened.store.close()
    again = open_here(path)
    await again.store.commit(samples.placed("in the end"), START)
    await again.store.close()
    with by_hand(path) as file:
        assert {row[0] for row in file.execute("SELECT id FROM orders")} == acknowledged | {"after", "in the end"}
        assert disagreements(file, RULES) == []


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_disk_that_refuses(tmp_path: Path, script: str) -> None:
    """A small file system that fills up, and is then read-only; a file and a directory that lose their rights: each
    refusal names the file and what to do, what was acknowledged is there, and it goes on when the cause is gone."""
    command = [*SCRIPTS[script], sys.executable, "-m", f"tests.store.{script}", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=PROJECT)
    assert (done.returncode, done.stderr, done.stdout) == (0, "", "")
