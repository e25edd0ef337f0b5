"""Who buys, and where: what every purchase at one LSP needs."""

from __future__ import annotations

from dataclasses import dataclass

from lsps.client.patience import Patience
from lsps.client.session import Session
from lsps.clock import Clock
from lsps.failpoints import Failpoint
from lsps.node.contract import Node
from lsps.store.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Customer:
    node: Node
    journal: Journal
    clock: Clock
    patience: Patience
    failpoint: Failpoint
    session: Session
