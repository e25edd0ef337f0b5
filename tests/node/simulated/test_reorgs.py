"""What the chain gives it can take: reorganisations, replacements, evictions, double spends, blocks that are full."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from lsps.node.contract import Deposit, Refused, Resumed, Spend
from lsps.node.simulated.chain import AlreadySpent, Output, TooDeep
from lsps.node.simulated.node import SimulatedNode
from lsps.testing import ManualClock, Policy, SimulatedNetwork, simulated_network
from lsps.units import BlockHeight, Outpoint, Sat
from tests.node.contract.environment import listening

EVER = BlockHeight(0)
AMOUNT = Sat(100_000)
Net = SimulatedNetwork[ManualClock]


@pytest.fixture
async def net() -> AsyncIterator[Net]:
    async with simulated_network() as net:
        yield net


async def at(node: SimulatedNode, txid: str) -> Deposit | None:
    return next((one for one in await node.wallet.deposits(EVER) if one.outpoint == Outpoint(txid, 0)), None)


async def height(node: SimulatedNode, txid: str) -> BlockHeight | None:
    """Of a payment that is there; None while it waits for a block."""
    deposit = await at(node, txid)
    assert deposit is not None
    return deposit.height


async def paid(net: Net, *, mined: bool = True) -> str:
    txid = net.pay(await net.lsp.wallet.new_address(), AMOUNT)
    if mined:
        net.mine()
    return txid


async def refund(net: Net, txid: str, sat_per_kw: int = 1_000) -> str:
    """The LSP sends a payment back; returns the transaction's id."""
    return await refund_of(net, Outpoint(txid, 0), AMOUNT, sat_per_kw)


async def refund_of(net: Net, outpoint: Outpoint, amount: Sat, sat_per_kw: int = 1_000) -> str:
    spend = Spend((outpoint,), net.world.payer.new_address(), amount, True, sat_per_kw)
    signed = await net.lsp.wallet.sign(spend)
    await net.lsp.wallet.publish(signed)
    return signed.txid


async def spender(node: SimulatedNode, txid: str) -> tuple[str, BlockHeight | None] | None:
    deposit = await at(node, txid)
    assert deposit is not None
    return None if deposit.spent_by is None else (deposit.spent_by.txid, deposit.spent_by.height)


async def test_a_reorganised_payment_waits_again(net: Net) -> None:
    """A payment whose block is taken away waits, is no input any more, and confirms at its new height."""
    txid = await paid(net)
    before = (await net.lsp.info()).height
    assert await height(net.lsp, txid) == before
    net.reorg(1)
    assert (await net.lsp.info()).height == before + 1
    assert await height(net.lsp, txid) is None
    assert Outpoint(txid, 0) not in [utxo.outpoint for utxo in await net.lsp.wallet.inputs()]
    net.mine()
    assert await height(net.lsp, txid) == before + 2
    assert Outpoint(txid, 0) in [utxo.outpoint for utxo in await net.lsp.wallet.inputs()]


async def test_a_reorganisation_may_take_its_transactions_along(net: Net) -> None:
    """With `empty=False` the longer chain holds what the shorter one held, at another height."""
    txid = await paid(net)
    before = await height(net.lsp, txid)
    net.reorg(1, empty=False)
    after = await height(net.lsp, txid)
    assert before is not None
    assert after == before + 1


async def test_tips_go_down_and_up(net: Net) -> None:
    """`tips` tells each height on the way down and up again, one higher in the end."""
    net.mine(3)
    top = (await net.lsp.info()).height
    async with listening(net.lsp.tips()) as tips:
        net.reorg(2)
        heard = await tips.until(lambda heard: len(heard) >= 7)
    down = [BlockHeight(top.value - 1), BlockHeight(top.value - 2)]
    assert heard == [Resumed(), top, *down, BlockHeight(top.value - 1), top, top + 1]


async def test_the_world_before_it_began_stays(net: Net) -> None:
    """A reorganisation deeper than the world's own blocks is refused, and changes nothing."""
    before = (await net.lsp.info()).height
    with pytest.raises(TooDeep):
        net.reorg(2)
    assert (await net.lsp.info()).height == before


async def test_a_payment_can_be_double_spent_across_a_reorganisation(net: Net) -> None:
    """The payer takes its coin back in the longer chain: the payment is gone for good, with what was made of it."""
    txid = await paid(net)
    sent = await refund(net, txid)
    net.mine()
    assert await spender(net.lsp, txid) == (sent, (await net.lsp.info()).height)
    net.world.reorg(2, double_spent=[txid])
    assert await at(net.lsp, txid) is None
    net.mine(2)
    assert await at(net.lsp, txid) is None
    assert net.world.chain.height_of(sent) is None
    with pytest.raises(Refused):
        await refund(net, txid)
    (back,) = (transaction for block in net.world.chain.blocks()[1:] for transaction in block.transactions)
    assert net.world.chain.transaction(back.txid) is back


