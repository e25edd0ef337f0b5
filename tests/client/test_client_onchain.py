"""Paying on-chain, at a service that takes it: exact, failing, killed anywhere, reorganised, replaced."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lsps.client.errors import (
    FundsMissing,
    NotPayable,
    OnchainFeeTooHigh,
    OrderFailed,
    OrderInFlight,
    PaidNotDelivered,
    PaymentFailed,
)
from lsps.client.terms import Offer, OnchainCost, Step
from lsps.node.contract import NodeUnreachable, PaymentStatus, PermissionMissing, Refused
from lsps.protocol.payment import PaymentState
from lsps.store.journal import EntryState, OnchainTransaction
from lsps.testing import QUICK
from lsps.units import BlockHeight, Sat
from tests.client.fakes import patch
from tests.client.onchain import BLOCKS, FEE, Market, market


class Killed(BaseException):
    """The process died."""


def dies_at(place: str) -> Callable[[str], None]:
    def failpoint(name: str) -> None:
        if name == place:
            raise Killed(name)

    return failpoint


async def killed_at(shop: Market, place: str, **wish: Any) -> None:
    with pytest.raises(Killed):
        await shop.buy(dies_at(place), **wish)


# --- as it should be ------------------------------------------------------------------------------------------------


async def test_a_channel_is_bought(tmp_path: Path) -> None:
    """order_total_sat is paid to the address in one transaction, and the channel is there (bLIP-51 §3.3, §4.1)."""
    async with market(tmp_path) as shop, shop.blocks():
        before = await shop.funds()
        bought = await shop.buy()
        assert bought.channel is not None
        assert bought.payment is None
        assert bought.order.payment.onchain.state is PaymentState.PAID
        assert bought.transaction.paid == FEE
        assert await shop.paid_to_the_lsp() == [FEE]
        assert before - await shop.funds() == FEE + bought.transaction.fee
        assert await shop.states() == [EntryState.COMPLETED]
        assert Step.PUBLISHED in shop.told()


async def test_a_lease_is_extended(tmp_path: Path) -> None:
    """LSPS7 is paid the same way (bLIP-57 §4)."""
    async with market(tmp_path) as shop, shop.blocks():
        extended = await shop.extend()
        assert extended.delivered
        assert extended.listed.expiration_block == extended.order.new_channel_expiry_block
        assert extended.transaction.paid == FEE
        assert await shop.paid_to_the_lsp() == [FEE]


async def test_the_refund_address_is_a_new_one_of_our_own(tmp_path: Path) -> None:
    """bLIP-51 §3.3: without a refund address there is no on-chain option. Each order gets a new one of the wallet, in
    the journal but in no wish, so that a later run finds the same wish again."""
    async with market(tmp_path) as shop, shop.blocks():
        one, other = await shop.buy(), await shop.extend()
        addresses = [bought.order.payment.onchain.refund_onchain_address for bought in (one, other)]
        assert len(set(addresses)) == 2
        assert all(shop.net.nodes.world.owners[address] == shop.node.node_id for address in addresses)
        entries = await shop.journal.newest(2)
        assert [entry.refund_address for entry in reversed(entries)] == addresses
        assert not any(address in entry.parameters for address in addresses for entry in entries)


async def test_a_given_refund_address_is_the_one(tmp_path: Path) -> None:
    """`refund_address` goes to the LSP as it was given, and none is made."""
    async with market(tmp_path) as shop, shop.blocks():
        address = shop.net.nodes.world.payer.new_address()
        bought = await shop.buy(refund_address=address)
        assert bought.order.payment.onchain.refund_onchain_address == address
        assert (await shop.journal.newest(1))[0].refund_address == ""


async def test_the_payer_sees_what_the_transaction_costs(tmp_path: Path) -> None:
    """The question comes with the transaction's exact fee; a no signs nothing away."""
    asked: list[Offer] = []

    async def no(offer: Offer) -> bool:
        asked.append(offer)
        return len(asked) > 1

    async with market(tmp_path) as shop, shop.blocks():
        before = await shop.funds()
        with pytest.raises(Exception, match="declined"):
            await shop.buy(confirm=no)
        assert await shop.funds() == before
        bought = await shop.buy(confirm=no)
        cost = asked[1].cost
        assert isinstance(cost, OnchainCost)
        assert (cost.transaction_fee, cost.confirmations) == (bought.transaction.fee, 1)
        assert cost.address == bought.order.payment.onchain.address


