"""Our own processes as a user runs them: `lsps serve` on an LSP's node, and the `lsps …` commands of its customers.

    async with shop_on(lsp, directory, payment={"give_up_after_seconds": 5}) as shop:
        alice_buys = await customer_of(alice, directory / "alice")
        ran = await alice_buys.run("info", "--lsp", shop.node.uri)            # ran.code, ran.json, ran.stderr
        ran = await alice_buys.extend(shop, scid, 100, max_fee=2_000)         # --yes --max-fee-sat, --json
        await shop.stop(); await shop.start(failpoint="invoice.held")         # the same store, killed there
        await shop.ended()                                                    # -9

Both run with the least-privilege macaroons of docs/lnd.md. Every Shop and every Customer has a directory of its own for
configuration and state. What really happened is asked of the nodes: tests/e2e/truth.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from interop.lnd.macaroons import bake
from interop.lnd.node import Node
from interop.lnd.process import TETHER, Process
from interop.lnd.regtest import eventually
from lsps.cli.main import parser
from lsps.cli.shell import Shell
from lsps.node.lnd.permissions import BUYING, SERVING, SERVING_ONCHAIN

LSPS = Path(sys.executable).parent / "lsps"
COMMAND_SECONDS = 240

TABLES: dict[str, dict[str, Any]] = {
    "lsps1": {
        "min_required_channel_confirmations": 0,
        "min_funding_confirms_within_blocks": 1,
        "max_initial_client_balance_sat": 2_000_000,
        "min_initial_lsp_balance_sat": 50_000,
        "min_channel_balance_sat": 50_000,
        "reserve_sat": 100_000,
    },
    "lsps7": {"extend_unleased_channels": "peer-opened"},
    "payment": {"give_up_after_seconds": 120},
}
"""What a shop sells unless a test says otherwise; the prices are lsps' own defaults."""


class Shop:
    """One `lsps serve` on `node`, in `directory`: lsps.toml, the store lsps.db, and serve.log over all its starts."""

    def __init__(self, node: Node, macaroon: Path, directory: Path) -> None:
        self.node = node
        self.directory = directory
        self._macaroon = macaroon
        directory.mkdir(parents=True, exist_ok=True)
        self.log = directory / "serve.log"
        self.process = Process(
            f"serve on {node.name}", [LSPS, "serve", "--config", directory / "lsps.toml"], log=self.log
        )

    def configure(self, **tables: Any) -> None:
        """Writes lsps.toml: TABLES, each table updated by the one of its name, None leaving it out; a list is an array
        of tables (`token=[{"code": …}]`). Read at the next start."""
        merged: dict[str, Any] = {name: dict(table) for name, table in TABLES.items()}
        for name, table in tables.items():
            merged[name] = {**merged.get(name, {}), **table} if isinstance(table, dict) else table
        lines = [f"node = {_toml(self.node.url(self._macaroon))}", 'store = "sqlite://lsps.db"']
        for name, table in merged.items():
            for each in table if isinstance(table, list) else [table]:
                if each is not None:
                    lines.append(f"[[{name}]]" if isinstance(table, list) else f"[{name}]")
                    lines += [f"{key} = {_toml(value)}" for key, value in each.items()]
        (self.directory / "lsps.toml").write_text("\n".join(lines) + "\n")

    async def start(self, failpoint: str | None = None) -> None:
        """Starts it and waits until its log says that it serves. With a failpoint it kills itself there (SIGKILL); one
        that is passed before it serves is seen by `launch` and `ended`."""
        seen = self.logged("serving")

        async def serving() -> bool:
            return self.logged("serving") > seen

        self.launch(failpoint)
        await self.process.until("serving", serving, timeout=90)

    def launch(self, failpoint: str | None = None) -> None:
        """Starts it and returns at once."""
        self.process.environment = environment(self.directory, failpoint)
        self.process.start()

    def logged(self, event: str) -> int:
        """How often its log has this event ("order_paid", "effect_put_off" …), over all its starts."""
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return len(re.findall(rf"^\S+ [A-Z]+ {re.escape(event)}(?= |$)", text, re.MULTILINE))

    async def until_logged(self, event: str, more_than: int, timeout: float = 60) -> None:
        """Waits until its log has this event more than so many times."""

        async def there() -> bool:
            return self.logged(event) > more_than

        await eventually(f"{self.process.name} logs {event}", there, timeout)

    async def stop(self) -> int:
        """SIGTERM; its exit code (0 when it stopped cleanly)."""
        await self.process.signal(signal.SIGTERM, 30)
        return await self.ended(1)

    async def kill(self) -> None:
        """SIGKILL."""
        await self.process.kill()

    async def ended(self, timeout: float = 60) -> int:
        """Waits for it to end by itself; its exit code, negative for the signal that ended it (-9: a failpoint)."""

        async def over() -> bool:
            return not self.process.running

        await eventually(f"{self.process.name} has ended", over, timeout)
        code = self.process.returncode
        assert code is not None
        return code

    async def book(self) -> list[dict[str, Any]]:
        """Its orders, newest first, as `lsps orders --service --json` lists them; it may be running."""
        return list((await self._reads("orders", "--service", "--limit", "1000"))["orders"])

    async def ledger(self) -> dict[str, Any]:
        """What `lsps ledger --json` says, which must balance."""
        return dict(await self._reads("ledger"))

    async def _reads(self, *arguments: str) -> Any:
        """What a command that reads the store prints. Run in this process: tests ask again and again until it says what
        they wait for, and to start a program costs ten times as much."""
        args = parser().parse_args([*arguments, "--config", str(self.directory / "lsps.toml"), "--json"])
        output, error = io.StringIO(), io.StringIO()
        shell = Shell(stdout=output, stderr=error, environment=environment(self.directory), directory=self.directory)
        code = await args.run(args, shell)
        assert code == 0, (arguments, output.getvalue(), error.getvalue())
        return json.loads(output.getvalue())


