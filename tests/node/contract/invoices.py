"""Hold invoices, in every state."""

from __future__ import annotations

import asyncio

import pytest

from lsps.lightning import bolt11
from lsps.node.contract import (
    InvoiceAlreadySettled,
    InvoiceNotHeld,
    InvoiceState,
    InvoiceStatus,
    Payment,
    PaymentStatus,
    Resumed,
)
from lsps.units import Msat, Sat
from tests.node.contract.environment import ContractEnvironment, eventually, listening, preimage_and_hash

AMOUNT = Msat(25_000_000)
CLTV = 144
HOUR = 3600


async def add(env: ContractEnvironment, payment_hash: bytes, expiry_seconds: int = HOUR, cltv: int = CLTV) -> str:
    return await env.seller.invoices.add_hold(payment_hash, AMOUNT, "contract test", expiry_seconds, cltv)


async def in_state(env: ContractEnvironment, payment_hash: bytes, state: InvoiceState) -> InvoiceStatus:
    async def check() -> InvoiceStatus | None:
        status = await env.seller.invoices.lookup(payment_hash)
        return status if status is not None and status.state is state else None

    return await eventually(f"the invoice is {state.value}", check)


async def hold(env: ContractEnvironment, payment_hash: bytes, cltv: int = CLTV) -> asyncio.Task[Payment]:
    """The buyer pays a new invoice of the seller's; returns once that is held."""
    await env.open_channel(env.buyer, env.seller, Sat(500_000), Sat(0))
    invoice = await add(env, payment_hash, cltv=cltv)
    paying = asyncio.create_task(env.buyer.payments.pay(invoice, Msat(0)))
    await in_state(env, payment_hash, InvoiceState.HELD)
    return paying


