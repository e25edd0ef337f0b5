"""Everything that must hold, in one place; the first thing that does not is the verdict."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable

from lsps.node.contract import OpenRequest
from lsps.node.simulated.chain import Transaction
from lsps.node.simulated.lightning_node import LightningNode
from lsps.node.simulated.network import World
from lsps.units import NodeId
from tests.simulation.books import Books
from tests.simulation.invariants.ends import Ends
from tests.simulation.invariants.holding import Holding
from tests.simulation.invariants.leases import Leases
from tests.simulation.invariants.money import Money
from tests.simulation.invariants.payers import Payers
from tests.simulation.invariants.refunds import Refunds
from tests.simulation.invariants.verdict import Verdict
from tests.simulation.invariants.wire import Wire
from tests.simulation.loop import SimulatedLoop
from tests.simulation.trace import Trace


class Judge:
    """A Witness of all that the LSP does. `verdict` is the first thing found."""

    def __init__(
        self,
        loop: SimulatedLoop,
        world: World,
        lsp: LightningNode,
        books: Books,
        trace: Trace,
        is_well: Callable[[], bool],
    ) -> None:
        self.verdict: Verdict | None = None
        self.streams_cut = False
        self._books = books
        self._trace = trace
        self.money = Money(world, lsp, books, self.fail)
        self.wire = Wire(lsp, books, self.fail)
        self._refunds = Refunds(world, lsp, books, self.fail)
        self._leases = Leases(lsp, books, self.fail)
        self._holding = Holding(loop, lsp, books, is_well, self.fail)
        self._ends = Ends(world, lsp, books, self.fail)
        self.payers = Payers(loop, world, self.fail)

    def fail(self, invariant: str, text: str) -> None:
        self._trace.note(f"BROKEN {invariant}: {text}")
        if self.verdict is None:
            self.verdict = Verdict(invariant, text)

    # --- between actions, and at the end --------------------------------------------------------------------------

    def on_step(self) -> None:
        self._leases.on_step()
        self._holding.on_step()

    def at_the_end(self) -> None:
        """Faults are over and time has passed."""
        self.wire.at_the_end()
        self._leases.at_the_end()
        self._refunds.at_the_end()
        self._ends.at_the_end()

    # --- what happens -----------------------------------------------------------------------------------------------

    def on_commit(self) -> None:
        changes = self._books.read()
        for _, order in changes.orders:
            self._trace.note(f"store: order {order.id} is {order.state.value}")
        for _, lease in changes.leases:
            self._trace.note(f"store: lease {lease.channel_id} until {lease.expiration_block}")
        self.money.on_commit(changes)
        self.wire.on_commit(changes)
        self._refunds.on_commit(changes)
        self._leases.on_commit(changes)
        self._holding.on_commit(changes)

    def on_request(self, peer: NodeId, payload: bytes) -> None:
        self._trace.note(f"{peer.hex[:6]} → LSP  {payload!r}")
        self.wire.on_request(peer, payload)

    def on_reply(self, peer: NodeId, payload: bytes) -> None:
        self._trace.note(f"LSP → {peer.hex[:6]}  {payload!r}")
        self.wire.on_reply(peer, payload)

    def on_settle(self, preimage: bytes) -> None:
        self._trace.note("LSP: settle")
        self.money.on_settle(preimage)

    def on_cancel(self, payment_hash: bytes) -> None:
        self._trace.note(f"LSP: cancel {payment_hash.hex()}")
        self._holding.by_service.add(payment_hash)
        self.money.on_cancel(payment_hash)

    def on_open(self, request: OpenRequest) -> None:
        self._trace.note(f"LSP: open {request}")
        self.money.on_open(request)

    def on_transaction(self, transaction: Transaction) -> None:
        """It reaches the mempool, or a block."""
        self._trace.note(f"chain: {transaction.txid}")
        self._refunds.on_transaction(transaction)
        self.money.on_transaction(transaction)

    def on_crash(self) -> None:
        """The LSP's process is gone."""
        self.wire.on_crash()

    # --- what nobody expected ---------------------------------------------------------------------------------------

    def on_death(self, error: BaseException) -> None:
        self.fail("the service lives", f"the service ended: {_shown(error)}")

    def on_loop_error(self, message: str, error: BaseException | None) -> None:
        self.fail("no error nobody handles", f"{message}: {_shown(error)}")

    def on_log(self, record: logging.LogRecord) -> None:
        """An exception that the service caught because it catches all, and contradictions it could not apply."""
        self._trace.remark(f"{record.name}: {record.getMessage()} {getattr(record, 'lsps_fields', '')}")
        if record.exc_info is not None and record.exc_info[1] is not None:
            self.fail("no error nobody expected", f"{record.getMessage()}: {_shown(record.exc_info[1])}")
        elif record.getMessage() == "event_not_applied":
            self.fail("no contradiction", str(getattr(record, "lsps_fields", "")))


def _shown(error: BaseException | None) -> str:
    """The error and where it came from, without paths."""
    if error is None:
        return "no exception"
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    return f"{type(error).__name__}: {error} ({where})"
