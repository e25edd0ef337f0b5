"""The one place that maps URLs to adapters, and wires a client or a service on them.

lnd://…        lsps.node.lnd          (pip install 'lsps[lnd]')
bolt8://…      lsps.node.bolt8        no node: an identity key and our own connections, for messages alone
simulated://…  lsps.node.simulated   a simulated node that another process hosts, by its socket (lsps.testing)
sqlite://…     lsps.store.sqlite      sqlite:///absolute/path, or sqlite://path relative to the file that names it
"""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from random import Random
from typing import Any

from lsps import failpoints, logs
from lsps.client.client import Client
from lsps.client.patience import Patience
from lsps.clock import Clock, SystemClock
from lsps.config.errors import ConfigError
from lsps.config.file import Config, state_home
from lsps.config.tables import ListenTable
from lsps.errors import LspsError
from lsps.failpoints import Failpoint
from lsps.node.contract import Node, NodeInfo, require
from lsps.orders.events import Rules
from lsps.paths import others_can_read, seen_from
from lsps.service.pricing import PriceFunction, PriceTable
from lsps.service.service import Service, rules_of
from lsps.service.startup import check_offer
from lsps.store.backup import Backup
from lsps.store.journal import Journal
from lsps.store.orders import OrderStore
from lsps.units import NodeId

_log = logging.getLogger("lsps.config")

NODE_VARIABLE = "LSPS_NODE"
NODELESS = "bolt8://"
"""A throwaway identity: enough to ask an LSP what it offers."""


class InvalidUrl(LspsError, ValueError):
    """No adapter is known for the URL, or none is named at all."""


class AdapterMissing(LspsError):
    """The adapter's packages are not installed; the text says how to install them."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """Where an adapter's functions are, imported when first used; `extra` is what pip must install for it."""

    module: str
    extra: str | None = None

    def function(self, name: str) -> Callable[..., Any]:
        """Raises AdapterMissing."""
        try:
            found: Callable[..., Any] = getattr(importlib.import_module(self.module), name)
        except ModuleNotFoundError as error:
            if self.extra is None or (error.name or "").split(".")[0] == "lsps":
                raise
            missing = f"what this kind of node needs is not installed ({error.name} is missing)"
            raise AdapterMissing(f"{missing}: pip install 'lsps[{self.extra}]'") from error
        return found


NODES: Mapping[str, Adapter] = {
    "lnd": Adapter("lsps.node.lnd.node", extra="lnd"),
    "bolt8": Adapter("lsps.node.bolt8.node"),
    "simulated": Adapter("lsps.node.simulated.remote"),
}
STORES: Mapping[str, Adapter] = {"sqlite": Adapter("lsps.store.sqlite.opening")}
JOURNALS: Mapping[str, Adapter] = {"sqlite": Adapter("lsps.store.sqlite.journal")}
BACKUPS: Mapping[str, Adapter] = {"sqlite": Adapter("lsps.store.sqlite.backup")}


def open_node(url: str, base: Path, clock: Clock) -> Node:
    """The node that a URL names; close it. Nothing is asked of it yet. Raises InvalidUrl, AdapterMissing, NodeError."""
    opened: Node = _adapter(NODES, url, "node").function("open_node")(url, clock=clock, random=Random(), base=base)  # noqa: S311
    return opened


def open_store(url: str, base: Path, lsp: NodeId, rules: Rules) -> OrderStore:
    """The LSP's store, to serve it. Raises InvalidUrl, StoreInUse, StoreUnavailable."""
    opened: OrderStore = _adapter(STORES, url, "store").function("open_order_store")(_path(url, base), lsp, rules)
    return opened


def open_store_read_only(url: str, base: Path, lsp: NodeId | None = None) -> OrderStore:
    """The LSP's store, only to read it, also while it is served. Raises InvalidUrl, StoreError."""
    function = _adapter(STORES, url, "store").function("open_order_store_read_only")
    opened: OrderStore = function(_path(url, base), lsp)
    return opened


def open_journal(url: str, base: Path) -> Journal:
    """A client's journal. Raises InvalidUrl, StoreUnavailable."""
    opened: Journal = _adapter(JOURNALS, url, "journal").function("open_journal")(_path(url, base))
    return opened


def back_up_store(url: str, base: Path, target: Path, *, overwrite: bool) -> Backup:
    """Copy the LSP's store, also while it is served. Raises InvalidUrl, CopyRefused, StoreUnavailable."""
    function = _adapter(BACKUPS, url, "store").function("back_up_orders")
    made: Backup = function(_path(url, base), target, overwrite=overwrite)
    return made


def back_up_journal(url: str, base: Path, target: Path, *, overwrite: bool) -> Backup:
    """Copy a client's journal, also while it is used. Raises InvalidUrl, CopyRefused, StoreUnavailable."""
    function = _adapter(BACKUPS, url, "journal").function("back_up_journal")
    made: Backup = function(_path(url, base), target, overwrite=overwrite)
    return made


def default_store(environment: Mapping[str, str]) -> str:
    return f"sqlite://{state_home(environment) / 'lsps.db'}"


def default_journal(environment: Mapping[str, str]) -> str:
    return f"sqlite://{state_home(environment) / 'client.db'}"


def _adapter(table: Mapping[str, Adapter], url: str, what: str) -> Adapter:
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in table:
        # The URL itself is not shown: a newer scheme's may hold a secret.
        known = ", ".join(f"{name}://" for name in table)
        raise InvalidUrl(f"the {what}'s URL must begin with one of: {known}")
    return table[scheme]