async def test_the_transaction_is_in_the_journal_before_it_is_published(tmp_path: Path) -> None:
    """Signed, kept, published: in this order, or a crash could pay twice."""
    async with market(tmp_path) as shop, shop.blocks():
        await killed_at(shop, "client_signed")
        kept = await shop.transaction()
        assert await shop.states() == [EntryState.PAYING]
        assert not shop.net.nodes.world.chain.knows(kept.txid)
        await killed_at(shop, "client_completed")
        assert shop.net.nodes.world.chain.knows(kept.txid)


async def test_zero_conf(tmp_path: Path) -> None:
    """bLIP-51 §3.3: with min_onchain_payment_confirmations 0 it counts at once when it pays more than
    min_fee_for_0conf, which the client sees to."""
    async with market(tmp_path, min_onchain_payment_confirmations=0) as shop:
        least = 3_000
        shop.net.nodes.world.chain.sat_per_kw = least

        async def cheap(_: int) -> int:
            return 300

        patch(shop.node.wallet, "feerate", cheap)
        extended = await shop.extend()
        assert extended.delivered
        assert extended.order.payment.onchain.min_fee_for_0conf == least
        [deposit] = [
            deposit
            for deposit in await shop.net.nodes.lsp.wallet.deposits(shop.channel_height())
            if deposit.outpoint.txid == extended.transaction.txid
        ]
        assert deposit.height is None
        assert (deposit.sat_per_kw or 0) > least


# --- limits ---------------------------------------------------------------------------------------------------------


async def test_the_fee_of_the_transaction_is_bounded(tmp_path: Path) -> None:
    """`max_onchain_fee`, by default 1 % of the total and 5,000 sat: above it nothing is paid."""
    async with market(tmp_path) as shop:
        before = await shop.funds()
        fee = Sat(617)
        with pytest.raises(OnchainFeeTooHigh, match="617 sat"):
            await shop.extend(max_onchain_fee=fee - Sat(1))
        shop.net.nodes.world.chain.sat_per_kw = 9_000
        with pytest.raises(OnchainFeeTooHigh, match="limit of 5200 sat"):
            await shop.extend()
        shop.net.nodes.world.chain.sat_per_kw = 1_000
        assert await shop.funds() == before
        assert await shop.states() == [EntryState.ABANDONED, EntryState.ABANDONED]
        async with shop.blocks():
            extended = await shop.extend(max_onchain_fee=fee)
        assert extended.transaction.fee == fee


async def test_an_empty_wallet_pays_nothing(tmp_path: Path) -> None:
    """Too little in the wallet is said before anything is signed."""
    async with market(tmp_path) as shop:
        shop.net.nodes.world.take_funds(shop.node.node_id)
        shop.net.nodes.mine()
        with pytest.raises(FundsMissing, match="the wallet has 0 sat"):
            await shop.extend()


async def test_an_order_too_small_for_it_is_not_payable(tmp_path: Path) -> None:
    """An LSP may leave the option out (bLIP-51 §3): the reason is said, and nothing is paid."""
    async with market(tmp_path, min_onchain_payment=FEE + Sat(1)) as shop:
        with pytest.raises(NotPayable, match=r"only bolt11.*none so small"):
            await shop.extend()


async def test_inputs_that_are_gone_after_the_question_stop_it(tmp_path: Path) -> None:
    """While a person thinks, the wallet may spend what was to pay."""
    async with market(tmp_path) as shop:

        async def slowly(_: Offer) -> bool:
            shop.net.nodes.world.take_funds(shop.node.node_id)
            return True

        with pytest.raises(FundsMissing, match="meanwhile"):
            await shop.extend(confirm=slowly)
        assert (await shop.journal.newest(1))[0].transaction is None


# --- crashes --------------------------------------------------------------------------------------------------------

PLACES = ["client_ordered", "client_paying", "client_signed", "client_published", "client_paid", "client_completed"]


