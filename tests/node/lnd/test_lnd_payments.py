"""Payments, against a fake lnd."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest

from lsps.node.contract import NodeUnreachable, Payment, PaymentStatus, Refused
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.units import Msat
from tests.node.lnd.fake import LndError, Running, running

HASH = b"\x04" * 32
IN_FLIGHT = pb.Payment(status=pb.Payment.IN_FLIGHT)
SUCCEEDED = pb.Payment(status=pb.Payment.SUCCEEDED, fee_msat=1_100)
FAILED = pb.Payment(status=pb.Payment.FAILED, failure_reason=pb.FAILURE_REASON_NO_ROUTE)
NOT_FOUND = grpc.StatusCode.NOT_FOUND


def ready(at: Running) -> None:
    at.lnd.answer(rpc.DECODE_PAY_REQ, pb.PayReq(payment_hash=HASH.hex()))


def ends_with(at: Running, method: Any, *items: Any) -> None:
    async def stream(_request: Any) -> AsyncIterator[Any]:
        for item in items:
            if isinstance(item, Exception):
                raise item
            yield item

    at.lnd.handle(method, stream)


async def test_paying_waits_for_the_end() -> None:
    """The invoice goes out with the fee limit in msat, and what comes back is the final state."""
    async with running() as at:
        ready(at)
        at.lnd.answer(rpc.SEND_PAYMENT, pb.Payment(status=pb.Payment.INITIATED), IN_FLIGHT, SUCCEEDED)
        assert await at.node.payments.pay("lnbcrt1x", Msat(2_000)) == Payment(
            HASH, PaymentStatus.SUCCEEDED, Msat(1_100)
        )
        (sent,) = at.lnd.requests(rpc.SEND_PAYMENT)
        assert (sent.payment_request, sent.fee_limit_msat) == ("lnbcrt1x", 2_000)


async def test_a_failure_has_a_reason() -> None:
    """A payment that FAILED says why, in words."""
    async with running() as at:
        ready(at)
        at.lnd.answer(rpc.SEND_PAYMENT, IN_FLIGHT, FAILED)
        payment = await at.node.payments.pay("lnbcrt1x", Msat(0))
        assert payment.status is PaymentStatus.FAILED
        assert "route" in payment.failure


async def test_a_repeat_follows_the_first() -> None:
    """When lnd has this payment already, it is followed to its end, and not sent again."""
    async with running() as at:
        ready(at)
        at.lnd.refuse(rpc.SEND_PAYMENT, "payment is in transition", grpc.StatusCode.ALREADY_EXISTS)
        at.lnd.answer(rpc.TRACK_PAYMENT, IN_FLIGHT, SUCCEEDED)
        payment = await at.node.payments.pay("lnbcrt1x", Msat(0))
        assert payment.status is PaymentStatus.SUCCEEDED
        assert at.lnd.requests(rpc.TRACK_PAYMENT) == [pb.TrackPaymentRequest(payment_hash=HASH)]


async def test_a_refusal_before_anything_was_sent_is_one() -> None:
    """What lnd will not pay, and has no record of, is Refused."""
    async with running() as at:
        ready(at)
        at.lnd.refuse(rpc.SEND_PAYMENT, "invoice expired")
        at.lnd.refuse(rpc.TRACK_PAYMENT, "payment isn't initiated", NOT_FOUND)
        with pytest.raises(Refused, match="expired"):
            await at.node.payments.pay("lnbcrt1x", Msat(0))


@pytest.mark.parametrize(
    "ending", [(IN_FLIGHT, LndError("trouble")), (LndError("trouble"),), (IN_FLIGHT,), ()], ids=str
)
async def test_what_may_have_been_sent_is_unknown(ending: tuple[Any, ...]) -> None:
    """An error or end after an update, or a refusal of a payment that lnd has on record, leaves the outcome unknown."""
    async with running() as at:
        ready(at)
        ends_with(at, rpc.SEND_PAYMENT, *ending)
        at.lnd.answer(rpc.TRACK_PAYMENT, IN_FLIGHT)
        with pytest.raises(NodeUnreachable):
            await at.node.payments.pay("lnbcrt1x", Msat(0))


async def test_a_started_payment_is_never_refused() -> None:
    """Once lnd gave an update, an error is no refusal, even when the payment has failed meanwhile."""
    async with running() as at:
        ready(at)
        ends_with(at, rpc.SEND_PAYMENT, IN_FLIGHT, LndError("trouble"))
        at.lnd.answer(rpc.TRACK_PAYMENT, FAILED)
        with pytest.raises(NodeUnreachable):
            await at.node.payments.pay("lnbcrt1x", Msat(0))


async def test_looking_up() -> None:
    """The first state that lnd gives is the present one; none for a payment that was never made."""
    async with running() as at:
        at.lnd.answer(rpc.TRACK_PAYMENT, IN_FLIGHT)
        assert await at.node.payments.lookup(HASH) == Payment(HASH, PaymentStatus.IN_FLIGHT, Msat(0))
        at.lnd.refuse(rpc.TRACK_PAYMENT, "payment isn't initiated", NOT_FOUND)
        assert await at.node.payments.lookup(HASH) is None


@pytest.mark.parametrize("detail", ["cannot get macaroon: macaroon store is locked", "some trouble"])
async def test_a_look_up_that_fails_says_nothing(detail: str) -> None:
    """Only NOT_FOUND says that there is no such payment: with any other words lnd could not tell."""
    async with running() as at:
        at.lnd.refuse(rpc.TRACK_PAYMENT, detail)
        with pytest.raises(NodeUnreachable):
            await at.node.payments.lookup(HASH)


@pytest.mark.parametrize(
    ("sending", "looking"),
    [
        ("payment isn't initiated", "some trouble"),
        ("some trouble", "router shutting down"),
        ("routerrpc server shutting down", None),
        ("payment lifecycle exiting", None),
        ("database not open", None),
    ],
)
async def test_a_stopping_node_does_not_refuse_to_pay(sending: str, looking: str | None) -> None:
    """A refusal that lnd cannot be asked about, or that is no more than its shutdown, leaves the outcome unknown: lnd
    may have the payment on record, and goes on with it when it is back."""
    async with running() as at:
        ready(at)
        at.lnd.refuse(rpc.SEND_PAYMENT, sending)
        if looking is not None:
            at.lnd.refuse(rpc.TRACK_PAYMENT, looking)
        with pytest.raises(NodeUnreachable):
            await at.node.payments.pay("lnbcrt1x", Msat(0))
