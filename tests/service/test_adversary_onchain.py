"""Attacks on the service by those who pay it on-chain, and by bad luck: what must hold all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lsps.node.contract import Deposit, InvoiceAlreadySettled, NodeInfo
from lsps.node.simulated.node import SimulatedNode
from lsps.node.simulated.transactions import Output
from lsps.service.offer import PaymentTerms
from lsps.units import BlockHeight, Sat
from tests.service.conftest import MakeWorld
from tests.service.peers import CHANNEL_ORDER, Json, Peer, quiet
from tests.service.test_restore import back_up, restore
from tests.service.world import OFFER, LspWorld

ONCHAIN = replace(OFFER, payment=PaymentTerms(onchain=True, min_onchain_payment=Sat(1_000)))


def refund_address(world: LspWorld) -> str:
    return world.net.world.payer.new_address()


async def order_channel(world: LspWorld, peer: Peer, **changes: Json) -> Json:
    return await peer.order_channel(refund_onchain_address=refund_address(world), **changes)


def onchain(order: Json) -> Any:
    return order["payment"]["onchain"]


async def pay(world: LspWorld, order: Json, *, more: int = 0, blocks: int = 1) -> str:
    """The order's total to its address, and so many blocks."""
    option = onchain(order)
    txid = world.net.world.pay(option["address"], Sat(int(option["order_total_sat"]) + more))
    await quiet()
    if blocks:
        world.mine(blocks)
        await quiet()
    return txid


async def told(peer: Peer, order: Json) -> tuple[str, str]:
    now = await peer.order(order)
    return now["order_state"], onchain(now)["state"]


def spray(world: LspWorld, address: str, count: int, amount: int = 330) -> None:
    """One transaction with so many outputs to the address."""
    world.net.world.payer.pay([Output(Sat(amount), address)] * count, 1_000)


async def test_a_channel_is_sold_on_chain(make_world: MakeWorld) -> None:
    """The story that the attacks start from."""
    async with make_world(offer=ONCHAIN) as world:
        (alice,) = world.peers
        order = await order_channel(world, alice)
        await pay(world, order)
        assert await told(alice, order) == ("COMPLETED", "PAID")
        assert len(await world.lsp_channels()) == 1


# --- what it costs ----------------------------------------------------------------------------------------------------


async def test_dust_costs_the_customer_and_not_the_choice_of_inputs(make_world: MakeWorld) -> None:
    """However many outputs were paid to one address, its order is read once to see which of them are the LSP's own: a
    price of a few hundred sat each must not buy seconds of everybody's time."""
    async with make_world(offer=ONCHAIN) as world:
        (alice,) = world.peers
        order = await order_channel(world, alice)
        world.net.world.take_funds(world.lsp.node_id)
        spray(world, onchain(order)["address"], 300, 50_000)
        world.mine()
        await quiet()
        read: list[str] = []
        order_of_address = world.store.order_of_address

        async def counting(address: str) -> Any:
            read.append(address)
            return await order_of_address(address)

        world.store.order_of_address = counting  # type: ignore[method-assign]
        refusal = await alice.refused("lsps1.create_order", CHANNEL_ORDER)
        assert "no liquidity" in refusal["data"]["message"]
        assert read == [onchain(order)["address"]]
        world.net.fund(world.lsp, Sat(20_000_000))
        await quiet()
        await alice.order_channel()
        assert read.count(onchain(order)["address"]) == 1


async def test_an_old_order_does_not_make_the_wallet_list_its_history(make_world: MakeWorld) -> None:
    """Dust that waits for a block, paid to the address of an order of long ago, is no reason to read the wallet from
    that order's block on, at every tip and every minute."""
    async with make_world(offer=ONCHAIN) as world:
        (alice,) = world.peers
        order = await order_channel(world, alice)
        await pay(world, order)
        assert await told(alice, order) == ("COMPLETED", "PAID")
        world.mine(300)
        await world.pass_time(120)
        heights: list[int] = []
        wallet = world.node.wallet
        assert wallet is not None
        deposits = wallet.deposits

        async def listing(since: BlockHeight) -> Sequence[Deposit]:
            heights.append(int(since))
            return await deposits(since)

        wallet.deposits = listing  # type: ignore[method-assign]
        world.net.world.pay(onchain(order)["address"], Sat(330))
        await quiet()
        await world.pass_time(120)
        assert heights
        assert min(heights) >= world.tip - 150


# --- endless work -----------------------------------------------------------------------------------------------------


async def test_an_effect_whose_outcome_changes_nothing_waits_like_any_other(make_world: MakeWorld) -> None:
    """The invoice beside an on-chain payment was settled in a former life of the store: cancelling it has no outcome
    that moves the completed order. It is tried again later, not without end at once."""
    async with make_world(offer=ONCHAIN) as world:
        (alice,) = world.peers
        tried: list[bytes] = []
        invoices = world.node.invoices
        assert invoices is not None

        async def cancel(payment_hash: bytes) -> None:
            tried.append(payment_hash)
            raise InvoiceAlreadySettled

        invoices.cancel = cancel  # type: ignore[method-assign]
        order = await order_channel(world, alice)
        await pay(world, order)
        assert await told(alice, order) == ("COMPLETED", "PAID")
        await world.pass_time(60)
        before = len(tried)
        await quiet(2_000)
        assert 0 < before < 10
        assert len(tried) == before


