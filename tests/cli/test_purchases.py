"""`lsps info`, `leases`, `extend`, `buy` and `orders` against an LSP."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from lsps.cli.words import THIN_SPACE
from lsps.node.contract import NodeInfo, NodeUnreachable, Payment, require
from lsps.units import Msat
from tests.cli.terminal import PATIENCE, SELLING, Town, person, run_in, town, until_shown

YES = ("--yes", "--max-fee-sat", "20000")


async def test_info(shop: Town) -> None:
    """`lsps info` must show the protocols and every option of get_info."""
    result = await shop.run("info", "--lsp", shop.lsp)
    assert (result.code, result.err) == (0, "")
    assert "LSPS0, LSPS1, LSPS7" in result.out
    assert "100\u202f000 to 10\u202f000\u202f000 sat" in result.out
    assert "52\u202f560 blocks (365 days)" in result.out
    told = (await shop.run("info", "--lsp", shop.lsp, "--json")).json
    assert told["protocols"] == [1, 7]
    assert told["lsps1"]["max_initial_lsp_balance_sat"] == "10000000"


async def test_info_of_an_lsp_without_lsps1(tmp_path: Path) -> None:
    """What an LSP does not offer must not be asked for, nor shown."""
    async with town(tmp_path, replace(SELLING, lsps1=None)) as only7:
        result = await only7.run("info", "--lsp", only7.lsp)
        assert result.code == 0
        assert "LSP balance" not in result.out
        assert "lsps1" not in (await only7.run("info", "--lsp", only7.lsp, "--json")).json


@pytest.mark.parametrize("asked", [True, False])
async def test_leases(shop: Town, asked: bool) -> None:
    """With --lsp that LSP is asked, without it every channel's peer; each channel is shown with what may be added."""
    which = ("--lsp", shop.lsp) if asked else ()
    result = await shop.run("leases", *which)
    assert (result.code, result.err) == (0, "")
    assert shop.scid in result.out
    assert "no lease" in result.out
    assert "2\u202f000\u202f000 sat" in result.out
    told = (await shop.run("leases", *which, "--json")).json
    (entry,) = told["channels"]
    assert entry["short_channel_id"] == shop.scid
    assert (entry["expiration_block"], entry["blocks_left"]) == (0, 0)
    assert entry["capacity_sat"] == "2000000"
    assert told["no_answer"] == []
    assert told["height"] == int((await shop.net.nodes.lsp.info()).height)


async def test_a_peer_that_is_no_lsp_is_told(shop: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A peer that says nothing must not hold the others up, and is named beside the result."""
    monkeypatch.setattr("lsps.cli.leases.ANSWER_SECONDS", 0.05)
    await shop.net.lsp.stop()
    result = await shop.run("leases")
    assert (result.code, result.out) == (0, "")
    assert f"no list from {shop.net.nodes.lsp.node_id}: no answer" in result.err
    told = (await shop.run("leases", "--json")).json
    assert told["no_answer"] == [{"peer": str(shop.net.nodes.lsp.node_id), "reason": "no answer"}]


async def test_extend_with_yes(shop: Town) -> None:
    """--yes with --max-fee-sat must pay without a question, and the new expiry is shown."""
    result = await shop.run("extend", shop.scid, "4320", "--lsp", shop.lsp, *YES)
    assert result.code == 0, result.err
    assert "in 30 days" in result.out
    assert "COMPLETED" in result.out
    assert "paying" in result.err
    again = await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, *YES, "--json")
    assert again.json["delivered"] is True
    assert again.json["payment"]["status"] == "succeeded"
    listed = (await shop.run("leases", "--json")).json["channels"][0]
    assert listed["expiration_block"] == again.json["expiration_block"]
    assert listed["blocks_left"] == 4320 + 144


async def test_extend_asks_and_shows_what_it_costs(shop: Town) -> None:
    """The question must show fee, blocks and the new expiry; a typed yes pays."""
    with person("yes\n") as stdin:
        result = await shop.run("extend", shop.scid, "4320", "--lsp", shop.lsp, stdin=stdin)
    assert result.code == 0, result.err
    fee = "5\u202f432 sat"  # 500 + 30,000 ppm a year of 2,000,000 sat for 4,320 blocks, rounded up
    for shown in (fee, "4\u202f320 blocks (30 days)", "in 30 days", "Pay this?", shop.scid):
        assert shown in result.err
    assert fee in result.out


@pytest.mark.parametrize("typed", ["no\n", "\n", "\x04"])
async def test_anything_but_yes_pays_nothing(shop: Town, typed: str) -> None:
    """A no, an empty line and the end of input must each stop before paying, with exit code 4."""
    with person(typed) as stdin:
        result = await shop.run("extend", shop.scid, "4320", "--lsp", shop.lsp, stdin=stdin)
    assert result.code == 4
    assert result.out == ""
    assert "declined" in result.err
    assert (await shop.run("orders", "--json")).json["orders"][0]["state"] == "abandoned"


async def test_the_fee_limit_stops_before_paying(shop: Town) -> None:
    """A fee over --max-fee-sat must exit with 4 and say so, in JSON as well; nothing is paid."""
    result = await shop.run("extend", shop.scid, "4320", "--lsp", shop.lsp, "--yes", "--max-fee-sat", "5431", "--json")
    assert result.code == 4
    assert "limit of 5431 sat" in result.err
    failure = result.json["error"]
    assert (failure["kind"], failure["exit_code"]) == ("FeeTooHigh", 4)
    assert failure["order_id"]
    (row,) = (await shop.run("orders", "--service", "--json")).json["orders"]
    assert row["state"] == "awaiting payment"


async def test_a_refusal_exits_with_1(shop: Town) -> None:
    """What the LSP does not offer must exit with 1 and a sentence in our words."""
    result = await shop.run("extend", shop.scid, "52561", "--lsp", shop.lsp, *YES)
    assert result.code == 1
    assert "at most 52560 blocks" in result.err
    assert "Traceback" not in result.err
    unknown = await shop.run("extend", "9x9x9", "144", "--lsp", shop.lsp, *YES)
    assert (unknown.code, unknown.out) == (1, "")


async def test_a_payment_that_fails_exits_with_1(shop: Town) -> None:
    """A payment our node cannot make is a failure (1), not something unknown."""
    result = await shop.run(
        "buy", "--lsp-balance", "1000000", "--client-balance", "4000000", "--expiry-blocks", "144",
        "--lsp", shop.lsp, *YES,
    )  # fmt: skip
    assert result.code == 1
    assert "the payment failed" in result.err


async def test_paid_and_not_delivered_exits_with_5(shop: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the LSP is gone after the payment, exit with 5 and say what to do; the same command later goes on."""
    node, lsp = shop.terminal.node, shop.net.lsp
    assert node is not None
    payments = require(node.payments, "payments")
    pay = payments.pay

    async def pay_and_lose_the_lsp(invoice: str, max_fee: Msat) -> Payment:
        paid = await pay(invoice, max_fee)
        await lsp.stop()
        return paid

    with monkeypatch.context() as patched:
        patched.setattr(payments, "pay", pay_and_lose_the_lsp)
        shop.terminal.patience = replace(PATIENCE, delivery=0.1, poll_reply=0.1)
        result = await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, *YES, "--json")
    assert result.code == 5
    assert result.json["error"]["kind"] == "PaidNotDelivered"
    assert "Run the same command again" in result.err
    await lsp.start()
    shop.terminal.patience = PATIENCE
    again = await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, *YES, "--json")
    assert (again.code, again.json["resumed"], again.json["delivered"]) == (0, True, True)


