"""`lsps ledger`, and `lsps orders --service` with orders that are paid on-chain: read from the store of an LSP."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from lsps.orders.ledger import Accounts
from lsps.orders.model import Order, State
from lsps.store.orders import Change
from lsps.store.sqlite.opening import open_order_store
from lsps.units import OrderId, Sat
from tests.cli.terminal import Result, Terminal
from tests.orders import samples
from tests.orders.samples import CHANNEL_TERMS, DEPOSIT, REFUND, RETURNED, RETURNING, RULES, START

LEFT = replace(RETURNING, left="its fee, about 9 sat, would be most of it", refund_due=False)


THIN = "\u202f"
"""Between thousands."""


def plain(result: Result) -> Result:
    return Result(result.code, result.out.replace(THIN, ","), result.err.replace(THIN, ","))


def named(name: str, order: Order, **changes: object) -> Order:
    """A new row; each later in the alphabet is younger."""
    made = START + timedelta(minutes=ord(name[0]))
    option = None if order.bolt11 is None else replace(order.bolt11, payment_hash=name.encode().ljust(32))
    address = None if order.onchain is None else replace(order.onchain, address=f"bcrt1q{name}")
    return replace(
        order,
        id=OrderId(name),
        version=0,
        created_at=made,
        bolt11=option,
        onchain=address,
        **changes,  # type: ignore[arg-type]
    )


def onchain(name: str, state: State, *deposits: object) -> Order:
    order = samples.onchain_order_in(state, CHANNEL_TERMS)
    assert order.onchain is not None
    if deposits:
        order = replace(order, onchain=replace(order.onchain, deposits=deposits))  # type: ignore[arg-type]
    return named(name, order)


ORDERS = [
    onchain("awaiting", State.AWAITING_PAYMENT),
    onchain("bought", State.COMPLETED),
    onchain("closing", State.CLOSING),
    onchain("defrayed", State.FAILED, replace(RETURNED, refunds=(replace(RETURNED.refunds[0], height=samples.TIP),))),
    onchain("expired", State.FAILED, LEFT),
    onchain("gone", State.COMPLETED, replace(DEPOSIT, gone=True, height=None)),
    named("held", samples.order_in(State.PAID, CHANNEL_TERMS)),
    named("invoice", samples.order_in(State.COMPLETED, CHANNEL_TERMS)),
    onchain("pending", State.PAID),
]


async def keep(terminal: Terminal, orders: Iterable[Order]) -> None:
    """The store of an LSP that has these."""
    (terminal.directory / "lsps.toml").write_text('store = "sqlite://lsp.db"\n')
    store = open_order_store(terminal.directory / "lsp.db", samples.LSP, RULES)
    for order in orders:
        await store.commit(Change(order), START)
    await store.close()


@pytest.fixture
async def book(terminal: Terminal) -> Terminal:
    await keep(terminal, ORDERS)
    return terminal


async def test_the_ledger_tells_every_sat(book: Terminal) -> None:
    """By order, the newest first: what came in, what became of it, each deposit with its block and its refunds; then
    the sums; those of whom nothing came are left out."""
    told = plain(await book.run("ledger"))
    assert told.code == 0
    names = [line.split("order ")[1].split(":")[0] for line in told.out.splitlines() if "  order " in line]
    assert names == ["pending", "invoice", "held", "gone", "expired", "defrayed", "closing", "bought"]
    for text in (
        "earned 8,888 sat; given on as channel balance 192,000 sat",
        f"deposit {DEPOSIT.outpoint}: 200,888 sat, in block 800000",
        f"deposit {DEPOSIT.outpoint}: 200,888 sat, gone",
        f"refund {RETURNED.refunds[0].txid}: 200,000 sat, published",
        "refunded in block 800000",
        "for you to decide: its fee, about 9 sat, would be most of it",
        "delivered, not (yet) paid 200,888 sat",
    ):
        assert text in told.out, text
    sums = {line.rsplit("  ", 1)[0].strip(): line.rsplit("  ", 1)[1] for line in told.out.splitlines()[-10:]}
    assert sums["in, on-chain"] == "1,004,440 sat"
    assert sums["in, by Lightning"] == "401,776 sat"
    assert sums["held, not decided yet"] == "401,776 sat"
    assert sums["owed to customers"] == "401,776 sat"
    assert sums["refunded"] == "200,000 sat"
    assert sums["miners' fees of refunds"] == "888 sat"
    assert "balanced: 1,406,216 sat came in, all of it is accounted for" in told.err


async def test_only_what_is_open(book: Terminal) -> None:
    """--open: orders that hold, owe or miss something; the sums are still of all."""
    told = await book.run("ledger", "--open", "--json")
    assert [order["order_id"] for order in told.json["orders"]] == ["pending", "held", "gone", "expired", "closing"]
    assert told.json["total"] == (await book.run("ledger", "--json")).json["total"]


async def test_the_ledger_as_json(book: Terminal) -> None:
    """Every column by its name in millisatoshi, as texts; what is left to the operator with outpoint and reason."""
    told = (await book.run("ledger", "--json")).json
    by_name = {order["order_id"]: order for order in told["orders"]}
    columns = {f"{name}_msat" for name in Accounts.__slots__}
    assert set(by_name["bought"]) == {"order_id", "left"} | columns
    assert set(told["total"]) == columns
    assert by_name["bought"]["earned_msat"] == "8888000"
    assert by_name["gone"]["unpaid_msat"] == "200888000"
    assert by_name["expired"]["left"] == [
        {
            "outpoint": str(DEPOSIT.outpoint),
            "amount_sat": "200888",
            "reason": LEFT.left,
            "refund_onchain_address": samples.ONCHAIN.refund_address,
        }
    ]
    assert by_name["closing"]["left"] == []
    assert told["unbalanced"] == []
    for column in columns:
        assert int(told["total"][column]) == sum(int(order[column]) for order in told["orders"])


async def test_what_is_too_small_is_told_with_its_reason_and_address(terminal: Terminal) -> None:
    """What is less than min_refund_sat of lsps.toml stays until the operator sends it: he is told that, and where to;
    nobody is asked to decide on what goes back by itself, or is gone."""
    small = replace(DEPOSIT, amount=Sat(2_999), kept=Sat(0))
    over = replace(DEPOSIT, amount=DEPOSIT.amount + Sat(2_999))
    gone = replace(small, gone=True, height=None)
    orders = [onchain("small", State.FAILED, small), onchain("over", State.COMPLETED, over), *ORDERS[:4]]
    orders.append(onchain("gone", State.FAILED, gone))
    await keep(terminal, orders)
    (terminal.directory / "lsps.toml").write_text("""store = "sqlite://lsp.db"
    [payment]
    min_refund_sat = 3000""")
    told = plain(await terminal.run("ledger")).out.split("order ")
    for name, text in (("small", "owed to customers 2,999 sat"), ("over", "owed to customers 2,999 sat")):
        (shown,) = [part for part in told if part.startswith(name)]
        assert text in shown
        assert "for you to decide: less than min_refund_sat (3000 sat) goes back once you lower that" in shown
        assert f"refund address, for 2,999 sat: {samples.ONCHAIN.refund_address}" in shown
    assert sum("for you to decide" in part for part in told) == 2
    left = {order["order_id"]: order["left"] for order in (await terminal.run("ledger", "--json")).json["orders"]}
    assert {name for name in left if left[name]} == {"small", "over"}
    (entry,) = left["over"]
    assert (entry["amount_sat"], entry["refund_onchain_address"]) == ("2999", samples.ONCHAIN.refund_address)
    book = plain(await terminal.run("orders", "--service"))
    assert book.out.count("2,999 sat for you to decide: lsps ledger tells why") == book.out.count("decide") == 2
    sold = {order["order_id"]: order for order in (await terminal.run("orders", "--service", "--json")).json["orders"]}
    (deposit,) = sold["small"]["onchain"]["deposits"]
    assert deposit["left_to_operator"] == entry["reason"]
    assert sold["bought"]["onchain"]["deposits"][0]["left_to_operator"] is None


async def test_a_loss_is_told_with_its_customer(terminal: Terminal) -> None:
    """Delivered and not paid for: why, whether it may still come, and whose order it is."""
    lost = named("lost", samples.order_in(State.UNPAID, CHANNEL_TERMS), reason="the payment slipped away")
    away = onchain("away", State.COMPLETED, replace(DEPOSIT, gone=True, height=None))
    await keep(terminal, [lost, away, onchain("bought", State.COMPLETED)])
    told = (await terminal.run("ledger")).out.split("order ")
    by_name = {part.split(":")[0]: part for part in told}
    assert "the payment slipped away: a loss, unless you and the customer agree otherwise" in by_name["lost"]
    assert "its payment is in no block (yet, or any more)" in by_name["away"]
    assert all(f"customer {lost.principal}" in by_name[name] for name in ("lost", "away"))
    assert "loss" not in by_name["bought"]


async def test_which_refund_came_through(terminal: Terminal) -> None:
    """Of several that replaced each other, the one in a block is marked."""
    first, second = REFUND, replace(REFUND, txid="bb" * 32, published_at=START, height=samples.TIP + 3)
    deposit = replace(RETURNED, refunds=(replace(first, published_at=START), second))
    await keep(terminal, [onchain("bumped", State.FAILED, deposit)])
    lines = (await terminal.run("ledger")).out.splitlines()
    marked = [line for line in lines if "refunded in block" in line]
    assert [second.txid in line for line in marked] == [True]


async def test_nothing_sold_yet(terminal: Terminal) -> None:
    """An empty book balances."""
    await keep(terminal, [])
    told = await terminal.run("ledger")
    assert (told.code, "balanced: 0 sat came in" in told.err) == (0, True)


async def test_a_difference_is_a_failure(book: Terminal) -> None:
    """Sums that do not balance are told with the order's id, and end with 1: in text, with --json and with --open."""
    wrong = samples.order_in(State.COMPLETED, CHANNEL_TERMS)
    assert wrong.bolt11 is not None
    wrong = replace(wrong, bolt11=replace(wrong.bolt11, fee_total=Sat(9_000)))
    await keep(book, [named("wrong", wrong)])
    for options in ((), ("--json",), ("--open",)):
        told = await book.run("ledger", *options)
        assert told.code == 1
        assert "1 orders do not balance" in told.err
        assert "wrong" in told.err
    assert (await book.run("ledger", "--json")).json["unbalanced"] == ["wrong"]


