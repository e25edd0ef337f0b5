"""`--pay onchain` at the command line."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lsps.service.offer import PaymentTerms
from lsps.service.pricing import PriceRequest
from lsps.units import Sat
from tests.cli.terminal import SELLING, Town, person, run_in, town, until_shown

ONCHAIN = ("--pay", "onchain")
YES = ("--yes", "--max-fee-sat", "20000")
FEE = "15\u202f000 sat"


def price(_: PriceRequest) -> Sat:
    return Sat(15_000)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Town]:
    """An LSP that takes on-chain payments, and a customer with a channel."""
    async with town(tmp_path, replace(SELLING, payment=PaymentTerms(onchain=True)), price=price) as made:
        yield made


async def orders(shop: Town) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = (await shop.run("orders", "--json")).json["orders"]
    return rows


async def test_extend_and_buy(shop: Town) -> None:
    """What was paid, its fee and its transaction are shown, as a table and as JSON; `lsps orders` shows them too."""
    mining = shop.mine_now_and_then()
    extended = await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, *YES, *ONCHAIN)
    bought = await shop.run(
        "buy", "--lsp-balance", "1_000_000", "--expiry-blocks", "144", "--lsp", shop.lsp, *YES, *ONCHAIN, "--json"
    )
    mining.cancel()
    assert (extended.code, bought.code) == (0, 0), extended.err + bought.err
    newest, oldest = await orders(shop)
    txid = oldest["transaction"]["txid"]
    assert f"paid         {FEE}, and 617 sat for the transaction" in extended.out
    assert f"transaction  {txid}" in extended.out
    assert f"transaction {txid} pays the order" in extended.err
    assert bought.json["payment"] is None
    assert bought.json["transaction"] == newest["transaction"]
    assert newest["transaction"] | {"txid": ""} == {"txid": "", "paid_sat": "15000", "fee_sat": "617"}
    assert f"paid on-chain in transaction {txid}" in (await shop.run("orders")).out


async def test_the_question_shows_the_transaction(shop: Town) -> None:
    """Its fee, its feerate, where it goes, and how long it takes to count."""
    mining = shop.mine_now_and_then()
    with person("yes\n") as stdin:
        result = await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, *ONCHAIN, stdin=stdin)
    mining.cancel()
    assert result.code == 0, result.err
    (order,) = await orders(shop)
    address = order["order"]["payment"]["onchain"]["address"]
    for shown in (FEE, "617 sat, 4 sat per vbyte", f"to            {address}", "counts after  1 block", "Pay this?"):
        assert shown in result.err


async def test_the_limit_of_the_transactions_fee(shop: Town) -> None:
    """--max-onchain-fee-sat must stop before paying, with exit code 4."""
    command = ("extend", shop.scid, "144", "--lsp", shop.lsp, *YES, *ONCHAIN)
    result = await shop.run(*command, "--max-onchain-fee-sat", "616", "--json")
    assert result.code == 4
    assert result.json["error"]["kind"] == "OnchainFeeTooHigh"
    assert "would cost 617 sat (4 sat per vbyte), more than the limit of 616 sat" in result.err
    assert (await orders(shop))[0]["transaction"] is None


async def test_yes_needs_a_limit_here_too(shop: Town) -> None:
    """--yes without --max-fee-sat must be refused before anything is ordered."""
    result = await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, "--yes", *ONCHAIN)
    assert result.code == 2
    assert await orders(shop) == []


async def test_order_first_and_pay_later(shop: Town) -> None:
    """--no-pay shows the address and until when, also with an empty wallet; the same command without it pays."""
    command = ("extend", shop.scid, "144", "--lsp", shop.lsp, *ONCHAIN)
    world, node_id = shop.net.nodes.world, shop.net.nodes.clients[0].node_id
    world.take_funds(node_id)
    ordered = await shop.run(*command, "--no-pay")
    assert ordered.code == 0, ordered.err
    (order,) = await orders(shop)
    rows = [line.split(maxsplit=1) for line in ordered.out.splitlines()]
    assert ["address", order["order"]["payment"]["onchain"]["address"]] in rows
    assert f"{FEE} until" in ordered.out
    shop.net.nodes.fund(shop.net.nodes.clients[0], Sat(1_000_000))
    mining = shop.mine_now_and_then()
    paid = await shop.run(*command, *YES, "--json")
    mining.cancel()
    assert (paid.code, paid.json["resumed"], paid.json["delivered"]) == (0, True, True)


async def test_an_interruption_names_the_transaction(shop: Town) -> None:
    """^C while blocks are waited for must say what is in flight, exit with 130, and the same command goes on."""
    command = ("extend", shop.scid, "144", "--lsp", shop.lsp, *YES, *ONCHAIN)
    shell = shop.terminal.shell()
    running = asyncio.create_task(run_in(shell, *command))
    await until_shown(shell, "waits for a block")
    running.cancel()
    result = await running
    assert result.code == 130
    (order,) = await orders(shop)
    assert f"paid in transaction {order['transaction']['txid']}" in result.err
    assert order["state"] == "paying"
    mining = shop.mine_now_and_then()
    again = await shop.run(*command, "--json")
    mining.cancel()
    assert (again.code, again.json["resumed"]) == (0, True)
    assert again.json["transaction"] == order["transaction"]


async def test_a_refund_exits_with_1(shop: Town) -> None:
    """An order that failed and was refunded is a failure, and says what came back."""
    shop.net.nodes.world.faults.refuse_channels(shop.net.nodes.clients[0].node_id)
    mining = shop.mine_now_and_then()
    result = await shop.run(
        "buy", "--lsp-balance", "1_000_000", "--expiry-blocks", "144", "--lsp", shop.lsp, *YES, *ONCHAIN
    )
    mining.cancel()
    assert result.code == 1
    assert "of the 15000 sat came back in" in result.err
    assert "came back in" in (await shop.run("orders")).out
