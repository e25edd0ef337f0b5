"""`lsps serve`: the LSP, until a signal ends it."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
from typing import TYPE_CHECKING

from lsps.cli import arguments
from lsps.cli.shell import Shell

if TYPE_CHECKING:
    from lsps.compose import WiredService
    from lsps.config.file import Config

_log = logging.getLogger("lsps.cli")

_DESCRIPTION = """Serve as an LSP on this node, as lsps.toml says. ^C or SIGTERM stops it cleanly; a kill loses nothing.

The smallest lsps.toml that sells channels and extensions:

  node  = "lnd:///home/lsp/.lnd"
  store = "sqlite:///var/lib/lsps/lsps.db"
  [lsps1]
  [lsps7]

An unknown key, a wrong value, or an offer that the node cannot deliver stops the start with the key's name. The log
goes to standard error, one line an event. One process serves a store; `lsps orders --service` reads it meanwhile.
"""


def add(commands: arguments.Commands) -> None:
    parser = arguments.add_command(commands, "serve", "run the LSP", _DESCRIPTION, json=False)
    arguments.add_config(parser)
    parser.add_argument("--log-json", action="store_true", help="log one JSON object an event")
    parser.set_defaults(run=run)


async def run(args: argparse.Namespace, shell: Shell) -> int:
    from lsps.cli.failures import DONE
    from lsps.compose import open_service
    from lsps.logs import event

    config = _config(args, shell)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        node = shell.node or args.node
        async with open_service(config, node=node, base=shell.directory, environment=shell.environment) as wired:
            _announce(wired, config)
            await _run_until(wired, stop)
        event(_log, logging.INFO, "stopped")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)
    return DONE


def _config(args: argparse.Namespace, shell: Shell) -> Config:
    from lsps.config.errors import ConfigError
    from lsps.config.file import candidates

    config = shell.config(args.config)
    if config is None:
        places = " nor ".join(str(path) for path in candidates(shell.directory, shell.environment))
        raise ConfigError(
            f"there is no lsps.toml, neither {places}: write one as `lsps serve --help` shows, or name it"
        )
    return config


def _announce(wired: WiredService, config: Config) -> None:
    from lsps.logs import event

    offered = {"LSPS1": config.offer.lsps1, "LSPS7": config.offer.lsps7}
    event(
        _log,
        logging.INFO,
        "starting",
        lsp=wired.info.node_id,
        network=wired.info.network,
        height=wired.info.height,
        protocols=",".join(name for name, offer in offered.items() if offer is not None),
        node=wired.node,
        store=wired.store,
        config=config.file,
    )


async def _run_until(wired: WiredService, stop: asyncio.Event) -> None:
    """Serve until told to stop. Raises what ends the service by itself."""
    from lsps.logs import event

    serving = asyncio.create_task(wired.service.run())
    told = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, told}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            _raise_first(serving)
        event(_log, logging.INFO, "stopping")
    finally:
        told.cancel()
        serving.cancel()
        await asyncio.gather(serving, told, return_exceptions=True)


def _raise_first(task: asyncio.Task[None]) -> None:
    """The service's parts run in a group: what a person can act on is the first error in it."""
    error = task.exception()
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    raise RuntimeError("the service ended by itself") if error is None else error
