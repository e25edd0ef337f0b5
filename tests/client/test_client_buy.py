"""Buying a channel: what must hold before anything is paid, and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lsps.client.errors import (
    LspRefused,
    NotDelivered,
    OptionMismatch,
    ParamsRefused,
    RuleViolated,
    TokenRefused,
)
from lsps.client.terms import Offer
from lsps.node.contract import ChannelState, NotSupported, Opener
from lsps.node.simulated.lightning_node import Policy
from lsps.store.journal import EntryState
from lsps.units import Msat, Outpoint, Sat
from tests.client.fake_lsp import FEE, Json, Shop, shop
from tests.client.fakes import patch

SIZE = Sat(200_000)
LIMIT = Sat(FEE)
LARGE = Sat(16_777_216)
ORDINARY: Json = {"lsp_balance": SIZE, "expiry_blocks": 144, "max_fee": LIMIT}


async def test_a_channel_is_bought_and_seen() -> None:
    """get_info first (bLIP-51 §1, MUST), one order, one payment, and the channel as our own node lists it."""
    async with shop() as market, market.client() as lsp:
        bought = await lsp.lsps1.buy(lsp_balance=SIZE, client_balance=Sat(30_000), expiry_blocks=144, max_fee=LIMIT)
        assert market.lsp.methods()[:2] == ["lsps1.get_info", "lsps1.create_order"]
        assert bought.channel is not None
        assert bought.channel.capacity == Sat(230_000)
        assert bought.channel.pushed == Sat(30_000)
        assert bought.channel.private
        assert (bought.channel.peer, bought.channel.opener) == (lsp.node_id, Opener.PEER)
        assert await market.spent() == Sat(30_000 + FEE).to_msat()
        assert market.journal.states() == [EntryState.COMPLETED]


async def test_an_announced_channel_is_announced() -> None:
    """bLIP-51 §4.1: announce_channel is sent, and what is delivered matches it."""
    async with shop() as market, market.client() as lsp:
        bought = await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, announce=True, max_fee=LIMIT)
        assert market.lsp.requests[1][1]["announce_channel"] is True
        assert bought.channel is not None
        assert not bought.channel.private


async def test_the_request_has_what_was_asked_and_the_lsps_least() -> None:
    """bLIP-51 §2: amounts as strings; confirmations 1 and funding in 6 blocks unless the LSP needs more."""
    async with shop() as market, market.client() as lsp:
        market.lsp.options |= {"min_required_channel_confirmations": 3, "min_funding_confirms_within_blocks": 12}
        market.lsp.instead["lsps1.create_order"] = lambda _: {"error": {"code": 1, "message": "no"}}
        with pytest.raises(LspRefused):
            await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=LIMIT, token="")
        assert market.lsp.requests[1][1] == {
            "lsp_balance_sat": "200000",
            "client_balance_sat": "0",
            "required_channel_confirmations": 3,
            "funding_confirms_within_blocks": 12,
            "channel_expiry_blocks": 144,
            "announce_channel": False,
        }


async def test_a_zero_conf_channel_is_accepted_while_it_is_bought_only() -> None:
    """Our node accepts the LSP's 0-conf channel from before paying until it is seen, and not after."""
    async with shop() as market, market.client() as lsp:
        offers = market.net.world.nodes[market.net.clients[0].node_id].zero_conf_offers
        during: list[int] = []

        async def yes(_: Offer) -> bool:
            during.append(len(offers))
            return True

        bought = await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, zero_conf=True, max_fee=LIMIT, confirm=yes)
        assert market.lsp.requests[1][1]["required_channel_confirmations"] == 0
        assert bought.channel is not None
        assert bought.channel.zero_conf
        assert (during, len(offers)) == ([1], 0)


async def test_an_ordinary_purchase_accepts_no_zero_conf_channel() -> None:
    """The acceptor is entered for 0 confirmations alone."""
    async with shop() as market, market.client() as lsp:
        offers = market.net.world.nodes[market.net.clients[0].node_id].zero_conf_offers

        async def look(_: Offer) -> bool:
            return not offers

        await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=LIMIT, confirm=look)


