"""Bakes macaroons that may do only what is listed, so that tests run with the rights that users are told to give."""

from collections.abc import Iterable
from pathlib import Path

from interop.lnd.node import Node


async def bake(node: Node, name: str, permissions: Iterable[str]) -> Path:
    """Has the running `node` bake a macaroon; kept in its lnd directory as `NAME.macaroon`, mode 0600.

    A permission is `uri:/lnrpc.Lightning/GetInfo` (that call only) or `ENTITY:ACTION` (`invoices:read`), as
    `lncli bakemacaroon` takes them; lnd refuses one it does not know (LncliError).
    """
    path = node.directory / f"{name}.macaroon"
    path.touch(mode=0o600)
    await node.lncli("bakemacaroon", f"--save_to={path}", *permissions)
    path.chmod(0o600)
    return path
