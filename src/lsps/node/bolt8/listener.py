"""A port on which peers find us. Who may stay is decided in peers.py, by the limits."""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from lsps.clock import Clock
from lsps.lightning.features import LSP_INIT
from lsps.logs import event
from lsps.node.bolt8.dialing import CannotDial, in_words, split_address
from lsps.node.bolt8.identity import kept_key
from lsps.node.bolt8.limits import Limits
from lsps.node.bolt8.messages import Bolt8Messages
from lsps.node.bolt8.node import Bolt8Node
from lsps.node.bolt8.open_files import within_open_files
from lsps.node.contract import Node, NodeError
from lsps.node.overlay import WithMessages

_log = logging.getLogger("lsps.node")


class CannotListen(NodeError):
    """The address is taken, not ours, or no address."""


class Listener:
    """Accepts connections until closed; those it has accepted live on. `address`: HOST:PORT, the real port for 0."""

    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        host, port = server.sockets[0].getsockname()[:2]
        self.address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    @classmethod
    async def start(cls, messages: Bolt8Messages, address: str) -> Listener:
        """Raises CannotListen."""
        try:
            host, port = split_address(address)
            server = await asyncio.get_running_loop().create_server(messages.accept, host, port)
        except (CannotDial, OSError, ValueError) as error:
            raise CannotListen(f"cannot listen on {address}: {in_words(error)}") from error
        return cls(server)

    def close(self) -> None:
        self._server.close()


@asynccontextmanager
async def serving(
    node: Node, *, address: str, key: Path, limits: Limits, clock: Clock, random: Random
) -> AsyncIterator[Node]:
    """`node`, its messages going over a listener of ours. Raises CannotListen, BadKeyFile, NodeUnreachable.

    Warns when `key` is not the node's own: customers then know another identity than the one that holds the channels.
    """
    info = await node.info()
    ours = Bolt8Node(
        kept_key(key, secrets.token_bytes),
        network=info.network,
        clock=clock,
        random=random,
        features=LSP_INIT,
        limits=within_open_files(limits),
    )
    try:
        listener = await Listener.start(ours.messages, address)
        try:
            event(_log, logging.INFO, "listening", lsp=f"{ours.node_id}@{listener.address}")
            if ours.node_id != info.node_id:
                event(
                    _log,
                    logging.WARNING,
                    "listening_with_another_key",
                    listener=ours.node_id,
                    node=info.node_id,
                    advice="information can be served; invoices and channels are the node's, which customers do not "
                    "know as this LSP: they refuse to pay it, cannot find channels bought, and a channel can be opened "
                    "only to a customer who is connected to the node as well",
                )
            yield WithMessages(node, ours.messages)
        finally:
            listener.close()
    finally:
        await ours.close()
