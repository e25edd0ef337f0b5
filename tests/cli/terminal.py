"""Commands run in the test's own event loop, on a simulated network, with their streams caught."""

from __future__ import annotations

import asyncio
import io
import json
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TextIO

from lsps.cli.main import execute, parser
from lsps.cli.shell import Shell
from lsps.client.patience import Patience
from lsps.node.contract import Channel, Node
from lsps.service.offer import ExtensionOffer, Offer, Token, Unleased
from lsps.service.pricing import PriceFunction
from lsps.testing import OFFER, QUICK, LspNetwork, Policy, network
from lsps.units import Sat

SELLING = replace(
    OFFER,
    lsps7=ExtensionOffer(extend_unleased_channels=Unleased.ALL),
    tokens=(Token("FREE", discount_percent=100),),
)
PATIENCE = replace(QUICK, reply=5, attempts=1, delivery=5)


class Screen(io.StringIO):
    """A standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


@dataclass(frozen=True)
class Result:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document."""
        return json.loads(self.out)


@dataclass
class Terminal:
    """Where commands are typed. `node` stands in for a node URL."""

    directory: Path
    node: Node | None = None
    patience: Patience = PATIENCE
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.environment.setdefault("XDG_STATE_HOME", str(self.directory / "state"))
        self.environment.setdefault("XDG_CONFIG_HOME", str(self.directory / "config"))

    def shell(self, stdin: TextIO | None = None) -> Shell:
        """With `stdin`, a person sits at it."""
        return Shell(
            stdin=stdin or io.StringIO(),
            stdout=io.StringIO(),
            stderr=Screen() if stdin else io.StringIO(),
            environment=self.environment,
            directory=self.directory,
            node=self.node,
            patience=self.patience,
        )

    async def run(self, *argv: str, stdin: TextIO | None = None) -> Result:
        return await run_in(self.shell(stdin), *argv)


async def run_in(shell: Shell, *argv: str) -> Result:
    code = await execute(parser().parse_args(argv), shell)
    return written(code, shell)


def written(code: int, shell: Shell) -> Result:
    return Result(code, read(shell.stdout), read(shell.stderr))


async def until_shown(shell: Shell, text: str) -> None:
    """Return once a command has written `text` to its standard error."""
    while text not in read(shell.stderr):  # noqa: ASYNC110  # a StringIO tells nobody
        await asyncio.sleep(0.005)


def read(stream: TextIO) -> str:
    if not isinstance(stream, io.StringIO):
        raise TypeError("the tests' shells write into memory")
    return stream.getvalue()


@contextmanager
def person(typed: str) -> Iterator[TextIO]:
    """A terminal's input with something typed at it."""
    master, slave = os.openpty()
    os.write(master, typed.encode())
    try:
        with os.fdopen(slave, "r") as stdin:
            yield stdin
    finally:
        os.close(master)


@dataclass
class Town:
    """An LSP that sells, a customer's terminal, and a channel between them that the LSP opened."""

    net: LspNetwork
    terminal: Terminal
    channel: Channel

    @property
    def lsp(self) -> str:
        return self.net.lsp_address

    @property
    def scid(self) -> str:
        return str(self.channel.scid)

    async def run(self, *argv: str, stdin: TextIO | None = None) -> Result:
        return await self.terminal.run(*argv, stdin=stdin)

    def mine_now_and_then(self) -> asyncio.Task[None]:
        """Blocks come, so that channels confirm."""

        async def mine() -> None:
            while True:
                await asyncio.sleep(0.02)
                self.net.nodes.mine()

        return asyncio.create_task(mine())


@asynccontextmanager
async def town(
    directory: Path, offer: Offer = SELLING, policy: Policy | None = None, price: PriceFunction | None = None
) -> AsyncIterator[Town]:
    async with network(offer=offer, price=price, directory=directory, policy=policy) as net:
        nodes = net.nodes
        channel = await nodes.open_channel(nodes.lsp, nodes.clients[0], Sat(2_000_000), push=Sat(900_000))
        (directory / "lsps.toml").write_text('store = "sqlite://lsp.db"\n')  # for `lsps orders --service`
        terminal = Terminal(directory, nodes.another(nodes.clients[0]))
        yield Town(net, terminal, channel)