@pytest.mark.parametrize("place", PLACES)
async def test_a_run_after_a_crash_goes_on_and_pays_once(tmp_path: Path, place: str) -> None:
    """Wherever the client died, the same call again ends the same order, and exactly one payment reached the LSP."""
    async with market(tmp_path) as shop, shop.blocks():
        before = await shop.funds()
        await killed_at(shop, place)
        bought = await shop.buy()
        assert bought.resumed
        assert bought.channel is not None
        assert await shop.paid_to_the_lsp() == [FEE]
        assert before - await shop.funds() == FEE + bought.transaction.fee
        assert await shop.states() == [EntryState.COMPLETED]


@pytest.mark.parametrize("before", [True, False])
async def test_a_node_that_loses_the_answer_pays_once(tmp_path: Path, before: bool) -> None:
    """Whether a publication reached the node or not, the wallet is looked at, and the same transaction sent again."""
    async with market(tmp_path) as shop, shop.blocks():
        shop.net.nodes.world.faults.fail_next(shop.node.node_id, "wallet.publish", before=before)
        bought = await shop.buy()
        assert bought.channel is not None
        assert await shop.paid_to_the_lsp() == [FEE]


async def test_an_order_that_is_being_paid_blocks_another(tmp_path: Path) -> None:
    """`new` orders again only when nothing is in flight: from paying to the LSP's final state."""
    async with market(tmp_path) as shop:
        await killed_at(shop, "client_signed")
        with pytest.raises(OrderInFlight):
            await shop.buy(new=True)
        assert await shop.states() == [EntryState.PAYING]
        async with shop.blocks():
            assert (await shop.buy()).resumed


async def test_the_way_to_pay_is_no_part_of_the_wish(tmp_path: Path) -> None:
    """An order paid on-chain is followed, whatever way the next run would have paid."""
    async with market(tmp_path) as shop, shop.blocks():
        await killed_at(shop, "client_published")
        bought = await shop.buy(pay_with="bolt11")
        assert bought.resumed
        assert bought.payment is None
        assert bought.transaction is not None
        assert await shop.states() == [EntryState.COMPLETED]


async def test_an_unpaid_order_without_the_option_is_replaced(tmp_path: Path) -> None:
    """Ordered to be paid over Lightning, without a refund address: to pay on-chain it is ordered again."""
    async with market(tmp_path) as shop, shop.blocks():
        await killed_at(shop, "client_ordered", pay_with="bolt11")
        bought = await shop.buy()
        assert not bought.resumed
        assert await shop.states() == [EntryState.ABANDONED, EntryState.COMPLETED]
        await killed_at(shop, "client_ordered", new=True)
        again = await shop.buy(pay_with="bolt11")
        assert again.resumed
        assert again.payment.status is PaymentStatus.SUCCEEDED


async def test_two_runs_of_the_same_order_pay_once(tmp_path: Path) -> None:
    """Two processes that resume one order at once send one transaction, and both see its end."""
    async with market(tmp_path) as shop, shop.blocks():
        await killed_at(shop, "client_ordered")
        one, other = await asyncio.gather(shop.buy(), shop.buy())
        assert one.transaction.txid == other.transaction.txid
        assert one.channel.funding == other.channel.funding
        assert await shop.paid_to_the_lsp() == [FEE]


async def test_two_purchases_at_once_spend_different_outputs(tmp_path: Path) -> None:
    """What one order's transaction spends, another's does not."""
    async with market(tmp_path) as shop, shop.blocks():
        bought, extended = await asyncio.gather(shop.buy(), shop.extend())
        assert bought.channel is not None
        assert extended.delivered
        assert set(bought.transaction.inputs).isdisjoint(extended.transaction.inputs)
        assert await shop.paid_to_the_lsp() == [FEE, FEE]


async def test_what_another_order_is_to_be_paid_with_is_left_alone(tmp_path: Path) -> None:
    """Signed, kept and not published yet, of a purchase that died: its inputs are free in the wallet, and not taken."""
    async with market(tmp_path) as shop:
        await killed_at(shop, "client_signed")
        kept = await shop.transaction()
        async with shop.blocks():
            extended = await shop.extend()
            assert set(kept.inputs).isdisjoint(extended.transaction.inputs)
            assert (await shop.buy()).transaction == kept


