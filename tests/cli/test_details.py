"""What the command line hands on to the client, and what it tells of an LSP that breaks rules."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec import structs

from lsps.cli.main import execute, parser
from lsps.client.errors import Declined
from lsps.client.lsp import Lsps1, Lsps7
from lsps.client.terms import LightningCost, Offer
from lsps.compose import open_journal
from lsps.node.contract import OpenRequest
from lsps.protocol.lsps7 import ExtendableChannels, RejectedChannel
from lsps.protocol.rules import RuleViolation, Severity
from lsps.store.journal import Entry, EntryState
from lsps.testing import OFFER
from lsps.units import BlockHeight, Msat, NodeId, OrderId, Sat, Scid
from tests.cli.terminal import Screen, Town, person, read

OTHER = NodeId("03" + "22" * 32)
ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
COMMON = (
    "--max-routing-fee-sat",
    "7",
    "--max-onchain-fee-sat",
    "8",
    "--pay",
    "onchain",
    "--token",
    "T",
    "--refund-address",
    ADDRESS,
    "--accept-violation",
    "sum",
    "--new",
)
GIVEN = {
    "pay_with": "onchain",
    "max_routing_fee": Sat(7),
    "max_onchain_fee": Sat(8),
    "token": "T",
    "refund_address": ADDRESS,
    "accept_violation": frozenset({"sum"}),
    "new": True,
    "pay": True,
    "confirm": None,
    "max_fee": Sat(9),
}
USUAL: dict[str, object] = {
    "pay_with": "bolt11",
    "max_routing_fee": None,
    "max_onchain_fee": None,
    "token": None,
    "refund_address": None,
    "accept_violation": frozenset(),
    "new": False,
}


class Asked:
    """Stands in for `extend` and `buy`: keeps what it was called with, and declines."""

    def __init__(self) -> None:
        self.positional: tuple[Any, ...] = ()
        self.keywords: dict[str, Any] = {}

    async def __call__(self, *positional: Any, **keywords: Any) -> None:
        self.positional, self.keywords = positional, keywords
        raise Declined("declined", order_id=OrderId(""))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Nothing is bought."""
    stand_in = Asked()
    monkeypatch.setattr(Lsps7, "extend", stand_in)
    monkeypatch.setattr(Lsps1, "buy", stand_in)
    return stand_in


async def test_extend_hands_everything_on(shop: Town, asked: Asked) -> None:
    """Each argument of `lsps extend` must reach the client, and what is left out must be the client's default."""
    command = ("extend", "1x2x3", "144", "--lsp", shop.lsp)
    await shop.run(*command, *COMMON, "--yes", "--max-fee-sat", "9")
    told = asked.keywords
    assert asked.positional == (Scid(1, 2, 3),)
    assert told.pop("on_progress") is not None
    assert told == {**GIVEN, "blocks": 144}
    await shop.run(*command, "--no-pay")
    assert asked.keywords.items() >= {**USUAL, "pay": False, "max_fee": Sat(2**64 - 1)}.items()
    assert asked.keywords["confirm"] is not None


async def test_buy_hands_everything_on(shop: Town, asked: Asked) -> None:
    """Each argument of `lsps buy` must reach the client, and what is left out must be the client's default."""
    command = ("buy", "--lsp-balance", "5_000", "--expiry-blocks", "144", "--lsp", shop.lsp)
    channel = ("--client-balance", "6", "--announce", "--confirmations", "3", "--funding-confirms-within", "4")
    await shop.run(*command, *channel, *COMMON, "--yes", "--max-fee-sat", "9")
    told = asked.keywords
    assert told.pop("on_progress") is not None
    assert told == {
        **GIVEN,
        "lsp_balance": Sat(5_000),
        "client_balance": Sat(6),
        "expiry_blocks": 144,
        "announce": True,
        "zero_conf": False,
        "required_confirmations": 3,
        "funding_confirms_within_blocks": 4,
    }
    await shop.run(*command, "--no-pay", "--zero-conf")
    usual = {**USUAL, "client_balance": Sat(0), "announce": False, "zero_conf": True, "required_confirmations": None}
    assert asked.keywords.items() >= usual.items()


