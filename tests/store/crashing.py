"""A process that dies while it writes, again and again: `python -m tests.store.crashing DIRECTORY ROUNDS`.

A child serves the store and extends leases from several tasks at once, saying each acknowledged order on a pipe, until
it is killed. The parent then looks into the file for anything half or lost, and exits with a text when it finds any.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sqlite3
import sys
import time
from pathlib import Path

from lsps.store.sqlite.opening import open_order_store
from tests.store import samples
from tests.store.opened import by_hand
from tests.store.samples import LSP, RULES, START, channel_id

TASKS = 8


async def write_for_ever(path: Path, pipe: int, round_number: int) -> None:
    store = open_order_store(path, LSP, RULES)

    async def extend(channel: int) -> None:
        number = 0
        while True:
            name = f"{round_number}-{channel}-{number}"
            lease = await store.lease(channel_id(str(channel)))
            terms = samples.extension(str(channel))
            change = samples.placed(name, terms, free=True, lease=lease, token="T", token_uses=10**9)
            await store.commit(change, START)
            os.write(pipe, f"{name}\n".encode())
            await store.commit(samples.fulfilling(f"{name}-open", f"{name}-x", f"{name}-y"), START)
            number += 1

    await asyncio.gather(*(extend(channel) for channel in range(TASKS)))


def run_and_kill(path: Path, round_number: int, delay: float) -> list[str]:
    """The names of the orders that were acknowledged before the child was killed."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        asyncio.run(write_for_ever(path, writing, round_number))
        os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as lines:
        first = lines.readline()
        time.sleep(delay)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        said = [first, *lines]
    return [line.strip() for line in said if line.endswith("\n")]


def number_of(file: sqlite3.Connection, query: str) -> int:
    return int(file.execute(query).fetchone()[0])


def find_fault(path: Path, acknowledged: set[str]) -> str | None:
    """What is half or lost, in words."""
    with by_hand(path) as file:
        if file.execute("PRAGMA integrity_check").fetchall() != [("ok",)]:
            return "the integrity check fails"
        if file.execute("PRAGMA foreign_key_check").fetchall():
            return "a foreign key dangles"
        present = {row[0] for row in file.execute("SELECT id FROM orders")}
        if not acknowledged <= present:
            return f"lost: {acknowledged - present}"
        orders = number_of(file, "SELECT count(*) FROM orders WHERE state = 'completed'")
        if orders != number_of(file, "SELECT count(*) FROM extensions"):
            return "orders without extension, or extensions without order"
        if orders != number_of(file, "SELECT consumed FROM tokens"):
            return "orders without their token's use"
        leases = "SELECT sum(expiration_block - 800000) FROM leases"
        if number_of(file, leases) != orders * 144:
            return "leases and extensions differ"
        opening = number_of(file, "SELECT count(*) FROM orders WHERE state = 'fulfilling'")
        if opening * 2 != number_of(file, "SELECT count(*) FROM reserved_inputs"):
            return "openings without their inputs"
        if opening != number_of(file, "SELECT count(*) FROM effects WHERE name = 'open channel'"):
            return "openings without their effect"
    return None


def main(directory: Path, rounds: int) -> None:
    path = directory / "lsps.db"
    acknowledged: set[str] = set()
    chance = random.Random(7)
    for round_number in range(rounds):
        acknowledged.update(run_and_kill(path, round_number, chance.uniform(0, 0.05)))
        fault = find_fault(path, acknowledged)
        if fault is not None:
            sys.exit(f"round {round_number}: {fault}")
    sys.stdout.write(f"{len(acknowledged)}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
