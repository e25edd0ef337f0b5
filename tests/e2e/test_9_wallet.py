"""LND's wallet in a chain that changes its mind: what was paid to it, replaced, reorganised away, and paid again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random

import pytest
import pytest_asyncio

from interop.lnd.macaroons import bake
from interop.lnd.node import Node
from interop.lnd.regtest import Regtest, eventually
from lsps.clock import SystemClock
from lsps.node.contract import Deposit, SignedTransaction, Spend, Spender, Wallet
from lsps.node.lnd.node import open_node
from lsps.node.lnd.permissions import SERVING_ONCHAIN
from lsps.units import BlockHeight, Outpoint, Sat
from tests.e2e import truth

pytestmark = pytest.mark.asyncio(loop_scope="session")

AMOUNT = 150_000
EVER = BlockHeight(0)


@dataclass
class Payer:
    """Alice's wallet, whose payments can be replaced (BIP 125), as those of her lnd's own cannot."""

    node: Node
    wallet: Wallet

    async def pay(self, address: str, *, inputs: tuple[Outpoint, ...] = (), rate: int = 1_000) -> SignedTransaction:
        """Publishes a payment of AMOUNT, of a coin of her choice or of these."""
        coin = next(utxo.outpoint for utxo in await self.wallet.inputs() if int(utxo.amount) > 2 * AMOUNT)
        signed = await self.wallet.sign(Spend(inputs or (coin,), address, Sat(AMOUNT), False, rate))
        await self.wallet.publish(signed)
        return signed

    async def inputs_of(self, signed: SignedTransaction) -> tuple[Outpoint, ...]:
        (found,) = (each for each in await truth.transactions(self.node) if each["tx_hash"] == signed.txid)
        return tuple(Outpoint.parse(each["outpoint"]) for each in found["previous_outpoints"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def payer(net: Regtest) -> AsyncIterator[Payer]:
    node = open_node(net["alice"].url(), clock=SystemClock(), random=Random(1))
    yield Payer(net["alice"], node.wallet)
    await node.close()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def wallet(net: Regtest) -> AsyncIterator[Wallet]:
    """The LSP's, with the macaroon for serving with on-chain payments."""
    macaroon = await bake(net["lsp"], "serving-onchain", SERVING_ONCHAIN)
    node = open_node(net["lsp"].url(macaroon), clock=SystemClock(), random=Random(2))
    yield node.wallet
    await node.close()


async def at(wallet: Wallet, address: str) -> list[Deposit]:
    return [deposit for deposit in await wallet.deposits(EVER) if deposit.address == address]


async def until(wallet: Wallet, address: str, txid: str, height: BlockHeight | None) -> Deposit:
    """The only deposit at this address, as soon as it is of this transaction, in this block or waiting."""
    found: list[Deposit] = []

    async def reached() -> bool:
        found[:] = await at(wallet, address)
        return [(one.outpoint.txid, one.height) for one in found] == [(txid, height)]

    await eventually(f"the wallet lists {txid} alone, at height {height}", reached)
    return found[0]


async def tip(net: Regtest) -> BlockHeight:
    return BlockHeight(await net.btcd.height())


async def test_a_payment_that_is_replaced_is_missing(net: Regtest, wallet: Wallet, payer: Payer) -> None:
    """Of a payment and the one that replaced it, both to one address, only the second is listed: at once, and in its
    block. lnd itself lists both until then."""
    address = await wallet.new_address()
    first = await payer.pay(address)
    await until(wallet, address, first.txid, None)
    second = await payer.pay(address, inputs=await payer.inputs_of(first), rate=5_000)
    await until(wallet, address, second.txid, None)
    assert {first.txid, second.txid} <= {each["tx_hash"] for each in await truth.transactions(net["lsp"])}
    await net.mine(1)
    await until(wallet, address, second.txid, await tip(net))


async def test_a_payment_that_is_taken_back_never_confirms(net: Regtest, wallet: Wallet, payer: Payer) -> None:
    """One that is replaced by a transaction to somebody else stays listed without a block, and is missing once lnd has
    started again."""
    address = await wallet.new_address()
    first = await payer.pay(address)
    await until(wallet, address, first.txid, None)
    inputs = await payer.inputs_of(first)
    await payer.pay(await net["bob"].new_address(), inputs=inputs, rate=5_000)
    await net.mine(2)
    await until(wallet, address, first.txid, None)
    await net["lsp"].restart()

    async def missing() -> bool:
        return not await at(wallet, address)

    await eventually("the payment is listed no more", missing)