async def test_nobody_pays_a_higher_fee_than_was_shown(tmp_path: Path) -> None:
    """When other inputs have to be chosen after the question, and fees rose meanwhile: it stops."""
    async with market(tmp_path) as shop:

        async def slowly(_: Offer) -> bool:
            shop.net.nodes.world.chain.sat_per_kw = 2_000
            largest = sorted(await shop.node.wallet.inputs(), key=lambda utxo: (-int(utxo.amount), utxo.outpoint))[0]
            [entry] = await shop.journal.newest(1)
            other = await shop.journal.add(replace(entry, number=0, parameters="{}"))
            taken = OnchainTransaction("11" * 32, b"", FEE, FEE, (largest.outpoint,), BlockHeight(0))
            await shop.journal.keep_transaction(other.number, taken)
            return True

        with pytest.raises(OnchainFeeTooHigh, match="limit of 617 sat"):
            await shop.extend(confirm=slowly)
        assert await shop.states() == [EntryState.ABANDONED, EntryState.PAYING]


async def test_a_wallet_that_cannot_sign_pays_nothing(tmp_path: Path) -> None:
    """The node's reason is said, and nothing is paid."""
    async with market(tmp_path) as shop:
        shop.net.nodes.world.faults.fail_next(shop.node.node_id, "wallet.sign", error=Refused("watch-only"))
        with pytest.raises(FundsMissing, match="nothing was paid: watch-only"):
            await shop.extend()
        assert await shop.states() == [EntryState.ABANDONED]


@pytest.mark.parametrize("elsewhere", [False, True])
async def test_a_wallet_that_may_not_be_used_orders_nothing(tmp_path: Path, elsewhere: bool) -> None:
    """A credential that is too small for the wallet is known before anything is ordered, wherever a refund would go."""
    async with market(tmp_path) as shop:
        address = shop.net.nodes.world.payer.new_address() if elsewhere else None
        shop.net.nodes.world.faults.fail_next(shop.node.node_id, "wallet.inputs", error=PermissionMissing("bake one"))
        with pytest.raises(PermissionMissing, match="bake one"):
            await shop.extend(refund_address=address)
        assert await shop.states() == []


# --- the chain changes its mind -------------------------------------------------------------------------------------


async def test_a_reorganisation_is_waited_through(tmp_path: Path) -> None:
    """The payment's block is gone and the network forgot it: it is there again, and the order is delivered."""
    async with market(tmp_path, min_onchain_payment_confirmations=3) as shop:
        nodes = shop.net.nodes
        buying = asyncio.create_task(shop.extend())
        await shop.until_told(Step.PUBLISHED)
        nodes.mine(2)
        await shop.until_told(Step.CONFIRMING, "2 of 3")
        nodes.world.reorg(2, dropped=[(await shop.transaction()).txid])
        shop.steps.clear()
        async with shop.blocks():
            assert (await buying).delivered
        assert await shop.paid_to_the_lsp() == [FEE]


async def test_a_transaction_that_was_forgotten_is_sent_again(tmp_path: Path) -> None:
    """Killed before it was sent: the next run sends the very same."""
    async with market(tmp_path) as shop:
        await killed_at(shop, "client_signed")
        kept = await shop.transaction()
        async with shop.blocks():
            bought = await shop.buy()
        assert bought.transaction == kept


async def test_a_wallet_that_spent_the_inputs_elsewhere_pays_nothing(tmp_path: Path) -> None:
    """While that could still be undone nothing else is paid; once it is buried the order is given up, and the same
    wish may be ordered anew."""
    async with market(tmp_path) as shop:
        await killed_at(shop, "client_signed")
        nodes = shop.net.nodes
        nodes.world.take_funds(shop.node.node_id)
        for blocks in (0, 1, 4):
            nodes.mine(blocks)
            with pytest.raises(PaidNotDelivered, match="spent what was to pay"):
                await shop.buy()
            assert await shop.states() == [EntryState.PAYING]
            with pytest.raises(OrderInFlight):
                await shop.buy(new=True)
        nodes.mine()
        with pytest.raises(PaymentFailed, match="nothing was paid"):
            await shop.buy()
        assert await shop.states() == [EntryState.FAILED]
        nodes.fund(shop.node, Sat(1_000_000))
        async with shop.blocks():
            bought = await shop.buy()
        assert not bought.resumed
        assert await shop.paid_to_the_lsp() == [FEE]


