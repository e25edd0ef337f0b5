"""When an order can be paid on-chain at all, and what is told when it cannot (bLIP-51 §3, §3.3)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lsps.service.offer import Compat, Offer, Token
from lsps.service.pricing import PriceRequest
from lsps.units import NodeId, Sat
from tests.service.conftest import MakeWorld
from tests.service.onchain import DAY, KINDS, audit, price, selling, take_order
from tests.service.peers import CHANNEL_ORDER, Json, Peer
from tests.service.world import LspWorld

METHODS = {"lsps1": "lsps1.create_order", "lsps7": "lsps7.create_order"}


async def asked(world: LspWorld, kind: str, peer: Peer | None = None, **changes: Json) -> Json:
    """The whole reply to a create_order; no refund address unless given."""
    peer = peer or world.peers[0]
    if kind == "lsps1":
        return await peer.ask(METHODS[kind], CHANNEL_ORDER | changes)
    scid = (await peer.extendable())[0]["short_channel_id"]
    params = {"short_channel_id": scid, "channel_extension_expiry_blocks": 144}
    return await peer.ask(METHODS[kind], params | changes)


def address(world: LspWorld) -> str:
    return world.net.world.payer.new_address()


@pytest.mark.parametrize("kind", KINDS)
async def test_the_option_as_it_is_told(make_world: MakeWorld, kind: str) -> None:
    """bLIP-51 §3.3: fee and total, an address of the order's own, a day to pay, the client's refund address mirrored,
    and no min_fee_for_0conf where confirmations are required."""
    async with make_world(offer=selling(), price=price) as world:
        first, second = await take_order(world, kind), await take_order(world, kind)
        bought = 20_000 if kind == "lsps1" else 0
        assert (first.option["fee_total_sat"], first.option["order_total_sat"]) == ("50000", str(50_000 + bought))
        assert first.option["address"] != second.option["address"]
        assert first.option["refund_onchain_address"] == first.refund_address
        assert first.option["state"] == "EXPECT_PAYMENT"
        assert first.option["min_onchain_payment_confirmations"] == 1
        assert first.option.get("min_fee_for_0conf") is None
        stored = await first.stored()
        assert stored.onchain is not None
        assert (stored.onchain.expires_at - stored.created_at).total_seconds() == DAY
        assert "bolt11" in first.order["payment"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nothing", [{}, {"refund_onchain_address": None}, {"refund_onchain_address": ""}])
async def test_without_a_refund_address_there_is_no_option(make_world: MakeWorld, kind: str, nothing: Json) -> None:
    """bLIP-51 §3.3: MUST be omitted if the client gave no refund address; null and "" are none."""
    async with make_world(offer=selling(), price=price) as world:
        payment = (await asked(world, kind, **nothing))["result"]["payment"]
        assert set(payment) == {"bolt11"}


@pytest.mark.parametrize("kind", KINDS)
async def test_without_the_offer_there_is_no_option(make_world: MakeWorld, kind: str) -> None:
    """bLIP-51 §3.3: MUST be omitted if the LSP disabled it; the wallet is not even asked for an address."""
    async with make_world(offer=selling(onchain=False), price=price) as world:
        payment = (await asked(world, kind, refund_onchain_address=address(world)))["result"]["payment"]
        assert set(payment) == {"bolt11"}
        assert int(await world.store.deposits_read_to()) == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("nothing", [{}, {"refund_onchain_address": ""}])
async def test_on_chain_only_needs_a_refund_address(make_world: MakeWorld, kind: str, nothing: Json) -> None:
    """The only way to pay needs it: -32602 that names refund_onchain_address; with it, on-chain is the one option."""
    async with make_world(offer=selling(bolt11=False), price=price) as world:
        error = (await asked(world, kind, **nothing))["error"]
        assert (error["code"], error["data"]["property"]) == (-32602, "refund_onchain_address")
        payment = (await asked(world, kind, refund_onchain_address=address(world)))["result"]["payment"]
        assert set(payment) == {"onchain"}


@pytest.mark.parametrize(("fee", "offered"), [(9_999, False), (10_000, True)])
async def test_too_small_to_be_paid_on_chain(make_world: MakeWorld, fee: int, offered: bool) -> None:
    """Below min_onchain_payment_sat there is no option beside the invoice; without an invoice the order is refused,
    with a reason, and nothing is stored."""

    def cheap(_request: PriceRequest) -> Sat:
        return Sat(fee)

    async with make_world(offer=selling(), price=cheap) as world:
        payment = (await asked(world, "lsps7", refund_onchain_address=address(world)))["result"]["payment"]
        assert set(payment) == ({"bolt11", "onchain"} if offered else {"bolt11"})
        await world.restart(payment=replace(world.offer.payment, bolt11=False))
        reply = await asked(world, "lsps7", refund_onchain_address=address(world))
        assert ("result" in reply) == offered
        if not offered:
            assert (reply["error"]["code"], "10000 sat" in reply["error"]["message"]) == (1, True)
            assert len(await world.store.newest_orders(None, 5)) == 1


async def test_the_whole_price_decides_what_is_too_small(make_world: MakeWorld) -> None:
    """What the customer pays in all counts, the balance it buys included."""

    def cheap(_request: PriceRequest) -> Sat:
        return Sat(500)

    async with make_world(offer=selling(), price=cheap) as world:
        order = await take_order(world, "lsps1", client_balance_sat="20000")
        assert order.total == 20_500


@pytest.mark.parametrize("bad", ["bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "nonsense", 7])
@pytest.mark.parametrize("kind", KINDS)
async def test_a_refund_address_that_is_none(make_world: MakeWorld, kind: str, bad: Json) -> None:
    """An address of another network, or none at all, is refused before anything is made."""
    async with make_world(offer=selling(), price=price) as world:
        error = (await asked(world, kind, refund_onchain_address=bad))["error"]
        assert (error["code"], error["data"]["property"]) == (-32602, "refund_onchain_address")


def for_ldk(world_offer: Offer, peer: NodeId) -> Offer:
    return replace(world_offer, compat=Compat(peers={peer: "ldk"}))


@pytest.mark.parametrize(("confirmations", "offered"), [(0, True), (1, False), (6, False)])
async def test_ldk_is_offered_what_it_can_read(make_world: MakeWorld, confirmations: int, offered: bool) -> None:
    """LDK needs min_fee_for_0conf, which must be null if confirmations are required (bLIP-51 §3.3): left out then."""
    async with make_world(
        offer=selling(min_onchain_payment_confirmations=confirmations), price=price, clients=2
    ) as world:
        ldk, other = world.peers
        await world.restart(compat=for_ldk(world.offer, ldk.node.node_id).compat)
        told = (await asked(world, "lsps7", ldk, refund_onchain_address=address(world)))["result"]["payment"]
        assert ("onchain" in told) == offered
        if offered:
            assert isinstance(told["onchain"]["min_fee_for_0conf"], int)
        told = (await asked(world, "lsps7", other, refund_onchain_address=address(world)))["result"]["payment"]
        assert "onchain" in told


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("call", ["wallet.new_address", "wallet.feerate"])
@pytest.mark.parametrize("how", ["fails", "hangs"])
async def test_a_wallet_that_is_away(make_world: MakeWorld, kind: str, call: str, how: str) -> None:
    """Error 1 "try again" within seconds, nothing stored; the next one succeeds."""
    async with make_world(offer=selling(min_onchain_payment_confirmations=0), price=price) as world:
        (alice,) = world.peers
        faults, lsp = world.faults, world.lsp.node_id
        (faults.fail_next if how == "fails" else faults.hang_next)(lsp, call)
        params = {"refund_onchain_address": address(world)}
        if kind == "lsps1":
            request = await alice.send_request(METHODS[kind], CHANNEL_ORDER | params)
        else:
            scid = (await alice.extendable())[0]["short_channel_id"]
            terms = {"short_channel_id": scid, "channel_extension_expiry_blocks": 144}
            request = await alice.send_request(METHODS[kind], terms | params)
        await world.pass_time(5 if how == "hangs" else 0)
        (reply,) = alice.replies[request]
        assert reply["error"]["code"] == 1
        assert "try again" in reply["error"]["message"]
        assert await world.store.newest_orders(None, 5) == []
        assert (await world.store.unpaid(alice.node.node_id)).in_all == 0
        await take_order(world, kind)
        await audit(world)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_free_order_has_no_option(make_world: MakeWorld, kind: str) -> None:
    """order_total_sat 0: there is nothing to pay, on-chain or otherwise."""
    free = Token("FREE", discount_percent=100)
    async with make_world(offer=replace(selling(), tokens=(free,)), price=price) as world:
        changes: Json = {"token": "FREE", "refund_onchain_address": address(world)}
        if kind == "lsps1":
            changes["client_balance_sat"] = "0"
        assert (await asked(world, kind, **changes))["result"]["payment"] == {}


async def test_each_way_has_its_price(make_world: MakeWorld) -> None:
    """A price function may ask another fee on-chain; each option tells its own."""

    def dearer(request: PriceRequest) -> Sat:
        return Sat(20_000 if request.method == "bolt11" else 25_000)

    async with make_world(offer=selling(), price=dearer) as world:
        order = await take_order(world, "lsps7")
        payment = order.order["payment"]
        assert (payment["bolt11"]["fee_total_sat"], payment["onchain"]["fee_total_sat"]) == ("20000", "25000")
        await order.pay_and_mine()
        assert (await order.books()).earned == 25_000_000
        await audit(world)
