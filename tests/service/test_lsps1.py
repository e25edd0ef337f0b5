"""LSPS1 as a service: what it sells, what it refuses, and what an order says (bLIP-51)."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import replace as options_with

from lsps.lightning import bolt11
from lsps.service.offer import ChannelOffer, Offer
from lsps.units import Msat, Sat
from tests.service.conftest import MakeWorld
from tests.service.peers import CHANNEL_ORDER, Peer, until
from tests.service.world import OFFER, OPTIONS, LspWorld

ADDRESS = "bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080"
MAINNET_ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"


def offering(**changes: Any) -> Offer:
    """The usual offer with other options or terms for channels."""
    return replace(OFFER, lsps1=replace(OFFER.lsps1 or ChannelOffer(OPTIONS), **changes))


async def refused(peer: Peer, **changes: Any) -> Any:
    return await peer.refused("lsps1.create_order", CHANNEL_ORDER | changes)


# --- get_info -------------------------------------------------------------------------------------------------------


async def test_get_info_tells_every_option(alice: Peer) -> None:
    """bLIP-51 §1: get_info lists all options, amounts as strings, counts as numbers."""
    info = await alice.call("lsps1.get_info")
    assert info == {
        "min_required_channel_confirmations": 0,
        "min_funding_confirms_within_blocks": 2,
        "supports_zero_channel_reserve": False,
        "max_channel_expiry_blocks": 50_000,
        "min_initial_client_balance_sat": "0",
        "max_initial_client_balance_sat": "1000000",
        "min_initial_lsp_balance_sat": "100000",
        "max_initial_lsp_balance_sat": "10000000",
        "min_channel_balance_sat": "150000",
        "max_channel_balance_sat": "10500000",
    }


# --- create_order ---------------------------------------------------------------------------------------------------


async def test_an_order_mirrors_its_request(world: LspWorld, alice: Peer) -> None:
    """bLIP-51 §2: an order mirrors its request, token "" when none was given; CREATED, channel null, a UUIDv4 as id."""
    order = await alice.order_channel()
    assert {name: order[name] for name in CHANNEL_ORDER} == CHANNEL_ORDER
    assert (order["token"], order["order_state"], order["channel"]) == ("", "CREATED", None)
    assert uuid.UUID(order["order_id"]).version == 4
    assert order["created_at"] == "2026-01-01T00:00:00.000Z"
    assert await alice.order(order) == order


async def test_the_payment_adds_up_and_its_invoice_is_held(world: LspWorld, alice: Peer) -> None:
    """bLIP-51 §3.1: order_total is fee plus client balance, and the invoice a HOLD invoice of exactly that, which asks
    for 144 blocks; on-chain payment is left out when no refund address was given."""
    order = await alice.order_channel()
    assert set(order["payment"]) == {"bolt11"}
    payment = order["payment"]["bolt11"]
    total = int(payment["order_total_sat"])
    assert total == int(payment["fee_total_sat"]) + 20_000
    assert payment["state"] == "EXPECT_PAYMENT"
    invoice = bolt11.decode(payment["invoice"])
    assert (invoice.amount, invoice.payee) == (Msat(total * 1000), world.lsp.node_id)
    assert invoice.min_final_cltv_expiry == 144
    assert datetime.fromisoformat(payment["expires_at"]) == world.clock.now() + timedelta(hours=1)
    assert len(payment["invoice"]) <= 2048


async def test_the_price_is_the_table_and_the_estimated_opening_fee(alice: Peer) -> None:
    """An order costs base, rate times LSP balance times blocks a year, and the on-chain fee, each rounded up."""
    order = await alice.order_channel()
    lease = -(-30_000 * 1_000_000 * 1000 // (52_560 * 1_000_000))
    assert int(order["payment"]["bolt11"]["fee_total_sat"]) == 2_000 + lease + 900


@pytest.mark.parametrize(
    ("option", "changes"),
    [
        ("min_funding_confirms_within_blocks", {"funding_confirms_within_blocks": 1}),
        ("max_channel_expiry_blocks", {"channel_expiry_blocks": 50_001}),
        ("max_initial_client_balance_sat", {"client_balance_sat": "1000001"}),
        ("min_initial_lsp_balance_sat", {"lsp_balance_sat": "99999"}),
        ("max_initial_lsp_balance_sat", {"lsp_balance_sat": "10000001"}),
        ("min_channel_balance_sat", {"lsp_balance_sat": "100000", "client_balance_sat": "0"}),
        ("max_channel_balance_sat", {"lsp_balance_sat": "10000000", "client_balance_sat": "500001"}),
    ],
)
async def test_outside_an_option_is_100_with_its_name(alice: Peer, option: str, changes: dict[str, object]) -> None:
    """bLIP-51 §2: an order outside the options MUST be refused with 100 and the option as property."""
    error = await refused(alice, **changes)
    assert (error["code"], error["data"]["property"]) == (100, option)
    assert error["data"]["message"] in error["message"]


@pytest.mark.parametrize(
    ("option", "changes"),
    [
        ("min_required_channel_confirmations", {"required_channel_confirmations": 0}),
        ("min_initial_client_balance_sat", {"client_balance_sat": "0"}),
    ],
)
async def test_below_a_minimum_above_zero_is_100(
    make_world: MakeWorld, option: str, changes: dict[str, object]
) -> None:
    """bLIP-51 §2: minimums of an offer that are above zero are held like all options."""
    options = options_with(OPTIONS, min_required_channel_confirmations=1, min_initial_client_balance_sat=Sat(1))
    async with make_world(offer=offering(options=options), channels=False) as world:
        error = await refused(world.peers[0], **changes)
    assert (error["code"], error["data"]["property"]) == (100, option)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lsp_balance_sat", 1_000_000),
        ("lsp_balance_sat", "0"),
        ("lsp_balance_sat", "-5"),
        ("client_balance_sat", "18446744073709551616"),
        ("required_channel_confirmations", 65_536),
        ("required_channel_confirmations", -1),
        ("funding_confirms_within_blocks", "6"),
        ("channel_expiry_blocks", 0),
        ("channel_expiry_blocks", 4_294_967_296),
        ("announce_channel", "yes"),
        ("token", 7),
        ("refund_onchain_address", "nowhere"),
        ("refund_onchain_address", MAINNET_ADDRESS),
    ],
)
async def test_a_wrong_field_is_32602_with_its_name(alice: Peer, name: str, value: object) -> None:
    """bLIP-51 §2: an invalid request field MUST be refused with -32602, that field as property; bLIP-50:
    `unrecognized` is there, though empty."""
    error = await refused(alice, **{name: value})
    assert (error["code"], error["data"]["property"], error["data"]["unrecognized"]) == (-32602, name, [])
    assert error["data"]["message"]


@pytest.mark.parametrize("name", sorted(CHANNEL_ORDER))
async def test_a_missing_field_is_32602_with_its_name(alice: Peer, name: str) -> None:
    """bLIP-51 §2: every field but token and refund address is required."""
    params = {key: value for key, value in CHANNEL_ORDER.items() if key != name}
    error = await alice.refused("lsps1.create_order", params)
    assert (error["code"], error["data"]["property"]) == (-32602, name)


async def test_unknown_parameters_are_named_but_client_info_is_let_pass(alice: Peer) -> None:
    """bLIP-50, Versioning: unknown parameters are refused by name, but for the client_info that a wallet adds."""
    error = await refused(alice, client_info={"app": "wallet"}, future=1)
    assert (error["code"], error["data"]["unrecognized"]) == (-32602, ["future"])
    assert (await alice.order_channel(client_info={"app": "wallet"}))["order_state"] == "CREATED"


@pytest.mark.parametrize("empty", ["", None])
async def test_empty_token_and_refund_address_are_as_if_absent(alice: Peer, empty: str | None) -> None:
    """bLIP-51 §2: both may be omitted; wallets send "" or null instead, and the token is then mirrored as ""."""
    order = await alice.order_channel(token=empty, refund_onchain_address=empty)
    assert order["token"] == ""
    assert set(order["payment"]) == {"bolt11"}


async def test_a_refund_address_of_this_network_is_taken(alice: Peer) -> None:
    """bLIP-51 §2: a valid refund address is no reason to refuse."""
    assert (await alice.order_channel(refund_onchain_address=ADDRESS))["order_state"] == "CREATED"


# --- get_order ------------------------------------------------------------------------------------------------------


async def test_another_peers_order_does_not_exist(make_world: MakeWorld) -> None:
    """bLIP-51 §2.1: 101 for an unknown order; another's, and one of another service, are answered just the same."""
    async with make_world(clients=2) as world:
        alice, bob = world.peers
        channel, extension = await alice.order_channel(), await alice.order_extension()
        answers = [
            await bob.refused("lsps1.get_order", {"order_id": channel["order_id"]}),
            await alice.refused("lsps1.get_order", {"order_id": extension["order_id"]}),
            await alice.refused("lsps1.get_order", {"order_id": "no such order"}),
        ]
    assert answers[0]["code"] == 101
    assert answers[0] == answers[1] == answers[2]


