"""Whatever happens: a client that dies at any moment, and an LSP that says anything."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest

from lsps.client.patience import Patience
from lsps.errors import LspsError
from lsps.store.journal import EntryState
from lsps.units import Sat
from tests.client.fake_lsp import FEE, Json, Shop, shop
from tests.client.test_client_extend import BLOCKS, LIMIT, scid

HURRY = Patience(
    reply=5, poll_reply=5, attempts=2, delivery=30, onchain=60, verify=5, own_node=10, given_back=5, longest_poll=5
)


async def purchase(market: Shop, kind: str, pay_with: str = "bolt11", patience: Patience | None = None) -> Any:
    async with market.client(patience=patience) as lsp:
        if kind == "extend":
            return await lsp.lsps7.extend(scid(market), blocks=BLOCKS, max_fee=LIMIT, pay_with=pay_with)
        size = Sat(200_000)
        return await lsp.lsps1.buy(lsp_balance=size, expiry_blocks=144, max_fee=LIMIT, pay_with=pay_with)


# --- a client that dies ---------------------------------------------------------------------------------------------


async def died_after(market: Shop, kind: str, turns: int) -> bool:
    """Whether it died before it was done. `turns` of the event loop; at each the client waits somewhere else."""
    task = asyncio.create_task(purchase(market, kind))
    for _ in range(turns):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return EntryState.COMPLETED not in market.journal.states()


@pytest.mark.parametrize("kind", ["extend", "buy"])
async def test_killed_anywhere_the_same_call_pays_once(kind: str) -> None:
    """Wherever a client was killed, the same call again ends with what was wanted, and with one payment in all."""
    turns, died = 0, True
    while died:
        async with shop() as market:
            if died := await died_after(market, kind, turns):
                await purchase(market, kind)
            assert await market.spent() == Sat(FEE).to_msat(), turns
            assert len(await market.sent()) == 1, turns
            assert market.journal.states()[-1] is EntryState.COMPLETED
        turns += 1
    assert turns > 30  # so many places, at least, were tried


# --- an LSP that says anything --------------------------------------------------------------------------------------

METHODS = (
    "lsps1.get_info",
    "lsps1.create_order",
    "lsps1.get_order",
    "lsps7.get_extendable_channels",
    "lsps7.create_order",
    "lsps7.get_order",
)
NUMBERS = (-1, 0, 1, 2**16, 2**32 - 1, 2**32, 2**64 - 1, 2**64, 1.5, "0", "1", "1000", "1001", str(2**64 - 1), "-5")
TIMES = ("9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "2020-01-01T00:00:00Z")
STATES = ("CREATED", "COMPLETED", "FAILED", "EXPECT_PAYMENT", "HOLD", "PAID", "REFUNDED", "CANCELLED")
NAMES = ("order-1", "order-2", "602x1x0", "601x1x0", "ab" * 32 + ":0", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4")
OTHERS: tuple[object, ...] = (None, "", "x" * 70, "x" * 3000, [], {}, [1], {"a": 1}, True, False, "\u202e\x1b[31m")
VALUES = (*NUMBERS, *TIMES, *STATES, *NAMES, *OTHERS)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every (container, key) in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in list(items):
        yield value, key
        yield from places(inner)


def lie(random: Random, result: Json) -> Json:
    """The result, with one value in it changed or left out."""
    if found := list(places(result)):
        container, key = random.choice(found)
        if isinstance(container, dict) and random.random() < 0.2:
            del container[key]
        else:
            container[key] = random.choice(VALUES)
    return result


@pytest.mark.parametrize("seed", [*range(20), 100])
async def test_an_lsp_that_says_anything(seed: int) -> None:
    """Any field of any answer may be wrong, and another one the next time: what is raised is an error of ours, without
    a peer's control characters; no payment is larger than was agreed, and none is made beside one whose end is open."""
    random = Random(seed)
    kind, pay_with = random.choice(["extend", "buy"]), random.choice(["bolt11", "bolt11", "onchain"])
    honest, often = random.choice([0, 0, 3]), random.choice([0.05, 0.3, 1.0])
    async with shop() as market:
        market.lsp.takes_onchain = True
        market.lsp.on_held = random.choice(
            ["deliver", "deliver", "fail", "take", "keep", "settle and fail", "complete"]
        )
        answers = 0

        def change(result: Json) -> Json:
            nonlocal answers
            answers += 1
            return lie(random, result) if answers > honest and random.random() < often else result

        market.lsp.change.update(dict.fromkeys(METHODS, change))
        for _ in range(random.choice([1, 2, 3])):
            task = asyncio.create_task(purchase(market, kind, pay_with, HURRY))
            for _ in range(8):
                await market.net.clock.sleep(50)
                market.net.mine()
            task.cancel()
            ended: Any = (await asyncio.gather(task, return_exceptions=True))[0]
            if isinstance(ended, Exception):
                assert isinstance(ended, LspsError), ended
                assert str(ended).isprintable()
        entries = market.journal.entries.values()
        open_ones = [entry for entry in entries if entry.state in {EntryState.PAYING, EntryState.NOT_DELIVERED}]
        delivered = [entry for entry in entries if entry.state is EntryState.COMPLETED]
        assert len(open_ones) <= 1
        payments, rest = divmod(int(await market.spent()), int(Sat(FEE).to_msat()))
        assert rest == 0
        assert payments <= len(open_ones) + len(delivered)
        assert all(entry.transaction is None or entry.transaction.paid == Sat(FEE) for entry in entries)
