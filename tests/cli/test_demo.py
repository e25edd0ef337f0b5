"""The demo is the first thing anybody sees: it must tell its whole story, and end well."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from lsps.cli import demo
from lsps.orders.model import Service, State
from lsps.store.sqlite.opening import open_order_store_read_only

SCENES = 9


async def test_the_story_is_told_to_its_end(tmp_path: Path) -> None:
    """Every scene comes, both refusals show, and after the crash each order that was paid is completed exactly once."""
    out = io.StringIO()
    await demo.tell(Console(file=out, width=200), tmp_path)
    told = out.getvalue()
    assert [f"\n{scene}. " in told for scene in range(1, SCENES + 1)] == [True] * SCENES
    assert "at most 43920 blocks can be added" in told
    assert "more than the limit of 100 sat: nothing was paid" in told
    assert told.index("killed: the payment is held") < told.index("started again") < told.index("8. In the end")
    store = open_order_store_read_only(tmp_path / "lsp.db")
    orders = await store.newest_orders(None, 10)
    await store.close()
    assert [(order.service, order.state) for order in reversed(orders)] == [
        (Service.LSPS1, State.COMPLETED),
        (Service.LSPS7, State.COMPLETED),
        (Service.LSPS7, State.AWAITING_PAYMENT),  # the one above the fee limit
        (Service.LSPS7, State.COMPLETED),
    ]
