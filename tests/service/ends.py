"""Shared by the tests of an order's life: what must be true at its end."""

from __future__ import annotations

import asyncio

from lsps.node.contract import Payment, PaymentStatus
from tests.service.peers import Json, Peer, quiet, until
from tests.service.world import LspWorld

DELIVERED = ("COMPLETED", "PAID")
WAITING = ("CREATED", "HOLD")
REFUNDED = ("FAILED", "REFUNDED")


async def nothing_opened(world: LspWorld, peer: Peer, order: Json, payment: asyncio.Task[Payment]) -> None:
    """Nothing was opened, the payment came back, and that is what is told."""
    await until(payment.done)
    await quiet()
    assert payment.result().status is PaymentStatus.FAILED
    assert await peer.told(order) == REFUNDED
    assert (await peer.order(order))["channel"] is None
    assert await world.lsp_channels() == []
    assert await world.store.reserved_inputs() == frozenset()