@pytest.mark.parametrize(
    ("option", "value", "wish"),
    [
        ("min_initial_lsp_balance_sat", "200001", {}),
        ("max_initial_lsp_balance_sat", "199999", {}),
        ("min_initial_client_balance_sat", "1", {}),
        ("max_initial_client_balance_sat", "9", {"client_balance": Sat(10)}),
        ("min_channel_balance_sat", "200001", {}),
        ("max_channel_balance_sat", "199999", {}),
        ("max_channel_expiry_blocks", 143, {}),
        ("min_required_channel_confirmations", 1, {"zero_conf": True}),
        ("min_funding_confirms_within_blocks", 7, {"funding_confirms_within_blocks": 6}),
    ],
)
async def test_what_the_lsp_does_not_sell_is_not_ordered(option: str, value: object, wish: Json) -> None:
    """bLIP-51 §2: an order outside the options of get_info is refused here, with the option's name."""
    async with shop() as market, market.client() as lsp:
        market.lsp.options[option] = value
        with pytest.raises(OptionMismatch, match="nothing was ordered") as refused:
            await lsp.lsps1.buy(**(ORDINARY | wish))
        assert refused.value.option == option
        assert market.lsp.methods() == ["lsps1.get_info"]
        assert market.journal.entries == {}


@pytest.mark.parametrize(
    ("wish", "name"),
    [
        ({"lsp_balance": Sat(0)}, "lsp_balance_sat"),
        ({"expiry_blocks": 0}, "channel_expiry_blocks"),
        ({"refund_address": "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"}, "refund_onchain_address"),
    ],
)
async def test_impossible_parameters_are_not_ordered(wish: Json, name: str) -> None:
    """bLIP-51 §2: absolute bounds, and an address of our own network."""
    async with shop() as market, market.client() as lsp:
        with pytest.raises(ParamsRefused) as refused:
            await lsp.lsps1.buy(**(ORDINARY | wish))
        assert refused.value.property_name == name
        assert market.orders_asked() == 0


async def test_options_that_contradict_themselves_are_not_ordered_from() -> None:
    """bLIP-51 §1: every min/max pair MUST ensure min <= max."""
    async with shop() as market, market.client() as lsp:
        market.lsp.options["min_channel_balance_sat"] = "30000001"
        with pytest.raises(RuleViolated, match="option_pair"):
            await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=LIMIT)
        assert market.orders_asked() == 0


async def test_a_large_channel_needs_the_feature() -> None:
    """bLIP-51 §2: the client MUST check option_support_large_channel; without it nothing is ordered."""
    async with shop() as market, market.client() as lsp:
        with pytest.raises(NotSupported, match="option_support_large_channel"):
            await lsp.lsps1.buy(lsp_balance=LARGE, expiry_blocks=144, max_fee=LIMIT)
        assert market.orders_asked() == 0


async def test_both_sides_need_the_large_channel_feature() -> None:
    """The LSP's init features count too, and the error says which side lacks it."""
    async with shop(Policy(large_channels=True)) as market, market.client() as lsp:
        market.net.world.nodes[market.net.lsp.node_id].features = frozenset()
        with pytest.raises(NotSupported, match="which the LSP does"):
            await lsp.lsps1.buy(lsp_balance=LARGE, expiry_blocks=144, max_fee=LIMIT)
        assert market.orders_asked() == 0


async def test_with_the_feature_a_large_channel_is_ordered() -> None:
    """16,777,216 sat go through where both sides can."""
    async with shop(Policy(large_channels=True)) as market, market.client() as lsp:
        bought = await lsp.lsps1.buy(lsp_balance=LARGE, expiry_blocks=144, max_fee=LIMIT)
        assert bought.channel is not None


async def test_the_largest_ordinary_channel_needs_no_feature() -> None:
    """16,777,215 sat are ordinary (BOLT 9)."""
    async with shop() as market, market.client() as lsp:
        bought = await lsp.lsps1.buy(lsp_balance=Sat(16_777_215), expiry_blocks=144, max_fee=LIMIT)
        assert bought.channel is not None