async def closed_shop(node: Node, directory: Path, **tables: Any) -> Shop:
    """A configured shop that does not serve yet, with the macaroon that its offer needs."""
    onchain = tables.get("payment", {}).get("onchain", False)
    macaroon = await bake(node, "serving-onchain", SERVING_ONCHAIN) if onchain else await bake(node, "serving", SERVING)
    shop = Shop(node, macaroon, directory)
    shop.configure(**tables)
    return shop


@contextlib.asynccontextmanager
async def shop_on(node: Node, directory: Path, **tables: Any) -> AsyncIterator[Shop]:
    """A shop that serves; stopped at the end of the block. `tables` as Shop.configure takes them."""
    shop = await closed_shop(node, directory, **tables)
    await shop.start()
    try:
        yield shop
    finally:
        await shop.process.stop()


@dataclass(frozen=True)
class Ran:
    """A finished command. `json` is its standard output parsed, None when it printed nothing."""

    code: int
    json: Any
    stderr: str


class Customer:
    """The `lsps` commands on a customer's node, with a journal of its own."""

    def __init__(self, node: Node, macaroon: Path, directory: Path) -> None:
        self.node = node
        self.directory = directory
        self._url = node.url(macaroon)
        directory.mkdir(parents=True, exist_ok=True)

    async def run(self, command: str, *arguments: str | int, failpoint: str | None = None) -> Ran:
        """`lsps COMMAND ARGUMENTS --node … --json`."""
        parts = [command, *(str(each) for each in arguments), "--node", self._url, "--json"]
        return await run(parts, environment(self.directory, failpoint))

    async def leases(self, shop: Shop | Node) -> Ran:
        return await self.run("leases", "--lsp", _uri(shop))

    async def extend(
        self,
        shop: Shop | Node,
        scid: str,
        blocks: int,
        *arguments: str | int,
        max_fee: int = 100_000,
        failpoint: str | None = None,
    ) -> Ran:
        """Extends without asking; with "--no-pay" among the `arguments` it orders only."""
        common = _common(shop, arguments, max_fee)
        return await self.run("extend", scid, blocks, *arguments, *common, failpoint=failpoint)

    async def buy(
        self,
        shop: Shop | Node,
        lsp_balance: int,
        blocks: int,
        *arguments: str | int,
        max_fee: int = 100_000,
        failpoint: str | None = None,
    ) -> Ran:
        """Buys without asking; `arguments` like "--client-balance", 50_000, "--announce"; "--no-pay" orders only."""
        wish = ("--lsp-balance", lsp_balance, "--expiry-blocks", blocks)
        common = _common(shop, arguments, max_fee)
        return await self.run("buy", *wish, *arguments, *common, failpoint=failpoint)


async def customer_of(node: Node, directory: Path) -> Customer:
    """A customer on this node, with the macaroon for buying."""
    return Customer(node, await bake(node, "buying", BUYING), directory)


async def run(arguments: list[str], environment: Mapping[str, str]) -> Ran:
    """One `lsps` command to its end; killed when the caller is cancelled or it takes too long."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-S", "-E", str(TETHER), str(os.getpid()), str(LSPS), *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=dict(environment),
    )
    try:
        async with asyncio.timeout(COMMAND_SECONDS):
            output, error = await child.communicate()
    finally:
        if child.returncode is None:
            child.kill()
    text = output.decode()
    return Ran(child.returncode or 0, json.loads(text) if text.strip() else None, error.decode(errors="replace"))


def environment(directory: Path, failpoint: str | None = None) -> dict[str, str]:
    """Of our processes: a home of their own, and nothing of ours that the test run may have set."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("LSPS_", "XDG_"))}
    kept |= {"HOME": str(directory), "XDG_STATE_HOME": str(directory / "state"), "NO_COLOR": "1"}
    return kept | ({"LSPS_FAILPOINT": failpoint} if failpoint else {})


def _uri(shop: Shop | Node) -> str:
    return shop.node.uri if isinstance(shop, Shop) else shop.uri


def _common(shop: Shop | Node, arguments: Sequence[str | int], max_fee: int) -> tuple[str | int, ...]:
    consent = () if "--no-pay" in arguments else ("--yes",)
    return ("--lsp", _uri(shop), *consent, "--max-fee-sat", max_fee)


def _toml(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)  # what we write (text, numbers, booleans) looks alike in TOML