async def test_a_double_spend_needs_the_payments_block_gone(net: Net) -> None:
    """A payment deeper than the reorganisation cannot be double-spent, and stays; the chain is as it was."""
    txid = await paid(net)
    net.mine()
    before = (await net.lsp.info()).height
    with pytest.raises(Refused):
        net.world.reorg(1, double_spent=[txid])
    assert (await net.lsp.info()).height == before
    assert await height(net.lsp, txid) == BlockHeight(before.value - 1)


async def test_a_refund_outlives_a_reorganisation(net: Net) -> None:
    """A transaction that spends a reorganised payment waits with it, in the right order, and both confirm again."""
    txid = await paid(net)
    sent = await refund(net, txid)
    net.mine()
    net.reorg(2)
    assert await height(net.lsp, txid) is None
    assert await spender(net.lsp, txid) == (sent, None)
    net.mine()
    top = (await net.lsp.info()).height
    assert await height(net.lsp, txid) == top
    assert await spender(net.lsp, txid) == (sent, top)


async def test_what_a_wallet_sent_itself_it_sends_again(net: Net) -> None:
    """A node's own transaction that the mempool forgot counts as spending, and is sent again with the next block."""
    txid = await paid(net)
    sent = await refund(net, txid)
    net.world.evict(sent)
    assert not net.world.chain.knows(sent)
    assert await spender(net.lsp, txid) == (sent, None)
    assert Outpoint(txid, 0) not in [utxo.outpoint for utxo in await net.lsp.wallet.inputs()]
    net.mine()
    assert net.world.chain.knows(sent)
    net.mine()
    assert await spender(net.lsp, txid) == (sent, (await net.lsp.info()).height)


async def test_a_stopped_node_sends_again_when_it_starts(net: Net) -> None:
    """While the node is stopped nobody sends its transactions again."""
    sent = await refund(net, await paid(net))
    net.world.evict(sent)
    net.stop(net.lsp)
    net.mine()
    assert not net.world.chain.knows(sent)
    net.start(net.lsp)
    assert net.world.chain.knows(sent)


async def test_an_evicted_payment_is_gone_until_it_is_sent_again(net: Net) -> None:
    """What the mempool forgets of somebody else is no deposit any more, and none when a block comes."""
    txid = await paid(net, mined=False)
    net.world.evict(txid)
    assert await at(net.lsp, txid) is None
    net.mine()
    assert await at(net.lsp, txid) is None
    transaction = net.world.chain.transaction(txid)
    assert transaction is not None
    net.world.chain.broadcast(transaction)
    assert await height(net.lsp, txid) is None


async def test_a_payer_replaces_its_payment(net: Net) -> None:
    """A replacement that pays enough more takes the payment's place, to the same address or to another one; one that
    does not is refused."""
    txid = await paid(net, mined=False)
    with pytest.raises(Refused, match="insufficient fee"):
        net.world.replace(txid, 1_100)
    second = net.world.replace(txid, 2_000, amount=Sat(70_000))
    assert await at(net.lsp, txid) is None
    deposit = await at(net.lsp, second)
    assert deposit is not None
    assert deposit.amount == Sat(70_000)
    third = net.world.replace(second, 4_000, address=net.world.payer.new_address())
    net.mine()
    for gone in (txid, second):
        assert await at(net.lsp, gone) is None
    assert net.world.chain.height_of(third) == (await net.lsp.info()).height
    with pytest.raises(Refused, match="missingorspent"):
        net.world.replace(third, 9_000)
    with pytest.raises(Refused, match="no payment of a foreign payer"):
        net.world.replace(await refund(net, await paid(net)), 9_000)


async def test_blocks_leave_out_what_pays_too_little(net: Net) -> None:
    """`least_sat_per_kw`: a payment under it waits, with what builds on it, until blocks have room again."""
    low = await paid(net, mined=False)
    high = net.pay(await net.lsp.wallet.new_address(), AMOUNT, 9_000)
    net.world.chain.least_sat_per_kw = 5_000
    net.mine(2)
    assert await height(net.lsp, low) is None
    assert await height(net.lsp, high) is not None
    net.world.chain.least_sat_per_kw = 0
    net.mine()
    assert await height(net.lsp, low) == (await net.lsp.info()).height


async def test_a_child_waits_for_its_parent(net: Net) -> None:
    """A transaction that pays enough but spends one that does not is left out of blocks with it."""
    txid = await paid(net)
    sent = await refund(net, txid, sat_per_kw=9_000)
    net.mine()
    net.reorg(2)
    net.world.chain.least_sat_per_kw = 5_000
    net.mine()
    assert await height(net.lsp, txid) is None
    assert await spender(net.lsp, txid) == (sent, None)


