"""The on-chain wallet: addresses, what is paid to them, and transactions that are signed, sent and replaced."""

from __future__ import annotations

import asyncio

import pytest

from lsps.lightning.bech32 import decode_address
from lsps.node.contract import Deposit, Refused, Resumed, SignedTransaction, Spend, Spender, WalletChanged
from lsps.units import BlockHeight, Network, Outpoint, Sat
from tests.node.contract.environment import ContractEnvironment, Side, eventually, listening

AMOUNT = Sat(200_000)
LOW, HIGH = 1_000, 5_000
"""Feerates of which the second replaces the first, in satoshi per 1000 weight."""
LIGHTEST, HEAVIEST = 300, 1_000
"""Bounds of the weight of a transaction with one input and one or two outputs."""
EVER = BlockHeight(0)
MAINNET_ADDRESS = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
"""BIP-173's example."""


async def paid_to(side: Side, address: str, *, confirmed: bool) -> Deposit:
    """The wallet's only output at this address, as soon as it waits for a block, or is in one."""

    async def check() -> Deposit | None:
        found = [deposit for deposit in await side.wallet.deposits(EVER) if deposit.address == address]
        assert len(found) <= 1
        return found[0] if found and (found[0].height is not None) == confirmed else None

    return await eventually("the wallet has seen the payment", check)


async def deposit_at(side: Side, outpoint: Outpoint) -> Deposit | None:
    return next((one for one in await side.wallet.deposits(EVER) if one.outpoint == outpoint), None)


async def spent_by(side: Side, outpoint: Outpoint, txid: str, *, confirmed: bool) -> Spender:
    """How the output is spent, as soon as it is by this transaction, and in a block if that is wanted."""

    async def check() -> Spender | None:
        deposit = await deposit_at(side, outpoint)
        spender = None if deposit is None else deposit.spent_by
        found = spender is not None and spender.txid == txid and (spender.height is not None) == confirmed
        return spender if found else None

    return await eventually("the wallet has seen what spends the output", check)


async def signed(
    side: Side, source: Outpoint, address: str, *, amount: Sat = AMOUNT, rate: int = LOW, from_amount: bool = True
) -> SignedTransaction:
    return await side.wallet.sign(Spend((source,), address, amount, from_amount, rate))