async def test_a_refused_token_is_told_without_showing_it() -> None:
    """Error 102; neither the error nor the journal has the token."""
    async with shop() as market, market.client() as lsp:
        market.lsp.instead["lsps1.create_order"] = lambda _: {"error": {"code": 102, "message": "stale"}}
        with pytest.raises(TokenRefused) as refused:
            await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=LIMIT, token="SECRETCODE")
        assert market.lsp.requests[1][1]["token"] == "SECRETCODE"
        assert "SECRETCODE" not in str(refused.value)
        assert market.journal.states() == [EntryState.FAILED]


MIRRORED = [
    ("lsp_balance_sat", "199999"),
    ("client_balance_sat", "1"),
    ("required_channel_confirmations", 2),
    ("funding_confirms_within_blocks", 7),
    ("channel_expiry_blocks", 143),
    ("announce_channel", True),
    ("token", "OTHER"),
]


@pytest.mark.parametrize(("name", "value"), MIRRORED, ids=[name for name, _ in MIRRORED])
async def test_an_order_that_is_not_what_was_asked_is_not_paid(name: str, value: object) -> None:
    """bLIP-51 §2: every parameter is mirrored."""
    async with shop() as market, market.client() as lsp:
        market.lsp.change["lsps1.create_order"] = lambda order: order | {name: value}
        with pytest.raises(RuleViolated) as stopped:
            await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=Sat(FEE * 10))
        assert ("mirror", name) in {(broken.rule, broken.path) for broken in stopped.value.violations}
        assert await market.sent() == []
        assert market.journal.states() == [EntryState.ABANDONED]


def asks_for_more(order: Json) -> Json:
    """The fee stays, the total and the invoice do not: the payer would give more than both."""
    order["payment"]["bolt11"]["order_total_sat"] = "50000"
    return order


async def test_the_total_is_fee_and_client_balance() -> None:
    """bLIP-51 §3.1: order_total_sat MUST be fee_total_sat plus client_balance_sat, and the invoice asks for it."""
    async with shop() as market, market.client() as lsp:
        market.lsp.change["lsps1.create_order"] = lambda order: market.lsp.reinvoice(
            asks_for_more(order), amount=Msat(50_000_000)
        )
        with pytest.raises(RuleViolated) as stopped:
            await lsp.lsps1.buy(lsp_balance=SIZE, client_balance=Sat(30_000), expiry_blocks=144, max_fee=Sat(50_000))
        assert [broken.rule for broken in stopped.value.violations] == ["order_total"]
        assert await market.sent() == []


async def test_a_channel_before_the_payment_is_a_violation() -> None:
    """bLIP-51 §4: channel MUST be null until its funding transaction is published."""
    channel = {
        "funded_at": "2026-01-01T00:00:00.000Z",
        "funding_outpoint": "00" * 32 + ":0",
        "expires_at": "2027-01-01T00:00:00.000Z",
    }
    async with shop() as market, market.client() as lsp:
        market.lsp.change["lsps1.create_order"] = lambda order: order | {"channel": channel}
        with pytest.raises(RuleViolated) as stopped:
            await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=LIMIT)
        assert [broken.rule for broken in stopped.value.violations] == ["channel"]