async def test_the_channel_is_told_once_its_funding_is_published(world: LspWorld, alice: Peer) -> None:
    """bLIP-51 §4: funded_at, funding_outpoint and expires_at as soon as it is published; expires_at respects
    channel_expiry_blocks."""
    order = await alice.order_channel()
    payment = alice.pay(order)
    await until(payment.done)
    told = await alice.order(order)
    (channel,) = await world.lsp_channels()
    assert told["channel"]["funding_outpoint"] == str(channel.funding)
    assert told["channel"]["funded_at"] == "2026-01-01T00:00:00.000Z"
    expires_at = datetime.fromisoformat(told["channel"]["expires_at"])
    assert expires_at == world.clock.now() + timedelta(seconds=600 * (6 + 1000))


async def test_an_extension_moves_the_channels_expires_at(world: LspWorld, alice: Peer) -> None:
    """bLIP-51 §4: expires_at MUST respect the blocks bought, so an LSPS7 extension moves it, and only later."""
    sold = await world.sell_channel(alice)
    before = datetime.fromisoformat(sold["channel"]["expires_at"])
    (channel,) = await world.lsp_channels()
    payment = alice.pay(await alice.order_extension(5_000, channel.scid))
    await until(payment.done)
    after = datetime.fromisoformat((await alice.order(sold))["channel"]["expires_at"])
    assert after - before >= timedelta(seconds=600 * 4_990)


async def test_get_order_asks_no_node(world: LspWorld, alice: Peer) -> None:
    """get_order is answered from the store alone: a node that answers nothing else than messages does not matter."""
    order = await alice.order_channel()
    for call in ("invoices.lookup", "channels.list", "info"):
        world.faults.hang_next(world.lsp.node_id, call, times=5)
    assert (await alice.order(order))["order_id"] == order["order_id"]
