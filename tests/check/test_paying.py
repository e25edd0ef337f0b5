"""What `--pay` never pays: more than the LSP's own order says, and than the limit allows."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from lsps.check.catalogue import select
from lsps.check.model import Outcome
from lsps.check.runner import run_checks
from lsps.check.subject import Spending
from lsps.node.contract import Payment
from lsps.units import Msat, Sat
from tests.check.faults import invoice, orders
from tests.check.faulty import TIMES, Fault, World, faulty_lsp, no_fault


def another_amount(_world: World, order: dict[str, Any]) -> None:
    invoice(lambda _, text: replace(text, amount=Msat(900_000_000)))(_world, order)


def more_than_asked(world: World, order: dict[str, Any]) -> None:
    """The LSP says that a larger balance was ordered, and wants it paid."""
    order["client_balance_sat"] = "900000"
    option = order["payment"]["bolt11"]
    total = int(option["fee_total_sat"]) + 900_000
    option["order_total_sat"] = str(total)
    invoice(lambda _, text: replace(text, amount=Msat(total * 1000)))(world, order)


FAULTS: dict[str, tuple[Fault, int]] = {
    "an invoice for another amount": (orders("lsps1", another_amount, full=False), 100_000),
    "a balance that nobody ordered": (orders("lsps1", more_than_asked, full=False), 100_000),
    "a fee above the limit": (no_fault, 1),
}


@pytest.mark.parametrize("name", FAULTS)
async def test_it_is_not_paid(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The payment is not even tried, and what comes of a paid order could not be told."""
    fault, limit = FAULTS[name]
    async with faulty_lsp(fault) as (node, lsp, clock):
        paid: list[str] = []

        async def pay(invoice: str, _max_fee: Msat) -> Payment:
            paid.append(invoice)
            raise AssertionError

        monkeypatch.setattr(node.payments, "pay", pay)
        checks = select(["LP-01", "LP-02", "LP-03"])
        report = await run_checks(node, lsp, checks=checks, spending=Spending(Sat(limit)), clock=clock, times=TIMES)
    assert paid == []
    assert {finding.outcome for finding in report.findings} == {Outcome.UNTOLD}
