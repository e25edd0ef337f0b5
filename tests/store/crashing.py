"""A process that dies while it writes, again and again: `python -m tests.store.crashing DIRECTORY KILLS`.

A child serves a store: several tasks at once place, extend, open, refund and expire orders, in groups that share a
commit, and say each acknowledged commit on a pipe, until the child is killed (SIGKILL): at any time, within a
transaction, or while it opens the store. The parent then looks for anything lost or half in the file, and exits with a
text when it finds it.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from enum import Enum, auto
from itertools import count
from pathlib import Path

from lsps.orders.events import (
    ChannelOpened,
    DepositsSeen,
    Event,
    InvoiceSettled,
    Now,
    RefundPublished,
    RefundSigned,
    SeenDeposit,
    TimePassed,
)
from lsps.orders.model import Refund
from lsps.store.orders import OrderStore
from lsps.units import Sat
from tests.store import samples
from tests.store.consistency import disagreements
from tests.store.opened import by_hand, open_here
from tests.store.samples import NOW, RULES, START, TIP, after, channel_id

TASKS = 8
KILLS_A_STORE = 20
"""Then a new one: the checks read all that is in it."""
Said = dict[str, int]
"""The newest version of each order that was acknowledged."""


class When(Enum):
    """When the child dies."""

    ANY_TIME = auto()
    WITHIN_A_TRANSACTION = auto()
    """It kills itself."""
    OPENING = auto()


async def write_for_ever(path: Path, pipe: int, kill: int, when: When) -> None:
    opened = open_here(path)
    if when is When.WITHIN_A_TRANSACTION:
        chance = random.Random(kill)

        def die() -> None:
            if opened.writes.in_transaction and chance.random() < 0.02:
                os.kill(os.getpid(), signal.SIGKILL)

        opened.writes.set_progress_handler(die, 500)  # so many steps of SQLite's machine apart

    def acknowledged(name: str, version: int) -> None:
        os.write(pipe, f"{name} {version}\n".encode())  # shorter than PIPE_BUF: whole, or not at all

    await asyncio.gather(*(trade(opened.store, f"{kill}-{task}", acknowledged) for task in range(TASKS)))


async def trade(store: OrderStore, name: str, acknowledged: Callable[[str, int], None]) -> None:
    channel = name.partition("-")[2]
    for number in count():
        order = f"{name}-{number}"
        extension = samples.extension(channel)
        lease = await store.lease(channel_id(channel))
        free = samples.placed(f"{order}-free", extension, free=True, lease=lease, token="T", token_uses=10**9)
        await store.commit(free, START)
        acknowledged(f"{order}-free", 1)
        await store.commit(samples.placed(f"{order}-late", token="T", token_uses=10**9), START)
        acknowledged(f"{order}-late", 1)
        await store.commit(samples.fulfilling(f"{order}-open", f"{order}-x", f"{order}-y"), START)
        acknowledged(f"{order}-open", 1)
        await samples.expire(store, f"{order}-late")
        acknowledged(f"{order}-late", 2)
        ends: list[Event] = [ChannelOpened(samples.outpoint(f"{order}-channel")), InvoiceSettled()]
        for version, event in enumerate(ends, start=2):
            await samples.happen(store, f"{order}-open", event)
            acknowledged(f"{order}-open", version)
        await store.commit(samples.placed_onchain(f"{order}-short"), START)
        acknowledged(f"{order}-short", 1)
        for version, (happened, now) in enumerate(paid_short_and_refunded(order), start=2):
            await samples.happen(store, f"{order}-short", happened, now)
            acknowledged(f"{order}-short", version)


def paid_short_and_refunded(order: str) -> Iterator[tuple[Event, Now]]:
    """What happens to an order that is paid too little on-chain, and expires."""
    deposit, late = samples.outpoint(f"{order}-deposit"), Now(after(86_400), TIP)
    yield DepositsSeen((SeenDeposit(deposit, Sat(60_000), TIP, None, None, None),), TIP), NOW
    yield TimePassed(), late
    refund = Refund(samples.outpoint(f"{order}-refund").txid, b"raw", Sat(59_500), Sat(500), 1_000)
    yield RefundSigned(deposit, refund), late
    yield RefundPublished(deposit, refund.txid), late


def run_and_kill(path: Path, kill: int, when: When, delay: float) -> Said:
    """What was acknowledged until the child died; killed from outside, that is after `delay` seconds."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        asyncio.run(write_for_ever(path, writing, kill, when))
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as lines:
        said = [lines.readline()] if when is When.ANY_TIME else []
        if when is not When.WITHIN_A_TRANSACTION:
            time.sleep(delay)
            os.kill(child, signal.SIGKILL)
        said += lines
    if os.waitpid(child, 0)[1] != signal.SIGKILL:
        sys.exit(f"kill {kill}: the child ended by itself")
    return {name: int(version) for name, version in (line.split() for line in said)}


def fault(path: Path, acknowledged: Said) -> str | None:
    """What is lost or half, in words."""
    with by_hand(path) as file:
        if not file.execute("SELECT 1 FROM sqlite_schema WHERE name = 'orders'").fetchone():
            return f"lost: {acknowledged}" if acknowledged else None
        stored = dict(file.execute("SELECT id, version FROM orders").fetchall())
        lost = [f"{name} {version}" for name, version in acknowledged.items() if stored.get(name, 0) < version]
        return f"lost: {lost}" if lost else "; ".join(disagreements(file, RULES)) or None


def main(directory: Path, kills: int) -> None:
    acknowledged: Said = {}
    total = 0
    chance = random.Random(7)
    for kill in range(kills):
        if kill % KILLS_A_STORE == 0:
            acknowledged.clear()
        path = directory / f"lsps-{kill // KILLS_A_STORE}.db"
        (when,) = chance.choices((When.ANY_TIME, When.WITHIN_A_TRANSACTION, When.OPENING), (6, 3, 1))
        said = run_and_kill(path, kill, when, chance.uniform(0, 0.05))
        acknowledged |= said
        total += sum(said.values())
        if found := fault(path, acknowledged):
            sys.exit(f"kill {kill}: {found}")
    sys.stdout.write(f"{total}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