@pytest.mark.parametrize(
    ("opened", "said"),
    [
        ({"capacity": Sat(229_999)}, "capacity is 229999 sat, not 230000"),
        ({"push": Sat(29_999)}, "29999 sat were given to this side, not 30000"),
        ({"private": False}, "it is announced"),
    ],
)
@pytest.mark.parametrize("confirmed", [True, False])
async def test_a_channel_that_is_not_what_was_ordered_is_not_delivered(
    opened: Json, said: str, confirmed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """bLIP-51 §4.1: capacity, pushed balance and announcement, looked at in our own node, pending or open."""
    async with shop() as market, market.client() as lsp:
        if not confirmed:
            monkeypatch.setattr(market.net.world.chain, "mine", lambda blocks=1: None)
        market.lsp.open_with = opened
        with pytest.raises(NotDelivered, match=said):
            await lsp.lsps1.buy(lsp_balance=SIZE, client_balance=Sat(30_000), expiry_blocks=144, max_fee=LIMIT)
        states = {channel.state for channel in await market.net.clients[0].channels.list()}
        assert (ChannelState.PENDING in states) is not confirmed
        assert market.journal.states() == [EntryState.NOT_DELIVERED]


def change_funding(outpoint: Callable[[Shop], str]) -> Callable[[Shop], Callable[[Json], Any]]:
    def for_market(market: Shop) -> Callable[[Json], Any]:
        def change(order: Json) -> Json:
            if order["channel"] is not None:
                order["channel"]["funding_outpoint"] = outpoint(market)
            return order

        return change

    return for_market


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (change_funding(lambda _: "ab" * 32 + ":0"), "no channel with the funding outpoint"),
        (change_funding(lambda market: str(market.channel.funding)), "no channel that the LSP opened"),
        (lambda _: lambda order: order | {"channel": None}, "names no channel"),
    ],
    ids=["unknown", "a channel of our own", "none"],
)
async def test_completed_without_a_channel_of_ours_is_not_delivered(
    change: Callable[[Shop], Callable[[Json], Any]], said: str
) -> None:
    """COMPLETED is not believed: the outpoint must be a channel that the LSP opened to us."""
    async with shop() as market, market.client() as lsp:
        market.lsp.change["lsps1.get_order"] = change(market)
        with pytest.raises(NotDelivered, match=said) as lost:
            await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=LIMIT)
        assert lost.value.order_id == "order-1"


async def test_a_channel_that_appears_late_is_waited_for() -> None:
    """Our own node may see the channel a little after the LSP says COMPLETED."""
    async with shop() as market, market.client() as lsp:
        node = market.net.clients[0]
        everything, started = node.channels.list, market.net.clock.now()

        async def late() -> Any:
            listed = await everything()
            young = (market.net.clock.now() - started).total_seconds() < 30
            return [channel for channel in listed if not young or channel.opener is Opener.US]

        patch(node.channels, "list", late)
        bought = await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=LIMIT)
        assert bought.channel is not None


async def test_a_channel_that_is_spliced_at_once_is_seen() -> None:
    """A splice gives a channel another funding outpoint before we looked: it is still the channel that was bought."""
    async with shop() as market, market.client() as lsp:
        deliver = market.lsp.deliver

        async def splice(order_id: str) -> None:
            await deliver(order_id)
            funding = Outpoint.parse(market.lsp.orders[order_id]["channel"]["funding_outpoint"])
            market.net.world.graph.splice(funding.channel_id(), market.net.lsp.node_id, 50_000)
            market.net.mine()

        patch(market.lsp, "deliver", splice)
        bought = await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=LIMIT)
        assert bought.order.channel is not None
        assert bought.channel is not None
        assert bought.channel.funding != bought.order.channel.funding_outpoint


async def test_overprovisioning_is_fine() -> None:
    """bLIP-51, Overprovisioning: more capacity and a larger push benefit the client."""
    async with shop() as market, market.client() as lsp:
        market.lsp.open_with = {"capacity": Sat(300_000), "push": Sat(40_000)}
        bought = await lsp.lsps1.buy(lsp_balance=SIZE, client_balance=Sat(30_000), expiry_blocks=144, max_fee=LIMIT)
        assert bought.channel is not None
        assert bought.channel.pushed == Sat(40_000)


async def test_a_channel_is_delivered_for_one_order_alone() -> None:
    """An LSP that names the channel of an earlier order delivers nothing for the second payment."""
    async with shop() as market, market.client() as lsp:
        first = await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=LIMIT)
        assert first.channel is not None
        earlier = first.channel.funding
        market.lsp.change["lsps1.get_order"] = change_funding(lambda _: str(earlier))(market)
        with pytest.raises(NotDelivered, match="delivered for order order-1 already"):
            await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=LIMIT)
        market.lsp.change.clear()
        third = await lsp.lsps1.buy(lsp_balance=SIZE, expiry_blocks=144, max_fee=LIMIT)
        assert third.channel is not None
        assert third.channel.funding != earlier