async def test_a_payment_is_reorganised_away_and_comes_again(net: Regtest, wallet: Wallet, payer: Payer) -> None:
    """A payment whose block is no more waits for one again; in another block it has that one's height, and it can be
    spent."""
    address = await wallet.new_address()
    paid = await payer.pay(address)
    await net.mine(1)
    deposit = await until(wallet, address, paid.txid, await tip(net))
    assert deposit.outpoint in {utxo.outpoint for utxo in await wallet.inputs()}
    await net.take_back(1)
    await until(wallet, address, paid.txid, None)
    assert deposit.outpoint not in {utxo.outpoint for utxo in await wallet.inputs()}
    await net.mine(1)
    await until(wallet, address, paid.txid, await tip(net))
    assert deposit.outpoint in {utxo.outpoint for utxo in await wallet.inputs()}


async def test_a_payment_is_reorganised_away_and_replaced(net: Regtest, wallet: Wallet, payer: Payer) -> None:
    """A payment whose block is no more can be replaced by another: only that one is listed then."""
    address = await wallet.new_address()
    paid = await payer.pay(address)
    inputs = await payer.inputs_of(paid)
    await net.mine(1)
    await until(wallet, address, paid.txid, await tip(net))
    await net.take_back(1)
    await until(wallet, address, paid.txid, None)
    second = await payer.pay(address, inputs=inputs, rate=5_000)
    await until(wallet, address, second.txid, None)
    await net.mine(1)
    await until(wallet, address, second.txid, await tip(net))


async def until_spent(wallet: Wallet, address: str, by: SignedTransaction, height: BlockHeight | None) -> None:
    """Once the only deposit at this address is spent by this transaction, in this block or waiting."""

    async def reached() -> bool:
        return [one.spent_by for one in await at(wallet, address)] == [Spender(by.txid, height)]

    await eventually(f"{by.txid} spends the deposit at height {height}", reached)


async def test_a_refund_is_reorganised_away_and_replaced(net: Regtest, wallet: Wallet, payer: Payer) -> None:
    """What spends a deposit waits again when its block is no more; then it can be replaced, and be confirmed: the
    deposit is spent by one transaction at any time. (It has change; docs/lnd.md tells what btcd does without.)"""
    address, back = await wallet.new_address(), await payer.wallet.new_address()
    paid = await payer.pay(address)
    await net.mine(1)
    deposit = await until(wallet, address, paid.txid, await tip(net))
    refund = await wallet.sign(Spend((deposit.outpoint,), back, Sat(AMOUNT - 50_000), True, 1_000))
    await wallet.publish(refund)
    await net.mine(1)
    await until_spent(wallet, address, refund, await tip(net))
    await wallet.publish(refund)
    await net.take_back(1)
    await until_spent(wallet, address, refund, None)
    second = await wallet.sign(Spend((deposit.outpoint,), back, Sat(AMOUNT - 50_000), True, 3_000))
    await wallet.publish(second)
    await until_spent(wallet, address, second, None)
    await net.mine(1)
    await until_spent(wallet, address, second, await tip(net))
    assert {(one.outpoint.txid, one.amount) for one in await at(payer.wallet, back)} == {(second.txid, second.paid)}
    await until(wallet, address, paid.txid, BlockHeight((await tip(net)).value - 1))


async def test_nothing_is_locked(net: Regtest, wallet: Wallet, payer: Payer) -> None:
    """However often it signs, lnd holds no lease of an output, and no transaction of it."""
    address = await wallet.new_address()
    paid = await payer.pay(address)
    await net.mine(1)
    deposit = await until(wallet, address, paid.txid, await tip(net))
    back = await payer.wallet.new_address()
    signed = [await wallet.sign(Spend((deposit.outpoint,), back, Sat(50_000), True, 1_000)) for _ in range(3)]
    assert len({each.txid for each in signed}) == 3  # a change address each
    assert not await net["lsp"].lncli("wallet", "listleases")
    assert deposit.outpoint in {utxo.outpoint for utxo in await wallet.inputs()}


async def test_publishing_again_harms_nothing(net: Regtest, wallet: Wallet, payer: Payer) -> None:
    """Publishing a transaction that is in a block already leaves alone what spends its change. (Asked to publish it,
    lnd itself forgets that.)"""
    address, back = await wallet.new_address(), await payer.wallet.new_address()
    paid = await payer.pay(address)
    await net.mine(1)
    deposit = await until(wallet, address, paid.txid, await tip(net))
    refund = await wallet.sign(Spend((deposit.outpoint,), back, Sat(50_000), True, 1_000))
    await wallet.publish(refund)
    await net.mine(1)
    await until_spent(wallet, address, refund, await tip(net))
    (change,) = (one for one in await wallet.deposits(EVER) if one.outpoint.txid == refund.txid)
    spending = await wallet.sign(Spend((change.outpoint,), back, change.amount, True, 1_000))
    await wallet.publish(spending)
    await until_spent(wallet, change.address, spending, None)
    await wallet.publish(refund)
    assert [one.spent_by for one in await at(wallet, change.address)] == [Spender(spending.txid, None)]
    await net.mine(1)
    await until_spent(wallet, change.address, spending, await tip(net))