async def test_a_damaged_order_is_told(book: Terminal) -> None:
    """A row that cannot be read: an error that says so, and no sums without it."""
    damage(book.directory / "lsp.db")
    told = await book.run("ledger")
    assert (told.code, told.out) == (1, "")
    assert "bought" in told.err


def damage(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE orders SET body = '{' WHERE id = 'bought'")
    connection.commit()
    connection.close()


async def test_more_than_a_page(terminal: Terminal) -> None:
    """However many orders there are, each is in the sums once."""
    await keep(terminal, [onchain(f"{number:06d}", State.COMPLETED) for number in range(501)])
    told = (await terminal.run("ledger", "--json")).json
    assert len(told["orders"]) == 501
    assert told["total"]["earned_msat"] == str(501 * 8_888_000)


async def test_ledger_needs_a_store(terminal: Terminal) -> None:
    """Looking does not make one."""
    told = await terminal.run("ledger")
    assert (told.code, "`lsps serve` makes it" in told.err) == (1, True)


async def test_the_order_book_shows_what_was_paid_on_chain(book: Terminal) -> None:
    """`lsps orders --service`: how much of the total has come, not counting what is gone; nothing before any came."""
    told = (await book.run("orders", "--service")).out.replace(THIN, ",")
    assert told.count("paid on-chain: 200,888 sat of 200,888 sat; lsps ledger tells more") == 5
    assert told.count("paid on-chain: 0 sat of 200,888 sat") == 1
    assert told.count("fee 8,888 sat on-chain") == 7


async def test_the_order_book_as_json(book: Terminal) -> None:
    """The option, its deposits and their refunds; null for an order that cannot be paid so."""
    orders = {order["order_id"]: order for order in (await book.run("orders", "--service", "--json")).json["orders"]}
    assert (orders["invoice"]["onchain"], orders["invoice"]["paid_by"]) == (None, "bolt11")
    option = orders["defrayed"]["onchain"]
    assert (option["address"], option["order_total_sat"]) == ("bcrt1qdefrayed", "200888")
    assert option["refund_onchain_address"] == samples.ONCHAIN.refund_address
    (deposit,) = option["deposits"]
    assert (deposit["outpoint"], deposit["amount_sat"], deposit["kept_sat"]) == (str(DEPOSIT.outpoint), "200888", "0")
    assert (deposit["height"], deposit["refunded_at_height"]) == (800_000, 800_000)
    (refund,) = deposit["refunds"]
    assert (refund["txid"], refund["paid_sat"]) == (RETURNED.refunds[0].txid, "200000")
    assert orders["expired"]["onchain"]["deposits"][0]["left_to_operator"] == LEFT.left
    assert orders["bought"]["onchain"]["deposits"][0]["left_to_operator"] is None
    assert orders["awaiting"]["onchain"]["deposits"] == []