async def test_an_interruption_says_what_is_in_flight(shop: Town) -> None:
    """^C while the LSP holds the payment must name the order that goes on, and exit with 130."""
    world, lsp = shop.net.nodes.world, shop.net.nodes.lsp
    world.faults.fail_next(lsp.node_id, "invoices.settle", before=True)
    shell = shop.terminal.shell()
    running = asyncio.create_task(run_in(shell, "extend", shop.scid, "144", "--lsp", shop.lsp, *YES))
    await until_shown(shell, "paying")
    running.cancel()
    result = await running
    assert result.code == 130
    (entry,) = await journal(shop)
    assert f"still in flight: lsps7.create_order order {entry['order_id']}" in result.err
    assert "the same command again" in result.err
    assert entry["state"] == "paying"


async def test_an_unpaid_order_says_until_when_it_can_be_paid(shop: Town) -> None:
    """`lsps orders` must tell an order that waits for its payment from one that nobody can pay any more."""
    await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, "--no-pay")
    [entry] = await journal(shop)
    day, time = str(entry["expires_at"]).split("T")
    shown = (await shop.run("orders")).out
    assert f"not paid; the same command pays it until {day} {time[:5]} UTC" in shown
    await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, *YES)
    assert "not paid" not in (await shop.run("orders")).out


async def test_an_interruption_with_json(shop: Town) -> None:
    """^C must leave one JSON document that says so, as every other end does."""
    world, lsp = shop.net.nodes.world, shop.net.nodes.lsp
    world.faults.fail_next(lsp.node_id, "invoices.settle", before=True)
    shell = shop.terminal.shell()
    running = asyncio.create_task(run_in(shell, "extend", shop.scid, "144", "--lsp", shop.lsp, *YES, "--json"))
    await until_shown(shell, "paying")
    running.cancel()
    result = await running
    assert (result.json["error"]["kind"], result.json["error"]["exit_code"]) == ("Interrupted", 130)
    assert "lsps orders" in result.json["error"]["message"]