async def test_our_own_node_may_be_away_for_a_while(tmp_path: Path) -> None:
    """A node that comes back is asked again; one that stays away leaves the order for a later run."""
    async with market(tmp_path) as shop:
        faults, node_id = shop.net.nodes.world.faults, shop.node.node_id
        await killed_at(shop, "client_published")
        faults.fail_next(node_id, "wallet.deposits", error=NodeUnreachable("away"), times=1_000)
        with pytest.raises(PaidNotDelivered, match="went away"):
            await shop.buy(patience=replace(QUICK, own_node=0.1))
        assert await shop.states() == [EntryState.PAYING]
        faults.clear(node_id)
        faults.fail_next(node_id, "wallet.deposits", times=3)
        async with shop.blocks():
            assert (await shop.buy()).resumed


# --- refunds --------------------------------------------------------------------------------------------------------


async def test_an_opening_that_fails_is_refunded(tmp_path: Path) -> None:
    """bLIP-51 §3.3: MUST refund. Followed until it is in a block; the error says what came back and what it cost."""
    async with market(tmp_path) as shop, shop.blocks():
        before = await shop.funds()
        shop.net.nodes.world.faults.refuse_channels(shop.node.node_id)
        with pytest.raises(OrderFailed) as failed:
            await shop.buy()
        own = (await shop.transaction()).fee
        refund = FEE - (before - await shop.funds() - own)
        assert Sat(19_000) < refund < FEE
        assert f"{refund} of the {FEE} sat came back" in str(failed.value)
        assert f"{FEE - refund} sat, which the refund's fee may explain" in str(failed.value)
        assert f"own fee of {own} sat" in str(failed.value)
        assert await shop.states() == [EntryState.FAILED]


async def test_a_refund_is_waited_for_across_a_crash(tmp_path: Path) -> None:
    """Interrupted before the refund is in a block: the same call goes on looking, tells of it, and ends when it is."""
    async with market(tmp_path) as shop:
        shop.net.nodes.world.faults.refuse_channels(shop.node.node_id)
        buying = asyncio.create_task(shop.buy())
        await shop.until_told(Step.PUBLISHED)
        shop.net.nodes.mine()
        await shop.until_told(Step.REFUNDING)
        buying.cancel()
        await asyncio.gather(buying, return_exceptions=True)
        assert await shop.states() == [EntryState.PAYING]
        shop.steps.clear()
        again = asyncio.create_task(shop.buy())
        await shop.until_told(Step.REFUNDING)
        shop.net.nodes.mine()
        with pytest.raises(OrderFailed, match="came back"):
            await again
        assert await shop.states() == [EntryState.FAILED]


async def test_a_refund_elsewhere_is_not_seen(tmp_path: Path) -> None:
    """A refund address of somebody else's: the error says where to look, and that this wallet does not see it."""
    async with market(tmp_path) as shop, shop.blocks():
        shop.net.nodes.world.faults.refuse_channels(shop.node.node_id)
        address = shop.net.nodes.world.payer.new_address()
        with pytest.raises(OrderFailed, match=f"back to {address}, which this wallet does not see"):
            await shop.buy(refund_address=address)


async def test_the_wish_can_be_ordered_again_after_a_refund(tmp_path: Path) -> None:
    """A refunded order is over: the same call makes a new one."""
    async with market(tmp_path) as shop, shop.blocks():
        faults = shop.net.nodes.world.faults
        faults.refuse_channels(shop.node.node_id)
        with pytest.raises(OrderFailed):
            await shop.buy()
        faults.clear(shop.node.node_id)
        bought = await shop.buy()
        assert not bought.resumed
        assert bought.order.channel_expiry_blocks == BLOCKS
        assert await shop.states() == [EntryState.FAILED, EntryState.COMPLETED]