# --- an old copy of the store -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("paid", [False, True], ids=["not paid in the copy", "paid in the copy"])
async def test_an_old_copy_opens_no_second_channel(make_world: MakeWorld, tmp_path: Path, paid: bool) -> None:
    """docs/backup.md: a channel sold for an on-chain payment since the copy was made is there at the node, under the
    order's id: it is this order's, with the lease that goes with it, and nothing is opened again."""
    async with make_world(offer=ONCHAIN) as world:
        (alice,) = world.peers
        order = await order_channel(world, alice)
        if paid:
            world.faults.hang_next(world.lsp.node_id, "wallet.inputs")
            await pay(world, order)
            assert await told(alice, order) == ("CREATED", "PAID")
        back_up(tmp_path)
        if not paid:
            await pay(world, order)
        await world.pass_time(90)
        assert await told(alice, order) == ("COMPLETED", "PAID")
        sold = (await alice.order(order))["channel"]["funding_outpoint"]
        await restore(world, tmp_path)
        await world.pass_time(120)
        assert await told(alice, order) == ("COMPLETED", "PAID")
        assert (await alice.order(order))["channel"]["funding_outpoint"] == sold
        assert len(await world.lsp_channels()) == 1
        world.mine()
        await quiet()
        assert len(await world.store.open_leases(None, 10)) == 1


async def test_an_old_copy_sells_nothing_for_what_went_back(make_world: MakeWorld, tmp_path: Path) -> None:
    """The payment came, the opening failed, and the refund is in a block; the copy knows of none of it. The order is
    not delivered for money that is gone, and nothing goes back twice."""
    async with make_world(offer=ONCHAIN) as world:
        (alice,) = world.peers
        order = await order_channel(world, alice)
        back_up(tmp_path)
        world.faults.refuse_channels(alice.node.node_id)
        await pay(world, order)
        await world.pass_time(90)
        world.mine(3)
        await quiet()
        assert await told(alice, order) == ("FAILED", "REFUNDED")
        world.faults.clear(alice.node.node_id)
        await restore(world, tmp_path)
        await world.pass_time(120)
        assert await told(alice, order) == ("CREATED", "EXPECT_PAYMENT")
        await world.pass_time(2 * 86_400)
        assert await told(alice, order) == ("FAILED", "REFUNDED")
        assert not await world.lsp_channels()
        (deposit,) = (await world.stored(order)).onchain.deposits  # type: ignore[union-attr]
        assert deposit.left
        assert not deposit.refunds


# --- a wallet that is behind ------------------------------------------------------------------------------------------


async def test_a_wallet_that_is_catching_up_hides_no_payment(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Node and service were off for days; the node knows the chain's tip at once, its wallet sees the blocks before it
    later. What was paid in them is found then, however deep it is by now."""
    async with make_world(offer=ONCHAIN) as world:
        (alice,) = world.peers
        order = await order_channel(world, alice)
        await world.kill()
        await world.node.close()
        await pay(world, order)
        world.mine(300)
        info, wallet = SimulatedNode.info, type(world.lsp.wallet)

        async def catching_up(node: SimulatedNode) -> NodeInfo:
            return replace(await info(node), synced=False)

        async def nothing_yet(_wallet: object, since: BlockHeight) -> Sequence[Deposit]:
            return ()

        with monkeypatch.context() as patch:
            patch.setattr(SimulatedNode, "info", catching_up)
            patch.setattr(wallet, "deposits", nothing_yet)
            await world.start()
            await world.pass_time(120)
            assert await told(alice, order) == ("CREATED", "EXPECT_PAYMENT")
        await world.pass_time(120)
        assert await told(alice, order) == ("COMPLETED", "PAID")


async def test_a_wallet_that_catches_up_while_it_is_read_hides_no_payment(
    make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wallet has seen all blocks a moment after it was read, and the node says so: what was paid in those blocks is
    found all the same."""
    async with make_world(offer=ONCHAIN) as world:
        (alice,) = world.peers
        order = await order_channel(world, alice)
        await world.kill()
        await world.node.close()
        await pay(world, order)
        world.mine(300)
        wallet = type(world.lsp.wallet)
        info, deposits = SimulatedNode.info, wallet.deposits
        behind = True

        async def as_it_is(node: SimulatedNode) -> NodeInfo:
            return replace(await info(node), synced=not behind)

        async def late(of: object, since: BlockHeight) -> Sequence[Deposit]:
            nonlocal behind
            listed = () if behind else await deposits(of, since)  # type: ignore[arg-type]
            behind = False
            return listed

        monkeypatch.setattr(SimulatedNode, "info", as_it_is)
        monkeypatch.setattr(wallet, "deposits", late)
        await world.start()
        await world.pass_time(300)
        assert await told(alice, order) == ("COMPLETED", "PAID")


# --- refunds ----------------------------------------------------------------------------------------------------------


async def test_a_refund_that_cannot_confirm_is_not_bumped_to_nothing(make_world: MakeWorld) -> None:
    """bLIP-51 §3.3 wants a bump every six hours. A node that is cut off for weeks, or a refund that its receiver pins,
    must not turn the customer's money into fees: half of it goes back in any case."""
    async with make_world(offer=ONCHAIN) as world:
        (alice,) = world.peers
        order = await order_channel(world, alice)
        world.faults.refuse_channels(alice.node.node_id)
        world.net.world.chain.sat_per_kw = 3_000
        await pay(world, order)
        await world.pass_time(60)
        assert await told(alice, order) == ("FAILED", "REFUNDED")
        for _ in range(12):
            await world.pass_time(6 * 3_600 + 60)
        (deposit,) = (await world.stored(order)).onchain.deposits  # type: ignore[union-attr]
        assert len(deposit.refunds) > 5
        assert 2 * int(deposit.refunds[-1].paid) >= int(deposit.amount)
