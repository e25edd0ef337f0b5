"""Paying invoices (node contract: Payments)."""

from __future__ import annotations

from lsps.node.contract import NodeUnreachable, Payment, PaymentStatus
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.connection import CALL_SECONDS, Connection
from lsps.node.lnd.errors import ALREADY_EXISTS, NOT_FOUND, LndRefused
from lsps.units import Msat

ATTEMPT_SECONDS = 120
"""How long lnd may go on starting attempts. An HTLC that the payee holds is waited for much longer."""

_FAILURES = {
    pb.FAILURE_REASON_TIMEOUT: "no route worked in time",
    pb.FAILURE_REASON_NO_ROUTE: "no route within the fee limit has the liquidity",
    pb.FAILURE_REASON_ERROR: "lnd met an error of its own; see its log",
    pb.FAILURE_REASON_INCORRECT_PAYMENT_DETAILS: "the payee gave it back: invoice unknown, cancelled or expired there",
    pb.FAILURE_REASON_INSUFFICIENT_BALANCE: "the channels' balance is not enough",
    pb.FAILURE_REASON_CANCELED: "it was cancelled at this node",
}


class LndPayments:
    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def pay(self, invoice: str, max_fee: Msat) -> Payment:
        decoded = await self._connection.call(rpc.DECODE_PAY_REQ, pb.PayReqString(pay_req=invoice))
        payment_hash = bytes.fromhex(decoded.payment_hash)
        request = pb.SendPaymentRequest(
            payment_request=invoice, fee_limit_msat=int(max_fee), timeout_seconds=ATTEMPT_SECONDS
        )
        started = False
        try:
            # Ending this stream does not stop the payment: lnd does so only for payments sent as `cancelable`.
            async with self._connection.stream(rpc.SEND_PAYMENT, request) as updates:
                async for update in updates:
                    started = True
                    if update.status in (pb.Payment.SUCCEEDED, pb.Payment.FAILED):
                        return _payment(payment_hash, update)
        except LndRefused as refusal:
            if refusal.code is ALREADY_EXISTS:
                return await self._follow(payment_hash)
            if not started and await self._untouched(payment_hash):
                raise
            raise NodeUnreachable(f"lnd lost sight of the payment; look it up: {refusal}") from None
        raise NodeUnreachable("lnd ended the stream before the payment was final; look it up")

    async def lookup(self, payment_hash: bytes) -> Payment | None:
        request = pb.TrackPaymentRequest(payment_hash=payment_hash)
        try:
            async with self._connection.stream(rpc.TRACK_PAYMENT, request, CALL_SECONDS) as updates:
                async for update in updates:  # the present state comes first
                    return _payment(payment_hash, update)
        except LndRefused as refusal:
            if refusal.code is NOT_FOUND:
                return None
            raise
        raise NodeUnreachable("lnd ended the stream without the payment's state; ask again")

    async def _follow(self, payment_hash: bytes) -> Payment:
        request = pb.TrackPaymentRequest(payment_hash=payment_hash)
        async with self._connection.stream(rpc.TRACK_PAYMENT, request) as updates:
            async for update in updates:
                if update.status in (pb.Payment.SUCCEEDED, pb.Payment.FAILED):
                    return _payment(payment_hash, update)
        raise NodeUnreachable("lnd ended the stream before the payment was final; look it up")

    async def _untouched(self, payment_hash: bytes) -> bool:
        """A refusal without any update: lnd may still have recorded the payment before it met the error."""
        known = await self.lookup(payment_hash)
        return known is None or known.status is PaymentStatus.FAILED


def _payment(payment_hash: bytes, update: pb.Payment) -> Payment:
    fee = Msat(max(0, update.fee_msat))
    if update.status == pb.Payment.SUCCEEDED:
        return Payment(payment_hash, PaymentStatus.SUCCEEDED, fee)
    if update.status == pb.Payment.FAILED:
        reason = _FAILURES.get(update.failure_reason, "lnd gave no reason")
        return Payment(payment_hash, PaymentStatus.FAILED, fee, reason)
    return Payment(payment_hash, PaymentStatus.IN_FLIGHT, fee)