async def test_the_question_shows_what_is_wrong(shop: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another payee than the LSP, and a rule the payer may let pass, must stand in the question."""
    violation = RuleViolation("sum", "new_channel_expiry_block", "bLIP-57 §2", "the sum is odd", Severity.SHOULD)

    async def extend(_lsps7: object, _scid: Scid, **keywords: Any) -> None:
        offer = Offer(
            lsp=shop.net.nodes.lsp.node_id,
            method="lsps7.create_order",
            order_id=OrderId("an\x1b[31morder"),
            fee=Sat(1_000),
            order_total=Sat(1_000),
            cost=LightningCost(OTHER, Msat(20_000)),
            blocks=144,
            new_expiration=BlockHeight(100_000),
            expires_at=datetime.now(UTC),
            violations=(violation,),
            resumed=False,
            order=None,  # type: ignore[arg-type]  # the question does not look at it
        )
        assert await keywords["confirm"](offer) is False
        raise Declined("declined", order_id=OrderId(""))

    monkeypatch.setattr(Lsps7, "extend", extend)
    with person("no\n") as stdin:
        result = await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, stdin=stdin)
    assert f"another node than the LSP: {OTHER}" in result.err
    assert "the sum is odd (bLIP-57 §2)" in result.err
    assert "order         anorder" in result.err


async def test_only_peers_with_an_open_channel_are_asked(shop: Town) -> None:
    """A peer whose channel is still pending must not be asked for leases: it would only be waited for."""
    node = shop.net.nodes.clients[0]
    stranger = shop.net.nodes.world.add_node("stranger", None)
    shop.net.nodes.world.connect(node.node_id, stranger.node_id)
    inputs = tuple(utxo.outpoint for utxo in await node.wallet.inputs())
    await node.channels.open(OpenRequest(stranger.node_id, Sat(50_000), Sat(0), False, False, inputs, 1000, ""))
    told = (await shop.run("leases", "--json")).json
    assert told["no_answer"] == []
    assert len(told["channels"]) == 1


async def test_bad_entries_of_a_list_are_told(shop: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry that is no channel must be named beside the result, which shows the good ones or says there are none."""
    bad = ExtendableChannels(extendable_channels=(), rejected=(RejectedChannel(index=3, path="a.b", rule="no number"),))

    async def answer(_lsps7: object) -> ExtendableChannels:
        return bad

    monkeypatch.setattr(Lsps7, "get_extendable_channels", answer)
    result = await shop.run("leases", "--lsp", shop.lsp)
    assert (result.code, result.out) == (0, "")
    assert "entry 3 of" in result.err
    assert "a.b: no number" in result.err
    assert "no channel that can be extended" in result.err


async def test_options_that_break_the_specification_are_told(shop: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """`lsps info` must say which rule an LSP's options break, and show them all the same (bLIP-51 §1)."""
    assert OFFER.lsps1 is not None
    broken = structs.replace(OFFER.lsps1.options, max_channel_expiry_blocks=0)

    async def answer(_lsps1: object) -> Any:
        return broken

    monkeypatch.setattr(Lsps1, "get_info", answer)
    result = await shop.run("info", "--lsp", shop.lsp, "--json")
    assert result.code == 0
    assert "max_channel_expiry_blocks must be 1 or greater" in result.err
    assert result.json["lsps1"]["max_channel_expiry_blocks"] == 0


async def test_an_order_whose_reply_was_lost(shop: Town) -> None:
    """An entry without an order id must be shown as unknown, unpaid, expiring."""
    now = datetime.now(UTC) - timedelta(minutes=1)
    journal = open_journal(
        f"sqlite://{shop.terminal.environment['XDG_STATE_HOME']}/lsps/client.db", shop.terminal.directory
    )
    entry = Entry(
        node=OTHER,
        lsp=OTHER,
        method="lsps7.create_order",
        parameters="{}",
        state=EntryState.ASKED,
        created_at=now,
        updated_at=now,
        note="\x1b[31mred",
    )
    await journal.add(entry)
    await journal.close()
    shown = (await shop.run("orders")).out
    assert "unknown, unpaid, expires" in shown
    assert "\x1b" not in shown


async def test_a_narrow_terminal_loses_nothing(shop: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """On 50 columns a table must fold, not cut; order ids stay whole on their lines."""
    monkeypatch.setenv("COLUMNS", "50")
    ordered = await shop.run("extend", shop.scid, "144", "--lsp", shop.lsp, "--no-pay", "--json")
    assert f"    order {ordered.json['order']['order_id']}\n" in (await shop.run("orders")).out
    shell = replace(shop.terminal.shell(), stdout=Screen())
    assert await execute(parser().parse_args(["leases"]), shell) == 0
    shown = read(shell.stdout)
    for text in (shop.scid, "(365", "2\u202f000\u202f000", str(shop.net.nodes.lsp.node_id)[-5:]):
        assert text in shown
