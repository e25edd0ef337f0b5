"""The LSP's process on its node and its disk: started, watched by a supervisor, killed, started again."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

from lsps.node.contract import NodeError
from lsps.node.simulated.lightning_node import LightningNode
from lsps.protocol import lsps1
from lsps.service.offer import ChannelOffer, ExtensionOffer, Limits, Offer, PaymentTerms, Token, Unleased
from lsps.service.pricing import PriceTable
from lsps.service.service import Service, rules_of
from lsps.store.orders import StoreUnavailable
from lsps.store.sqlite.opening import open_order_store
from lsps.units import Sat
from tests.simulation.clock import SimulatedClock
from tests.simulation.disk import Disk
from tests.simulation.loop import SimulatedLoop, SimulatedTask
from tests.simulation.process import Process
from tests.simulation.witness import WatchedNode, Witness

RESTART_AFTER = 5.0
"""Seconds after which the supervisor starts a process again that ended by itself."""

OFFER = Offer(
    lsps1=ChannelOffer(
        lsps1.Options(
            min_required_channel_confirmations=0,
            min_funding_confirms_within_blocks=1,
            supports_zero_channel_reserve=False,
            max_channel_expiry_blocks=20_000,
            min_initial_client_balance_sat=Sat(0),
            max_initial_client_balance_sat=Sat(500_000),
            min_initial_lsp_balance_sat=Sat(100_000),
            max_initial_lsp_balance_sat=Sat(5_000_000),
            min_channel_balance_sat=Sat(100_000),
            max_channel_balance_sat=Sat(5_500_000),
        ),
        reserve=Sat(100_000),
        max_open_sat_per_vbyte=100,
    ),
    lsps7=ExtensionOffer(3_000, Unleased.PEER_OPENED),
    tokens=(Token("FREE", discount_percent=100, uses=6), Token("HALF", discount_percent=50, uses=2)),
    payment=PaymentTerms(
        bolt11_expiry=timedelta(minutes=30),
        min_final_cltv_expiry=80,
        give_up_after=timedelta(hours=2),
        onchain=True,
        onchain_expiry=timedelta(hours=1),
        min_onchain_payment_confirmations=2,
        min_onchain_payment=Sat(1_000),
    ),
    limits=Limits(requests_per_peer=4, requests_in_all=400, unpaid_orders_in_all=14, prune_after=timedelta(hours=3)),
)
"""Small limits, so that they are reached."""
PRICE = PriceTable(open_base=Sat(20_000), extend_base=Sat(10_000))
"""High enough that a refund on-chain is worth its fee."""


class Lsp:
    """`gone` is told when a process has ended, `died` why one ended by itself in a way that it should not."""

    def __init__(
        self,
        loop: SimulatedLoop,
        node: LightningNode,
        path: Path,
        disk: Disk,
        clock: SimulatedClock,
        random: Random,
        witness: Witness,
        gone: Callable[[], None],
        died: Callable[[BaseException], None],
    ) -> None:
        self.node = node
        self.path = path
        self.disk = disk
        self.clock = clock
        self.starts = 0
        self._loop = loop
        self._random = random
        self._witness = witness
        self._gone = gone
        self._died = died
        self._process: Process | None = None

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def ready(self) -> bool:
        return self._process is not None and self._service.ready.is_set()

    @property
    def knows_tip(self) -> bool:
        """Whether the service has learnt of the newest block."""
        return self.running and self._service._engine._tip == self.node.world.chain.height

    def start(self) -> None:
        """Does nothing while it runs."""
        if self._process is not None:
            return
        self.starts += 1
        self._process = process = Process(self._loop, f"lsp {self.starts}")
        self._way = WatchedNode(self.node, self._witness)
        self._store = open_order_store(
            self.path,
            self.node.node_id,
            rules_of(OFFER),
            writer=self._open_writer,
            token_bytes=self._random.randbytes,
        )
        self._service = Service(
            self._way, self._store, OFFER, price=PRICE, clock=self.clock, token_bytes=self._random.randbytes
        )
        task = process.start(self._service.run(), "service")
        task.add_done_callback(lambda ended: self._ended(process, ended))

    def _open_writer(self, *file: Any) -> Any:
        self._writer = self.disk.writer(*file)
        return self._writer

    def kill(self, *, written: bool) -> None:
        """Kill -9. `written`: what waits for the disk is written just before."""
        process, self._process = self._process, None
        if process is None:
            return
        self._writer.die(written=written)
        self._way.cut()
        process.kill()
        self._loop.finish_now(self._store.close())
        self._gone()

    def _ended(self, process: Process, task: SimulatedTask[None]) -> None:
        """By itself. A node that is away, or a full disk, at its start may end it; the supervisor tries again."""
        error = None if task.cancelled() else task.exception()
        if not process.alive or process is not self._process:
            return
        if error is None or not _is_excused(error):
            self._died(error or RuntimeError("the service ended by itself"))
        self.kill(written=True)
        self._loop.call_later(RESTART_AFTER, self.start)


def _is_excused(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_excused, error.exceptions))
    return isinstance(error, NodeError | StoreUnavailable)
