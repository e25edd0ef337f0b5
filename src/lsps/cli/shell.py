"""What a command has of the world: its streams, the environment, the person at the terminal, and the node."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from argparse import Namespace

    from lsps.client.client import Client
    from lsps.client.patience import Patience
    from lsps.config.file import Config
    from lsps.node.contract import Node

_LINE_BYTES = 4096


@dataclass(frozen=True)
class Shell:
    """`node` stands in for the one that a URL names, `patience` for a client's usual one: tests set them."""

    stdin: TextIO = field(default_factory=lambda: sys.stdin)
    stdout: TextIO = field(default_factory=lambda: sys.stdout)
    stderr: TextIO = field(default_factory=lambda: sys.stderr)
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ)
    directory: Path = field(default_factory=Path.cwd)
    node: Node | None = None
    patience: Patience | None = None

    @property
    def has_terminal(self) -> bool:
        """Whether a question would be seen and could be answered."""
        return self.stdin.isatty() and self.stderr.isatty()

    async def ask(self, question: str) -> str:
        """One typed line, without its end; empty at end of input. Only where `has_terminal`."""
        self.stderr.write(question)
        self.stderr.flush()
        # A terminal is readable once a line is complete. A thread that reads it could not be interrupted.
        loop, fd = asyncio.get_running_loop(), self.stdin.fileno()
        readable = asyncio.Event()
        loop.add_reader(fd, readable.set)
        try:
            await readable.wait()
        finally:
            loop.remove_reader(fd)
        return os.read(fd, _LINE_BYTES).decode(errors="replace").strip()

    def config(self, explicit: Path | None) -> Config | None:
        """The lsps.toml there is. Raises ConfigError."""
        from lsps.config.file import find, load_config

        file = find(explicit, self.directory, self.environment)
        return None if file is None else load_config(file)

    @asynccontextmanager
    async def client(self, args: Namespace, *, nodeless: bool = False) -> AsyncIterator[Client]:
        """A client on the node of --node, LSPS_NODE or lsps.toml. Raises as compose.connect does, and ConfigError.

        `nodeless`: without any, a throwaway identity will do.
        """
        from lsps.compose import NODE_VARIABLE, NODELESS, connect, node_url

        node: str | Node | None = self.node or args.node
        base = self.directory
        if node is None:
            config = None if self.environment.get(NODE_VARIABLE) else self.config(None)
            if nodeless and not self.environment.get(NODE_VARIABLE) and (config is None or config.node is None):
                node = NODELESS
                self.stderr.write("No node is named: asking with an identity that is thrown away afterwards.\n")
            else:
                node, base = node_url(config, self.environment)
        async with connect(node, base=base, patience=self.patience, environment=self.environment) as client:
            yield client