async def test_feerates_are_told_as_paid(net: Net) -> None:
    """A deposit's `sat_per_kw` is what its transaction pays, mined or not; None where the policy says so."""
    txid = net.pay(await net.lsp.wallet.new_address(), AMOUNT, 3_210)
    for _ in range(2):
        deposit = await at(net.lsp, txid)
        assert deposit is not None
        assert deposit.sat_per_kw == 3_210
        net.mine()
    async with simulated_network(policy=Policy(sees_fees=False)) as blind:
        deposit = await at(blind.lsp, await paid(blind))
        assert deposit is not None
        assert deposit.sat_per_kw is None
        assert not blind.lsp.wallet.sees_fees


async def test_nobody_is_told_what_the_contract_leaves_to_reading(net: Net) -> None:
    """`changes` is silent about evictions and reorganisations, so that code that relies on it alone is found out."""
    txid = await paid(net)
    waiting = await paid(net, mined=False)
    async with listening(net.lsp.wallet.changes()) as changes:
        net.world.evict(waiting)
        net.reorg(1)
        assert changes.heard == [Resumed()]
        assert await height(net.lsp, txid) is None


async def test_an_address_of_nowhere_is_not_paid(net: Net) -> None:
    """`pay` refuses what is no segwit address of the network, and less than is relayed."""
    with pytest.raises(Refused):
        net.pay("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", AMOUNT)
    with pytest.raises(Refused, match="min relay fee"):
        net.pay(net.world.payer.new_address(), AMOUNT, 200)


async def test_a_dropped_payment_does_not_wait(net: Net) -> None:
    """A payment that a reorganisation drops is gone, until somebody sends it again."""
    txid = await paid(net)
    net.world.reorg(1, dropped=[txid])
    net.mine()
    assert await at(net.lsp, txid) is None


async def test_all_that_was_in_blocks_waits_in_order(net: Net) -> None:
    """Blocks that are taken away leave their transactions waiting, parents before children, whatever is in blocks and
    whatever waited already; the wallet has nothing to send again."""
    txid = await paid(net)
    sent = await refund(net, txid)
    net.mine()
    last = await paid(net)
    waiting = await refund(net, last)
    net.world.chain.disconnect(3)
    assert [transaction.txid for transaction in net.world.chain.waiting()] == [txid, sent, last, waiting]


async def test_a_wallet_sends_its_own_again_parents_first(net: Net) -> None:
    """What a reorganisation drops of a wallet's own is sent again with the next block, parents before children."""
    source = (await net.lsp.wallet.inputs())[0]
    own = await net.lsp.wallet.new_address()
    parent = await net.lsp.wallet.sign(Spend((source.outpoint,), own, AMOUNT, True, 1_000))
    await net.lsp.wallet.publish(parent)
    net.mine()
    child = await refund_of(net, Outpoint(parent.txid, 0), parent.paid)
    net.mine()
    net.world.chain.disconnect(2, [parent.txid])
    assert net.world.chain.waiting() == ()
    net.world.chain.mine_only()
    assert [transaction.txid for transaction in net.world.chain.waiting()] == [parent.txid, child]


async def test_a_replaced_transaction_is_not_sent_again(net: Net) -> None:
    """After a replacement the wallet holds to it, though the mempool forgets it."""
    txid = await paid(net)
    await refund(net, txid)
    second = await refund(net, txid, sat_per_kw=4_000)
    net.world.evict(second)
    assert await spender(net.lsp, txid) == (second, None)
    net.mine(2)
    assert await spender(net.lsp, txid) == (second, (await net.lsp.info()).height)


async def test_a_replacement_has_the_higher_feerate_too(net: Net) -> None:
    """More fee in all but less a weight unit replaces nothing (Bitcoin Core's rule beside BIP 125)."""
    coins = tuple(utxo.outpoint for utxo in await net.lsp.wallet.inputs())
    address = net.world.payer.new_address()
    first = await net.lsp.wallet.sign(Spend(coins[:1], address, AMOUNT, True, 4_000))
    second = await net.lsp.wallet.sign(Spend(coins[:8], address, AMOUNT, True, 3_900))
    assert second.fee > first.fee + first.fee
    await net.lsp.wallet.publish(first)
    with pytest.raises(Refused, match="new feerate"):
        await net.lsp.wallet.publish(second)


async def test_a_replacement_spends_nothing_of_what_it_replaces(net: Net) -> None:
    """A transaction that conflicts with its own parent is refused."""
    chain, (coin, *_) = net.world.chain, await net.lsp.wallet.inputs()
    first = chain.new_transaction((coin.outpoint,), (Output(Sat(1_000_000), coin.address),))
    chain.broadcast(first)
    second = chain.new_transaction((coin.outpoint, first.outpoint(0)), (Output(Sat(1_000), coin.address),))
    with pytest.raises(AlreadySpent):
        chain.broadcast(second)
    assert chain.waiting() == (first,)