class InvoicesContract:
    async def test_a_new_invoice_says_what_was_asked(self, env: ContractEnvironment) -> None:
        """The text carries hash, amount, description, expiry, final CLTV and payee as asked; its state is OPEN."""
        _, payment_hash = preimage_and_hash()
        invoice = bolt11.decode(await add(env, payment_hash, expiry_seconds=1234))
        assert invoice.payment_hash == payment_hash
        assert invoice.amount == AMOUNT
        assert invoice.description == "contract test"
        assert invoice.expiry_seconds == 1234
        assert invoice.min_final_cltv_expiry == CLTV
        assert invoice.payee == env.seller.node_id
        status = await env.seller.invoices.lookup(payment_hash)
        assert status == InvoiceStatus(payment_hash, InvoiceState.OPEN, Msat(0), None)

    async def test_an_invoice_is_made_once(self, env: ContractEnvironment) -> None:
        """A repeat for the same hash gives the same text, also at the same time."""
        _, payment_hash = preimage_and_hash()
        first, second = await asyncio.gather(add(env, payment_hash), add(env, payment_hash))
        assert first == second == await add(env, payment_hash)

    async def test_an_unknown_hash_is_no_invoice(self, env: ContractEnvironment) -> None:
        """`lookup` of what was never made gives None, `cancel` of it is fine, `settle` for it fails for certain."""
        preimage, payment_hash = preimage_and_hash()
        assert await env.seller.invoices.lookup(payment_hash) is None
        await env.seller.invoices.cancel(payment_hash)
        with pytest.raises(InvoiceNotHeld):
            await env.seller.invoices.settle(preimage)

    async def test_an_unpaid_invoice_cannot_be_settled(self, env: ContractEnvironment) -> None:
        """`settle` of an OPEN invoice raises InvoiceNotHeld and leaves it open."""
        preimage, payment_hash = preimage_and_hash()
        await add(env, payment_hash)
        with pytest.raises(InvoiceNotHeld):
            await env.seller.invoices.settle(preimage)
        await in_state(env, payment_hash, InvoiceState.OPEN)

    async def test_a_cancelled_invoice_stays_cancelled(self, env: ContractEnvironment) -> None:
        """`cancel` of an OPEN invoice may be repeated; settling it then fails for certain."""
        preimage, payment_hash = preimage_and_hash()
        await add(env, payment_hash)
        await env.seller.invoices.cancel(payment_hash)
        await env.seller.invoices.cancel(payment_hash)
        with pytest.raises(InvoiceNotHeld):
            await env.seller.invoices.settle(preimage)
        await in_state(env, payment_hash, InvoiceState.CANCELLED)

    async def test_a_held_payment_can_be_taken(self, env: ContractEnvironment) -> None:
        """HELD shows amount and lowest expiry; `settle` takes it, also repeated; then `cancel` fails for certain."""
        preimage, payment_hash = preimage_and_hash()
        paying = await hold(env, payment_hash)
        status = await env.seller.invoices.lookup(payment_hash)
        assert status is not None
        assert status.held == AMOUNT
        assert status.earliest_expiry is not None
        assert CLTV <= status.earliest_expiry.blocks_since(await env.seller.height()) < CLTV + 18
        await env.seller.invoices.settle(preimage)
        await env.seller.invoices.settle(preimage)
        assert (await paying).status is PaymentStatus.SUCCEEDED
        assert (await in_state(env, payment_hash, InvoiceState.SETTLED)).held == AMOUNT
        with pytest.raises(InvoiceAlreadySettled):
            await env.seller.invoices.cancel(payment_hash)

    async def test_a_held_payment_can_be_given_back(self, env: ContractEnvironment) -> None:
        """`cancel` of a HELD invoice fails the payer's payment; it may be repeated, and `settle` then fails."""
        preimage, payment_hash = preimage_and_hash()
        paying = await hold(env, payment_hash)
        await env.seller.invoices.cancel(payment_hash)
        await env.seller.invoices.cancel(payment_hash)
        assert (await paying).status is PaymentStatus.FAILED
        status = await in_state(env, payment_hash, InvoiceState.CANCELLED)
        assert status.earliest_expiry is None
        with pytest.raises(InvoiceNotHeld):
            await env.seller.invoices.settle(preimage)

    async def test_an_unpaid_invoice_expires(self, env: ContractEnvironment) -> None:
        """Past its expiry an unpaid invoice is CANCELLED without anybody asking."""
        _, payment_hash = preimage_and_hash()
        await add(env, payment_hash, expiry_seconds=2)
        await env.pass_time(3)
        await in_state(env, payment_hash, InvoiceState.CANCELLED)

    async def test_a_payment_held_too_long_is_given_back(self, env: ContractEnvironment) -> None:
        """The node gives a held payment back by itself before its HTLC expires (LND: 18 blocks)."""
        preimage, payment_hash = preimage_and_hash()
        paying = await hold(env, payment_hash, cltv=26)
        status = await env.seller.invoices.lookup(payment_hash)
        assert status is not None
        assert status.earliest_expiry is not None
        await env.mine(status.earliest_expiry.blocks_since(await env.seller.height()) - 18)
        await in_state(env, payment_hash, InvoiceState.CANCELLED)
        assert (await paying).status is PaymentStatus.FAILED
        with pytest.raises(InvoiceNotHeld):
            await env.seller.invoices.settle(preimage)

    async def test_a_watched_invoice_tells_its_changes(self, env: ContractEnvironment) -> None:
        """`updates` tells a watched invoice's present state, then each change until it is settled."""
        preimage, payment_hash = preimage_and_hash()
        async with listening(env.seller.invoices.updates()) as updates:
            assert isinstance(updates.heard[0], Resumed)
            await add(env, payment_hash)
            env.seller.invoices.watch(payment_hash)
            await updates.until(lambda heard: InvoiceStatus(payment_hash, InvoiceState.OPEN, Msat(0), None) in heard)
            await env.open_channel(env.buyer, env.seller, Sat(500_000), Sat(0))
            invoice = await add(env, payment_hash)
            paying = asyncio.create_task(env.buyer.payments.pay(invoice, Msat(0)))
            heard = await updates.until(lambda heard: InvoiceState.HELD in _states(heard, payment_hash))
            held = next(e for e in heard if isinstance(e, InvoiceStatus) and e.state is InvoiceState.HELD)
            assert held.held == AMOUNT
            assert held.earliest_expiry is not None
            await env.seller.invoices.settle(preimage)
            await updates.until(lambda heard: InvoiceState.SETTLED in _states(heard, payment_hash))
            await paying

    async def test_an_invoice_watched_late_tells_its_present_state(self, env: ContractEnvironment) -> None:
        """An invoice that was watched before the stream began is told after Resumed; a cancelled one as CANCELLED."""
        _, payment_hash = preimage_and_hash()
        await add(env, payment_hash)
        await env.seller.invoices.cancel(payment_hash)
        env.seller.invoices.watch(payment_hash)
        async with listening(env.seller.invoices.updates()) as updates:
            heard = await updates.until(lambda heard: bool(_states(heard, payment_hash)))
            assert isinstance(heard[0], Resumed)
            assert _states(heard, payment_hash) == [InvoiceState.CANCELLED]

    async def test_a_watched_hash_nobody_knows_is_told_as_cancelled(self, env: ContractEnvironment) -> None:
        """A watched hash without an invoice is told as CANCELLED with nothing held: nobody can pay it."""
        _, payment_hash = preimage_and_hash()
        async with listening(env.seller.invoices.updates()) as updates:
            env.seller.invoices.watch(payment_hash)
            unknown = InvoiceStatus(payment_hash, InvoiceState.CANCELLED, Msat(0), None)
            await updates.until(lambda heard: unknown in heard)

    async def test_only_watched_invoices_are_told(self, env: ContractEnvironment) -> None:
        """Nothing comes of an invoice that was never watched, or is not any more."""
        hashes = [preimage_and_hash()[1] for _ in range(3)]
        never, ended, watched = hashes
        for payment_hash in hashes:
            await add(env, payment_hash)
        async with listening(env.seller.invoices.updates()) as updates:
            env.seller.invoices.watch(ended)
            await updates.until(lambda heard: bool(_states(heard, ended)))
            env.seller.invoices.unwatch(ended)
            env.seller.invoices.watch(watched)
            for payment_hash in hashes:
                await env.seller.invoices.cancel(payment_hash)
            heard = await updates.until(lambda heard: InvoiceState.CANCELLED in _states(heard, watched))
            assert _states(heard, never) == []
            assert set(_states(heard, ended)) == {InvoiceState.OPEN}


def _states(heard: list[Resumed | InvoiceStatus], payment_hash: bytes) -> list[InvoiceState]:
    return [event.state for event in heard if isinstance(event, InvoiceStatus) and event.payment_hash == payment_hash]