@pytest.mark.parametrize("json", [True, False])
async def test_a_node_that_goes_away_after_the_delivery(
    shop: Town, json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is delivered is told as such, whatever happens to our own node then: the command must not seem to fail."""
    node, nodes = shop.terminal.node, shop.net.nodes
    assert node is not None
    info = node.info

    async def gone_once_delivered() -> NodeInfo:
        if [entry["state"] for entry in await journal(shop)] == ["completed"]:
            raise NodeUnreachable("gone")
        return await info()

    monkeypatch.setattr(node, "info", gone_once_delivered)
    result = await shop.run("extend", shop.scid, "4320", "--lsp", shop.lsp, *YES, *(["--json"] if json else []))
    assert result.code == 0, result.err
    height = (await nodes.lsp.info()).height
    assert str(int(height) + 4320) in result.out.replace(THIN_SPACE, "")


async def test_the_largest_routing_limit_there_is(shop: Town) -> None:
    """A limit that no payment reaches is no error."""
    most = ("--max-routing-fee-sat", str(2**64 - 1))
    assert (await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, *YES, *most)).code == 0


async def test_an_interruption_at_the_question(shop: Town) -> None:
    """^C at the question must say that nothing is being paid."""
    with person("") as stdin:
        shell = shop.terminal.shell(stdin)
        running = asyncio.create_task(run_in(shell, "extend", shop.scid, "144", "--lsp", shop.lsp))
        await until_shown(shell, "Pay this?")
        running.cancel()
        result = await running
    assert result.code == 130
    assert "nothing is being paid" in result.err


async def test_a_free_order_needs_no_payment(shop: Town) -> None:
    """A token of 100 % must complete without paying; the token is nowhere in the output or the journal's."""
    result = await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, "--token", "FREE", *YES)
    assert result.code == 0, result.err
    assert "free" in result.out
    again = await shop.run("extend", shop.scid, "145", "--lsp", shop.lsp, "--token", "FREE", *YES, "--json")
    assert again.json["payment"] is None
    shown = [result.out, result.err, again.out, again.err]
    for command in (("orders",), ("orders", "--json"), ("orders", "--service"), ("orders", "--service", "--json")):
        shown.append((await shop.run(*command)).out)
    assert not any("FREE" in text for text in shown)
    wrong = await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, "--token", "SESAME", *YES)
    assert wrong.code == 1
    assert "SESAME" not in wrong.out + wrong.err


async def test_order_first_and_pay_later(shop: Town) -> None:
    """--no-pay must order without asking or paying; the same command without it goes on with that order."""
    ordered = await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, "--no-pay")
    assert ordered.code == 0, ordered.err
    assert "lnbcrt" in ordered.out
    assert "lease would end" in ordered.out
    paid = await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, *YES, "--json")
    assert paid.json["resumed"] is True
    assert "going on with the order" in paid.err
    (entry,) = (await shop.run("orders", "--json")).json["orders"]
    assert entry["state"] == "completed"


async def test_buy(shop: Town) -> None:
    """A bought channel must be shown as our own node sees it."""
    mining = shop.mine_now_and_then()
    result = await shop.run(
        "buy", "--lsp-balance", "1_000_000", "--client-balance", "200_000", "--expiry-blocks", "4320",
        "--lsp", shop.lsp, *YES, "--json",
    )  # fmt: skip
    mining.cancel()
    assert result.code == 0, result.err
    channel = result.json["channel"]
    assert (channel["capacity_sat"], channel["local_balance_sat"]) == ("1200000", "200000")
    assert channel["private"] is True
    assert result.json["order"]["channel"]["funding_outpoint"] == channel["funding_outpoint"]


async def test_buy_asks_with_the_whole_sum(shop: Town) -> None:
    """With a client balance the question must show the fee and what is paid in all; the channel is shown after."""
    mining = shop.mine_now_and_then()
    with person("y\n") as stdin:
        result = await shop.run(
            "buy", "--lsp-balance", "1000000", "--client-balance", "200000", "--expiry-blocks", "4320",
            "--zero-conf", "--announce", "--lsp", shop.lsp, stdin=stdin,
        )  # fmt: skip
    mining.cancel()
    assert result.code == 0, result.err
    assert "announced channel of 1\u202f200\u202f000 sat" in result.err
    assert "of which 200\u202f000 sat become yours" in result.err
    assert "1\u202f200\u202f000 sat" in result.out


async def test_orders_of_both_sides(shop: Town) -> None:
    """What was bought and what was sold must tell the same order, as tables and as JSON, the newest first."""
    for blocks in ("144", "288", "432"):
        assert (await shop.run("extend", shop.scid, blocks, "--lsp", shop.lsp, *YES)).code == 0
    bought = await shop.run("orders", "--limit", "2", "--json")
    assert [row["parameters"]["channel_extension_expiry_blocks"] for row in bought.json["orders"]] == [432, 288]
    sold = (await shop.run("orders", "--service", "--limit", "2", "--json")).json
    assert {row["order_id"] for row in sold["orders"]} <= {row["order_id"] for row in await journal(shop)}
    below = (await shop.run("orders", "--service", "--before", sold["next_before"], "--json")).json
    assert len(below["orders"]) == 1
    assert below["next_before"] is None
    mine, theirs = await shop.run("orders"), await shop.run("orders", "--service")
    for table in (mine.out, theirs.out):
        assert f"extend {shop.scid} by 432 blocks (3 days)" in table
        assert "completed" in table
    assert mine.code == theirs.code == 0


async def journal(shop: Town) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = (await shop.run("orders", "--json")).json["orders"]
    return rows
