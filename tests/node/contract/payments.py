"""Paying, once, whatever the caller does."""

from __future__ import annotations

import asyncio
from contextlib import suppress

import pytest

from lsps.lightning import bolt11
from lsps.lightning.keys import SecretKey
from lsps.node.contract import InvoiceState, Payment, PaymentStatus, Refused
from lsps.units import Msat, Network, Sat
from tests.node.contract.environment import ContractEnvironment, Side, eventually, preimage_and_hash
from tests.node.contract.invoices import AMOUNT, CLTV, HOUR, add, hold, in_state


async def final(payer: Side, payment_hash: bytes) -> Payment:
    async def check() -> Payment | None:
        payment = await payer.payments.lookup(payment_hash)
        return payment if payment is not None and payment.status is not PaymentStatus.IN_FLIGHT else None

    return await eventually("the payment is final", check)


def invoice_of_nobody(**changes: object) -> str:
    """A well-formed invoice of a key that runs no node."""
    key = SecretKey(preimage_and_hash()[0])
    fields: dict[str, object] = {
        "network": Network.REGTEST,
        "payee": key.node_id,
        "timestamp": 1_700_000_000,
        "payment_hash": preimage_and_hash()[1],
        "payment_secret": bytes(32),
        "amount": AMOUNT,
        "description": "nobody's",
        "features": 1 << 8 | 1 << 14,
        "expiry_seconds": 10**9,
    }
    return bolt11.encode(bolt11.Invoice(**(fields | changes)), key)  # type: ignore[arg-type]  # fields by name


class PaymentsContract:
    async def test_a_payment_never_sent_is_not_known(self, env: ContractEnvironment) -> None:
        """`lookup` of a hash that this node never paid gives None."""
        assert await env.buyer.payments.lookup(preimage_and_hash()[1]) is None

    async def test_a_payment_ends_when_the_payee_takes_it(self, env: ContractEnvironment) -> None:
        """`pay` waits while it is held (IN_FLIGHT), and returns SUCCEEDED once settled; over one channel it is free."""
        preimage, payment_hash = preimage_and_hash()
        paying = await hold(env, payment_hash)
        held = await env.buyer.payments.lookup(payment_hash)
        assert held is not None
        assert held.status is PaymentStatus.IN_FLIGHT
        assert not paying.done()
        await env.seller.invoices.settle(preimage)
        assert await paying == Payment(payment_hash, PaymentStatus.SUCCEEDED, Msat(0))
        assert await env.buyer.payments.lookup(payment_hash) == Payment(payment_hash, PaymentStatus.SUCCEEDED, Msat(0))

    async def test_a_repeat_pays_nothing_more(self, env: ContractEnvironment) -> None:
        """`pay` repeated in flight waits for the same payment, and repeated later returns it; the payee got it once."""
        preimage, payment_hash = preimage_and_hash()
        funding = await env.open_channel(env.buyer, env.seller, Sat(500_000), Sat(0))
        invoice = await add(env, payment_hash)
        first = asyncio.create_task(env.buyer.payments.pay(invoice, Msat(0)))
        second = asyncio.create_task(env.buyer.payments.pay(invoice, Msat(0)))
        await in_state(env, payment_hash, InvoiceState.HELD)
        third = asyncio.create_task((await env.another(env.buyer)).payments.pay(invoice, Msat(0)))
        await env.seller.invoices.settle(preimage)
        payments = [*await asyncio.gather(first, second, third), await env.buyer.payments.pay(invoice, Msat(0))]
        assert {payment.status for payment in payments} == {PaymentStatus.SUCCEEDED}
        assert (await in_state(env, payment_hash, InvoiceState.SETTLED)).held == AMOUNT
        channel = await env.seller.channel(funding)
        assert channel is not None
        assert channel.local_balance <= AMOUNT.to_sat_floor(), "the seller began with nothing in this channel"

    async def test_a_killed_caller_stops_no_payment(self, env: ContractEnvironment) -> None:
        """Cancelling the wait leaves the payment in flight; it can be joined again, and ends right."""
        preimage, payment_hash = preimage_and_hash()
        paying = await hold(env, payment_hash)
        paying.cancel()
        with suppress(asyncio.CancelledError):
            await paying
        held = await env.buyer.payments.lookup(payment_hash)
        assert held is not None
        assert held.status is PaymentStatus.IN_FLIGHT
        await env.seller.invoices.settle(preimage)
        assert (await final(env.buyer, payment_hash)).status is PaymentStatus.SUCCEEDED

    async def test_a_payment_given_back_has_failed(self, env: ContractEnvironment) -> None:
        """When the payee gives it back, `pay` and `lookup` say FAILED with a reason."""
        _, payment_hash = preimage_and_hash()
        paying = await hold(env, payment_hash)
        await env.seller.invoices.cancel(payment_hash)
        payment = await paying
        assert payment.status is PaymentStatus.FAILED
        assert payment.failure
        assert await env.buyer.payments.lookup(payment_hash) == payment

    async def test_a_cancelled_invoice_cannot_be_paid(self, env: ContractEnvironment) -> None:
        """Paying an invoice that its payee cancelled FAILS."""
        _, payment_hash = preimage_and_hash()
        await env.open_channel(env.buyer, env.seller, Sat(500_000), Sat(0))
        invoice = await add(env, payment_hash)
        await env.seller.invoices.cancel(payment_hash)
        assert (await env.buyer.payments.pay(invoice, Msat(0))).status is PaymentStatus.FAILED

    async def test_the_fee_limit_holds_and_a_failed_payment_is_tried_again(self, env: ContractEnvironment) -> None:
        """No route within `max_fee`: FAILED. Then, with a higher one: paid, and `fee` is what it cost."""
        preimage, payment_hash = preimage_and_hash()
        payee = await env.far_payee()
        amount = Msat(100_000_000)
        invoice = await payee.invoices.add_hold(payment_hash, amount, "far away", HOUR, CLTV)
        assert (await env.buyer.payments.pay(invoice, Msat(0))).status is PaymentStatus.FAILED
        paying = asyncio.create_task(env.buyer.payments.pay(invoice, Msat(100_000)))

        async def settled() -> bool:
            status = await payee.invoices.lookup(payment_hash)
            return status is not None and status.state is InvoiceState.HELD

        await eventually("the far payee holds it", settled)
        await payee.invoices.settle(preimage)
        payment = await paying
        assert payment.status is PaymentStatus.SUCCEEDED
        assert Msat(1_000) <= payment.fee <= Msat(100_000)

    async def test_a_payment_without_a_route_fails(self, env: ContractEnvironment) -> None:
        """Paying a node that no channel leads to FAILS, and is known as failed."""
        invoice = invoice_of_nobody()
        payment = await env.buyer.payments.pay(invoice, Msat(1_000_000))
        assert payment.status is PaymentStatus.FAILED
        assert (await final(env.buyer, payment.payment_hash)).status is PaymentStatus.FAILED

    @pytest.mark.parametrize(
        "invoice",
        ["lnbcrt1nonsense", invoice_of_nobody(network=Network.MAINNET), invoice_of_nobody(expiry_seconds=1)],
        ids=["no invoice", "another network", "expired"],
    )
    async def test_what_cannot_be_paid_is_refused(self, env: ContractEnvironment, invoice: str) -> None:
        """What is no invoice of this network, or expired, is Refused: nothing is sent."""
        with pytest.raises(Refused):
            await env.buyer.payments.pay(invoice, Msat(0))