def _path(url: str, base: Path) -> Path:
    path = url.partition("://")[2]
    if not path:
        raise InvalidUrl("the URL of an SQLite file is sqlite:///absolute/path, or sqlite://path")
    return seen_from(base, path)


# --- a client ---------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def connect(
    node: str | Node | None = None,
    *,
    journal: str | Path | None = None,
    base: Path = Path(),
    clock: Clock | None = None,
    patience: Patience | None = None,
    environment: Mapping[str, str] | None = None,
) -> AsyncIterator[Client]:
    """A client on the node that a URL names, by default the environment's LSPS_NODE; closed at the end of the block.

    A Node object is taken as it is, and left open. `journal` is a file or its URL; else $XDG_STATE_HOME/lsps/client.db.
    Relative paths are seen from `base`. Raises InvalidUrl, AdapterMissing, NodeError, StoreError.
    """
    clock = clock or SystemClock()
    environment = os.environ if environment is None else environment
    async with AsyncExitStack() as stack:
        node = node or environment.get(NODE_VARIABLE)
        if node is None:
            raise InvalidUrl(f"no node is named: give its URL, or set {NODE_VARIABLE}")
        if isinstance(node, str):
            node = open_node(node, base, clock)
            stack.push_async_callback(node.close)
        if isinstance(journal, Path):
            journal = f"sqlite://{journal}"
        book = open_journal(journal or default_journal(environment), base)
        stack.push_async_callback(book.close)
        failpoint = failpoints.from_environment(environment)
        client = Client(node, book, clock, secrets.token_bytes, patience=patience, failpoint=failpoint)
        yield await stack.enter_async_context(client)


# --- a service --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WiredService:
    """A service that does not run yet: `service.run()` does. `info` is its node's; `node` and `store` are URLs."""

    service: Service
    info: NodeInfo
    node: str
    store: str


@asynccontextmanager
async def open_service(
    config: Config,
    *,
    node: str | Node | None = None,
    base: Path = Path(),
    clock: Clock | None = None,
    environment: Mapping[str, str] | None = None,
    failpoint: Failpoint | None = None,
) -> AsyncIterator[WiredService]:
    """The service of a configuration, checked against its node. `node`, its relative paths seen from `base`, overrides
    LSPS_NODE, and that the file's. A Node object is taken as it is, and left open.

    With [listen], customers are served over a listener of our own, and by the node in all but messages. `failpoint`:
    else the environment's.

    Raises ConfigError, CannotDeliver, InvalidUrl, AdapterMissing, NodeError, StoreInUse, StoreUnavailable.
    """
    clock = clock or SystemClock()
    environment = os.environ if environment is None else environment
    price = load_price(config)
    async with AsyncExitStack() as stack:
        if node is None:
            node, base = node_url(config, environment)
        named = str(node)
        if isinstance(node, str):
            node = open_node(node, base, clock)
            stack.push_async_callback(node.close)
        info = await node.info()
        check_offer(config.offer, info, sees_fees=require(node.wallet, "on-chain funds").sees_fees)
        url = config.store or default_store(environment)
        _warn_of_told_tokens(config)
        store = open_store(url, config.directory, info.node_id, rules_of(config.offer))
        stack.push_async_callback(store.close)
        if config.listen is not None:
            node = await stack.enter_async_context(_listening(node, config.listen, config.directory, clock))
        failpoint = failpoint or failpoints.from_environment(environment)
        service = Service(node, store, config.offer, price=price, clock=clock, failpoint=failpoint)
        yield WiredService(service, info, named, url)


def _warn_of_told_tokens(config: Config) -> None:
    if config.offer.tokens and config.file.is_file() and others_can_read(config.file):
        advice = "it has tokens: chmod 600 it"
        logs.event(_log, logging.WARNING, "readable_by_others", file=str(config.file), advice=advice)


def _listening(node: Node, table: ListenTable, base: Path, clock: Clock) -> AbstractAsyncContextManager[Node]:
    from lsps.node.bolt8.limits import Limits
    from lsps.node.bolt8.listener import serving

    limits = Limits(**{field.name: getattr(table, field.name) for field in fields(Limits)})
    key = seen_from(base, table.key)
    return serving(node, address=table.address, key=key, limits=limits, clock=clock, random=Random())  # noqa: S311


def node_url(config: Config | None, environment: Mapping[str, str]) -> tuple[str, Path]:
    """LSPS_NODE or the file's node, and from where its relative paths are seen. Raises InvalidUrl."""
    if url := environment.get(NODE_VARIABLE):
        return url, Path()
    if config is not None and config.node is not None:
        return config.node, config.directory
    raise InvalidUrl(f'no node is named: give --node URL, set {NODE_VARIABLE}, or write node = "…" in lsps.toml')


def load_price(config: Config) -> PriceFunction:
    """The price table, or the operator's function, its module installed or beside the file. Raises ConfigError."""
    if isinstance(config.price, PriceTable):
        return config.price
    module, _, name = config.price.partition(":")
    if str(config.directory) not in sys.path:
        sys.path.append(str(config.directory))  # last: nothing there takes the place of an installed module
    try:
        function = getattr(importlib.import_module(module), name, None)
    except Exception as error:  # the operator's code may raise anything at its import
        raise ConfigError(
            f"{module} cannot be imported: {type(error).__name__}: {error}", key="price.function"
        ) from error
    if not callable(function):
        raise ConfigError(f"{module} has no function {name}", key="price.function")
    price: PriceFunction = function
    return price