class WalletContract:
    async def test_every_address_is_new(self, env: ContractEnvironment) -> None:
        """`new_address` gives segwit addresses of the node's network, never one twice."""
        addresses = [await env.seller.wallet.new_address() for _ in range(5)]
        assert len(set(addresses)) == 5
        for address in addresses:
            decode_address(address, Network.REGTEST, future_versions=False)

    async def test_a_payment_is_seen_before_and_after_it_confirms(self, env: ContractEnvironment) -> None:
        """A payment to an address is a Deposit without a height, and with that of its block as soon as it is in one;
        only then is it among `inputs`. Its feerate is told by wallets that see fees, and by no others."""
        wallet = env.seller.wallet
        address = await wallet.new_address()
        txid = await env.pay(address, Sat(54_321))
        waiting = await paid_to(env.seller, address, confirmed=False)
        assert (waiting.outpoint.txid, waiting.amount, waiting.spent_by) == (txid, Sat(54_321), None)
        assert (waiting.sat_per_kw is not None) == wallet.sees_fees
        assert waiting.outpoint not in {utxo.outpoint for utxo in await wallet.inputs()}
        await env.mine()
        confirmed = await paid_to(env.seller, address, confirmed=True)
        assert confirmed.height == await env.seller.height()
        assert (confirmed.outpoint, confirmed.amount, confirmed.spent_by) == (waiting.outpoint, waiting.amount, None)
        utxos = {utxo.outpoint: utxo for utxo in await wallet.inputs()}
        assert utxos[waiting.outpoint].address == address

    async def test_several_payments_to_one_address_are_several_deposits(self, env: ContractEnvironment) -> None:
        """Each payment to an address that was paid before is a Deposit of its own."""
        address = await env.seller.wallet.new_address()
        txids = {await env.pay(address, Sat(20_000)) for _ in range(2)}

        async def check() -> bool:
            deposits = [one for one in await env.seller.wallet.deposits(EVER) if one.address == address]
            return {one.outpoint.txid for one in deposits} == txids

        await eventually("both payments are seen", check)
        await env.mine()

    async def test_older_deposits_can_be_left_out(self, env: ContractEnvironment) -> None:
        """`deposits(since)` has those of that block and later ones, and all that wait for a block."""
        wallet = env.seller.wallet
        old, new = await wallet.new_address(), await wallet.new_address()
        await env.pay(old, Sat(30_000))
        await env.mine()
        height = (await paid_to(env.seller, old, confirmed=True)).height
        assert height is not None
        await env.mine(2)
        await env.pay(new, Sat(30_000))
        await paid_to(env.seller, new, confirmed=False)
        assert {old, new} <= {deposit.address for deposit in await wallet.deposits(height)}
        later = {deposit.address for deposit in await wallet.deposits(height + 1)}
        assert new in later
        assert old not in later
        assert new in {deposit.address for deposit in await wallet.deposits(height + 1_000)}
        await env.mine()

    async def test_changes_are_told(self, env: ContractEnvironment) -> None:
        """`changes`: Resumed, and a hint when a payment comes, and when it confirms."""
        address = await env.seller.wallet.new_address()
        async with listening(env.seller.wallet.changes()) as changes:
            assert changes.heard[0] == Resumed()
            count = changes.heard.count(WalletChanged())
            await env.pay(address, Sat(40_000))
            heard = await changes.until(lambda heard: heard.count(WalletChanged()) > count)
            await paid_to(env.seller, address, confirmed=False)
            count = heard.count(WalletChanged())
            await env.mine()
            await changes.until(lambda heard: heard.count(WalletChanged()) > count)

    async def test_signing_sends_nothing(self, env: ContractEnvironment) -> None:
        """What is signed and not published spends and reserves nothing."""
        source = await env.fund(env.seller, AMOUNT)
        transaction = await signed(env.seller, source, await env.foreign_address())
        await env.mine()
        deposit = await deposit_at(env.seller, source)
        assert deposit is not None
        assert deposit.spent_by is None
        assert source in {utxo.outpoint for utxo in await env.seller.wallet.inputs()}
        assert all(one.outpoint.txid != transaction.txid for one in await env.seller.wallet.deposits(EVER))

    async def test_what_is_published_spends_its_input(self, env: ContractEnvironment) -> None:
        """A published transaction takes its input out of `inputs`, is named by `spent_by` with its height once it
        confirms, and may be published again at any time: at once, while waiting, and afterwards."""
        source, wallet = await env.fund(env.seller, AMOUNT), env.seller.wallet
        transaction = await signed(env.seller, source, await env.foreign_address())
        await asyncio.gather(*(wallet.publish(transaction) for _ in range(3)))
        assert (await spent_by(env.seller, source, transaction.txid, confirmed=False)).height is None
        assert source not in {utxo.outpoint for utxo in await wallet.inputs()}
        await wallet.publish(transaction)
        await env.mine()
        spender = await spent_by(env.seller, source, transaction.txid, confirmed=True)
        assert spender.height == await env.seller.height()
        await wallet.publish(transaction)
        await env.mine()
        assert await spent_by(env.seller, source, transaction.txid, confirmed=True) == spender

    async def test_a_publication_may_be_killed_and_repeated(self, env: ContractEnvironment) -> None:
        """When the caller of `publish` is killed, another program that has the transaction publishes it, also after
        the node was stopped; one transaction results."""
        source = await env.fund(env.seller, AMOUNT)
        transaction = await signed(env.seller, source, await env.foreign_address())
        publishing = asyncio.create_task(env.seller.wallet.publish(transaction))
        await asyncio.sleep(0)
        publishing.cancel()
        await asyncio.gather(publishing, return_exceptions=True)
        await env.stop(env.seller)
        await env.start(env.seller)
        again = await env.another(env.seller)
        stored = SignedTransaction(transaction.txid, bytes(transaction.raw), transaction.paid, transaction.fee)
        await again.wallet.publish(stored)
        await spent_by(again, source, transaction.txid, confirmed=False)
        await env.mine()
        await spent_by(again, source, transaction.txid, confirmed=True)

    @pytest.mark.parametrize("from_amount", [True, False])
    async def test_no_satoshi_is_unaccounted_for(self, env: ContractEnvironment, from_amount: bool) -> None:
        """The address gets `amount`, or `amount` less the fee; the wallet gets back what is left; the fee is what the
        feerate makes of the transaction's weight."""
        source, amount = await env.fund(env.seller, AMOUNT), Sat(120_000)
        address = await env.seller.wallet.new_address()
        transaction = await signed(env.seller, source, address, amount=amount, from_amount=from_amount)
        await env.seller.wallet.publish(transaction)
        await env.mine()
        paid = (await paid_to(env.seller, address, confirmed=True)).amount
        outputs = [one for one in await env.seller.wallet.deposits(EVER) if one.outpoint.txid == transaction.txid]
        (change,) = [one.amount for one in outputs if one.address != address]
        assert paid == transaction.paid
        if from_amount:
            assert paid + transaction.fee == amount
            assert change == AMOUNT - amount
        else:
            assert paid == amount
            assert change == AMOUNT - amount - transaction.fee
        assert LIGHTEST * LOW <= transaction.fee.value * 1000 <= HEAVIEST * LOW

    async def test_everything_can_be_sent(self, env: ContractEnvironment) -> None:
        """All that several inputs have, less the fee, to one address: nothing comes back, and nothing else is spent."""
        sources = [await env.fund(env.seller, AMOUNT), await env.fund(env.seller, AMOUNT)]
        bystander = await env.fund(env.seller, AMOUNT)
        address = await env.seller.wallet.new_address()
        spend = Spend(tuple(sources), address, AMOUNT + AMOUNT, fee_from_amount=True, sat_per_kw=LOW)
        transaction = await env.seller.wallet.sign(spend)
        assert transaction.paid + transaction.fee == AMOUNT + AMOUNT
        await env.seller.wallet.publish(transaction)
        await env.mine()
        for source in sources:
            await spent_by(env.seller, source, transaction.txid, confirmed=True)
        deposits = await env.seller.wallet.deposits(EVER)
        made = [(one.address, one.amount) for one in deposits if one.outpoint.txid == transaction.txid]
        assert made == [(address, transaction.paid)]
        assert bystander in {utxo.outpoint for utxo in await env.seller.wallet.inputs()}

    async def test_a_higher_fee_replaces(self, env: ContractEnvironment) -> None:
        """A transaction of the same inputs with a higher feerate replaces one that waits (BIP 125); the first never
        confirms, and publishing it is refused from then on."""
        source, wallet = await env.fund(env.seller, AMOUNT), env.seller.wallet
        address = await wallet.new_address()
        first = await signed(env.seller, source, address)
        await wallet.publish(first)
        await spent_by(env.seller, source, first.txid, confirmed=False)
        second = await signed(env.seller, source, address, rate=HIGH)
        assert second.txid != first.txid
        assert second.fee > first.fee
        await wallet.publish(second)
        await spent_by(env.seller, source, second.txid, confirmed=False)
        with pytest.raises(Refused):
            await wallet.publish(first)
        await env.mine()
        await spent_by(env.seller, source, second.txid, confirmed=True)
        with pytest.raises(Refused):
            await wallet.publish(first)
        assert (await paid_to(env.seller, address, confirmed=True)).outpoint.txid == second.txid

    async def test_a_lower_fee_replaces_nothing(self, env: ContractEnvironment) -> None:
        """A transaction of the same inputs that pays less is refused, and the first confirms."""
        source, wallet = await env.fund(env.seller, AMOUNT), env.seller.wallet
        address = await env.foreign_address()
        first = await signed(env.seller, source, address, rate=HIGH)
        await wallet.publish(first)
        second = await signed(env.seller, source, address, rate=LOW)
        with pytest.raises(Refused):
            await wallet.publish(second)
        await env.mine()
        await spent_by(env.seller, source, first.txid, confirmed=True)

    async def test_only_own_confirmed_unspent_inputs_are_signed_for(self, env: ContractEnvironment) -> None:
        """`sign` refuses an unknown output, another wallet's, one that waits for a block, and one that is spent."""
        foreign, wallet = await env.fund(env.buyer, AMOUNT), env.seller.wallet
        spent = await env.fund(env.seller, AMOUNT)
        await wallet.publish(await signed(env.seller, spent, await env.foreign_address()))
        await env.mine()
        await env.pay(address := await wallet.new_address(), AMOUNT)
        waiting = (await paid_to(env.seller, address, confirmed=False)).outpoint
        for source in (Outpoint("ab" * 32, 0), foreign, waiting, spent):
            with pytest.raises(Refused):
                await signed(env.seller, source, address, amount=Sat(100_000))
        await env.mine()

    async def test_too_little_is_not_sent(self, env: ContractEnvironment) -> None:
        """`sign` refuses more than the inputs have, with the fee or without, and what the fee leaves too little of."""
        source, address = await env.fund(env.seller, AMOUNT), await env.foreign_address()
        with pytest.raises(Refused):
            await signed(env.seller, source, address, amount=AMOUNT + Sat(1))
        with pytest.raises(Refused):
            await signed(env.seller, source, address, amount=AMOUNT, from_amount=False)
        with pytest.raises(Refused):
            await signed(env.seller, source, address, amount=Sat(600))
        with pytest.raises(Refused):
            await signed(env.seller, source, address, amount=Sat(100), from_amount=False)

    async def test_an_address_of_another_network_is_paid_nothing(self, env: ContractEnvironment) -> None:
        """`sign` refuses an address that is none on the node's network."""
        source = await env.fund(env.seller, AMOUNT)
        for address in (MAINNET_ADDRESS, "junk"):
            with pytest.raises(Refused):
                await signed(env.seller, source, address)
