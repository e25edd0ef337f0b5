"""The LSP's process of `lsps demo`: it hosts the simulated world, and runs what `lsps serve` runs.

There are two processes, and the chain, both nodes and what they hold must be in one of them. They are in this one, so
that the wallet's has nothing of the LSP but a socket of its own node and an address. The story kills the LSP in the
middle of a paid order; a SIGKILL to this process would take chain and nodes along, and there would be nothing to come
back to. So what is killed is the service: at the failpoint its task ends, as after SIGKILL no line after it runs, and
then everything that it had is dropped: tasks, customers' connections, listener, open store. What stays is what would:
SQLite's file, and the nodes. (That real processes survive SIGKILL at every failpoint, tests/e2e proves on LND.)
"""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import sys
from contextlib import AsyncExitStack
from pathlib import Path
from urllib.parse import quote

import msgspec

from lsps.cli.demo_control import Arm, AwaitKill, Command, Mine, Ready, StartAgain
from lsps.clock import Clock, SystemClock
from lsps.compose import open_service
from lsps.config.file import load_config
from lsps.errors import LspsError
from lsps.testing import SimulatedNetwork, create_network

SEED = 7
LSPS_TOML = """
store = "sqlite://lsp.db"
[lsps1]
min_required_channel_confirmations = 0
min_funding_confirms_within_blocks = 1
max_initial_lsp_balance_sat = 10_000_000
[lsps7]
extend_unleased_channels = "peer-opened"
[listen]
address = "{address}"
key = "lsp.key"
"""


class ProcessKilled(asyncio.CancelledError):
    """What a SIGKILL is to a task: nothing after it runs."""


class DemoLsp:
    """What `lsps serve` would run in `directory`; it can be killed at a failpoint and started again."""

    def __init__(self, net: SimulatedNetwork[Clock], directory: Path) -> None:
        self._net = net
        self._config = load_config(directory / "lsps.toml")
        self._running = AsyncExitStack()
        self._armed: str | None = None
        self._dying = asyncio.Event()

    async def start(self) -> None:
        """Returns when it serves."""
        node = self._net.another(self._net.lsp)
        self._running.push_async_callback(node.close)
        opening = open_service(self._config, node=node, clock=self._net.clock, failpoint=self._pass)
        wired = await self._running.enter_async_context(opening)
        await self._running.enter_async_context(wired.service.running())

    async def stop(self) -> None:
        await self._running.aclose()

    def arm(self, failpoint: str) -> None:
        self._armed = failpoint

    async def killed(self) -> None:
        """Returns once it came to the failpoint and nothing of it runs any more."""
        await self._dying.wait()
        await self.stop()

    def _pass(self, failpoint: str) -> None:
        if failpoint == self._armed:
            self._armed = None
            self._dying.set()
            raise ProcessKilled(failpoint)


async def run(directory: Path) -> None:
    """Until the end of standard input, whatever is being done then; then `directory`, which is the demo's alone, is
    removed. Raises what keeps the LSP from serving."""
    commands: asyncio.Queue[Command] = asyncio.Queue()
    serving, hearing = asyncio.create_task(_serve(commands, directory)), asyncio.create_task(_hear(commands))
    try:
        await asyncio.wait({serving, hearing}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()
    finally:
        serving.cancel()
        hearing.cancel()
        await asyncio.gather(serving, hearing, return_exceptions=True)
        shutil.rmtree(directory, ignore_errors=True)


async def _hear(commands: asyncio.Queue[Command]) -> None:
    """Returns when the wallet's process has ended, or wants this one to."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        commands.put_nowait(msgspec.json.decode(line, type=Command))


async def _serve(commands: asyncio.Queue[Command], directory: Path) -> None:
    async with AsyncExitStack() as stack:
        clock: Clock = SystemClock()
        net = create_network(clock, seed=SEED)
        stack.callback(net.world.close)
        address = _free_address()
        (directory / "lsps.toml").write_text(LSPS_TOML.format(address=address))
        for node, name in ((net.lsp, "lsp"), (net.clients[0], "wallet")):
            net.keep_key(node, directory / f"{name}.key")
        await stack.enter_async_context(net.hosting(net.clients[0], directory / "wallet.sock"))
        lsp = DemoLsp(net, directory)
        stack.push_async_callback(lsp.stop)
        await lsp.start()
        ready = Ready(
            lsp=f"{net.lsp.node_id}@{address}",
            node=f"simulated://{directory / 'wallet.sock'}",
            identity=f"bolt8://?network={net.world.network}&key={quote(str(directory / 'wallet.key'))}",
            store=str(directory / "lsp.db"),
        )
        _answer(msgspec.json.encode(ready))
        while True:
            await _obey(await commands.get(), net, lsp)
            _answer(b"{}")


async def _obey(command: Command, net: SimulatedNetwork[Clock], lsp: DemoLsp) -> None:
    match command:
        case Mine():
            net.mine()
        case Arm(failpoint):
            lsp.arm(failpoint)
        case AwaitKill():
            await lsp.killed()
        case StartAgain():
            await lsp.start()


def _free_address() -> str:
    """Known before the service listens, since it must listen there again after the kill."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


def _answer(line: bytes) -> None:
    os.write(sys.stdout.fileno(), line + b"\n")


def main() -> int:
    try:
        asyncio.run(run(Path(sys.argv[1])))
    except (LspsError, OSError) as error:  # OSError: a full disk
        sys.stderr.write(f"lsps: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
