"""A thousand hostile connections against one service, and what customers notice: python -m tests.hostile.run.

The service, its listener with the limits of lsps.toml's defaults, an SQLite store and the customers are in this
process, whose memory is measured; the crowd is in another one. Prints the figures of docs/reliability.md.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lsps.cli.log_lines import LineFormatter, logging_to
from lsps.client.client import Client
from lsps.client.errors import LspRefused
from lsps.client.patience import Patience
from lsps.clock import Clock, SystemClock
from lsps.compose import connect
from lsps.errors import LspsError
from lsps.node.bolt8.limits import Limits
from lsps.node.overlay import WithMessages
from lsps.service.offer import ExtensionOffer, Unleased
from lsps.service.service import Service, rules_of
from lsps.store.orders import OrderStore
from lsps.store.sqlite.opening import open_order_store
from lsps.testing import OFFER, SimulatedNetwork, create_network
from lsps.units import Sat
from tests.hostile.attackers import CROWD
from tests.node.bolt8.environment import host
from tests.node.bolt8.memory import memory_mb

CUSTOMERS = 10
STRANGERS = 10
"""Customers without a channel or a node: they ask what is sold."""
NEWCOMERS = 2
"""They come, ask what is sold, and go; under a new key each time."""
SOLD = replace(OFFER, lsps7=ExtensionOffer(extend_unleased_channels=Unleased.ALL))
PATIENCE = Patience(reply=15, attempts=1, first_poll=0.2, longest_poll=0.5, backoff=0.5)
"""A request that is not answered in fifteen seconds is a failure, and told as one."""


@dataclass
class Phase:
    """What customers noticed while it lasted."""

    name: str
    asked: list[float] = field(default_factory=list)
    came: list[float] = field(default_factory=list)
    extended: list[float] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    memory: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    """How late the event loop was, in seconds."""

    async def timed(self, durations: list[float], work: Callable[[], Awaitable[Any]]) -> None:
        started = time.monotonic()
        try:
            await work()
        except LspRefused as error:
            self.refused[str(error)[:60]] += 1
        except LspsError as error:
            self.failed[f"{type(error).__name__}: …{str(error)[-80:]}"] += 1
        else:
            durations.append(time.monotonic() - started)

    def told(self) -> str:
        late = f"the event loop {1000 * max(self.lags):.0f} ms late at most"
        rows = [f"{self.name}: {max(self.memory):.0f} MB of memory at most, {late}"]
        for what, durations in (
            ("get_info", self.asked),
            ("connect, get_info", self.came),
            ("a whole extension", self.extended),
        ):
            rows.append(f"  {what:<18} {quantiles(durations)}")
        rows += [f"  refused {count:>5} {text}" for text, count in self.refused.items()]
        rows += [f"  FAILED  {count:>5} {text}" for text, count in self.failed.items()]
        return "\n".join(rows)


def quantiles(durations: list[float]) -> str:
    if len(durations) < 2:
        return f"{len(durations):>6}"
    cuts = statistics.quantiles(durations, n=100)
    told = {"median": cuts[49], "95 %": cuts[94], "99 %": cuts[98], "max": max(durations)}
    return f"{len(durations):>6} answered; " + ", ".join(
        f"{name} {1000 * value:.0f} ms" for name, value in told.items()
    )


class Siege:
    def __init__(self, phase: Phase) -> None:
        self.phase = phase

    async def measure(self) -> None:
        while True:
            started = time.monotonic()
            await asyncio.sleep(0.1)
            self.phase.lags.append(time.monotonic() - started - 0.1)
            self.phase.memory.append(memory_mb())

    async def extends(self, client: Client, lsp: str) -> None:
        """A customer with a channel: lists, orders, pays, sees it delivered, begins again."""
        node = client.lsp(lsp)

        async def extend() -> None:
            (channel,) = await node.lsps7.get_extendable_channels()
            await node.lsps7.extend(channel.short_channel_id, blocks=1, max_fee=Sat(10_000))

        while True:
            await self.phase.timed(self.phase.extended, extend)
            await asyncio.sleep(0.5)

    async def asks(self, client: Client, lsp: str) -> None:
        node = client.lsp(lsp)
        while True:
            await self.phase.timed(self.phase.asked, node.lsps1.get_info)
            await asyncio.sleep(0.2)

    async def comes(self, journal: Path, lsp: str) -> None:
        async def come() -> None:
            async with connect("bolt8://", journal=journal, patience=PATIENCE) as client:
                await client.lsp(lsp).lsps1.get_info()

        while True:
            await self.phase.timed(self.phase.came, come)
            await asyncio.sleep(0.5)


@asynccontextmanager
async def lsp_over_tcp(net: SimulatedNetwork[Clock], directory: Path) -> AsyncIterator[tuple[str, OrderStore]]:
    limits = Limits(
        connections=CROWD + CUSTOMERS + STRANGERS + NEWCOMERS, connections_per_source=CUSTOMERS + STRANGERS + NEWCOMERS
    )
    async with AsyncExitStack() as stack:
        key = net.world.nodes[net.lsp.node_id].key
        ours = await stack.enter_async_context(host(key=key, clock=net.clock, limits=limits))
        store = open_order_store(directory / "lsp.db", net.lsp.node_id, rules_of(SOLD))
        stack.push_async_callback(store.close)
        service = Service(WithMessages(net.lsp, ours.messages), store, SOLD, clock=net.clock)
        await stack.enter_async_context(service.running())
        yield f"{net.lsp.node_id}@{ours.address}", store


async def besiege(seconds: float, directory: Path) -> None:
    clock: Clock = SystemClock()
    net = create_network(clock, clients=CUSTOMERS)
    async with AsyncExitStack() as stack:
        stack.callback(net.world.close)
        for buyer in net.clients:
            await net.open_channel(net.lsp, buyer, Sat(1_000_000), push=Sat(400_000))
        lsp, store = await stack.enter_async_context(lsp_over_tcp(net, directory))
        siege = Siege(Phase("before"))
        tasks = [asyncio.create_task(siege.measure())]
        for number, buyer in enumerate(net.clients):
            ours = await stack.enter_async_context(host(key=net.world.nodes[buyer.node_id].key, clock=clock))
            client = await stack.enter_async_context(
                connect(WithMessages(buyer, ours.messages), journal=directory / f"{number}.db", patience=PATIENCE)
            )
            tasks.append(asyncio.create_task(siege.extends(client, lsp)))
        for number in range(STRANGERS):
            stranger = await stack.enter_async_context(
                connect("bolt8://", journal=directory / f"stranger-{number}.db", patience=PATIENCE)
            )
            tasks.append(asyncio.create_task(siege.asks(stranger, lsp)))
        for number in range(NEWCOMERS):
            tasks.append(asyncio.create_task(siege.comes(directory / f"newcomer-{number}.db", lsp)))
        await asyncio.sleep(10)
        print(siege.phase.told(), flush=True)

        siege.phase = Phase(f"{CROWD} hostile peers for {seconds:.0f} s")
        crowd = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tests.hostile.attackers", lsp, str(seconds)), stdout=asyncio.subprocess.PIPE
        )
        output, _ = await crowd.communicate()
        print(siege.phase.told())
        done = json.loads(output)
        for kind, tally in done["kinds"].items():
            print(f"    {kind:<18}", ", ".join(f"{value} {name.replace('_', ' ')}" for name, value in tally.items()))
        print(f"    the crowd's own errors: {done['errors']}")
        unpaid = (await store.unpaid(net.lsp.node_id)).in_all
        print(f"  unpaid orders: {unpaid} of {SOLD.limits.unpaid_orders_in_all}, half of them kept", flush=True)

        siege.phase = Phase("after")
        await asyncio.sleep(10)
        gc.collect()
        siege.phase.memory = [memory_mb()]
        print(siege.phase.told())
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        broken = [error for error in ended if isinstance(error, Exception)]
        if broken:
            raise broken[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lsps-hostile-") as directory:
        log = Path(directory) / "log"
        with log.open("w") as lines, logging_to(lines, logging.INFO, LineFormatter()):
            asyncio.run(besiege(wanted.seconds, Path(directory)))
        print(f"log, as lsps serve writes it: {log.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
