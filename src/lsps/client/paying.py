"""Sending a payment, and learning what became of it, whatever happens to our own node meanwhile."""

from __future__ import annotations

import logging
from datetime import timedelta

from lsps import logs
from lsps.client.patience import Patience
from lsps.clock import Clock
from lsps.node.contract import NodeUnreachable, Payment, Payments, PaymentStatus, Refused
from lsps.units import Msat

_log = logging.getLogger("lsps.client")

_UNKNOWN_IS_UNSENT = 3
"""Look-ups in a row that find no payment: by then one that was on its way to the node would have reached it."""


async def pay(
    payments: Payments, clock: Clock, patience: Patience, invoice: str, payment_hash: bytes, max_fee: Msat
) -> Payment:
    """Pay and wait for the end. Raises NodeUnreachable when our own node stays away: the outcome is unknown."""
    try:
        return await payments.pay(invoice, max_fee)
    except Refused as refused:
        return Payment(payment_hash, PaymentStatus.FAILED, Msat(0), str(refused))
    except NodeUnreachable as lost:
        logs.event(_log, logging.WARNING, "payment_outcome_unknown", payment_hash=payment_hash.hex(), reason=str(lost))
    # Not sent again from here: what is on its way to the node may still reach it.
    return await outcome(payments, clock, patience, payment_hash)


async def outcome(payments: Payments, clock: Clock, patience: Patience, payment_hash: bytes) -> Payment:
    """The end of a payment that was, or may have been, sent. One that the node does not come to know was not: FAILED.

    Raises NodeUnreachable when our own node stays away.
    """
    pause, away_since, unknown = patience.first_poll, clock.now(), 0
    while True:
        try:
            payment = await payments.lookup(payment_hash)
        except NodeUnreachable:
            if clock.now() - away_since >= timedelta(seconds=patience.own_node):
                raise
        else:
            away_since = clock.now()
            unknown = unknown + 1 if payment is None else 0
            if unknown == _UNKNOWN_IS_UNSENT:
                return Payment(payment_hash, PaymentStatus.FAILED, Msat(0), "our node never sent it")
            if payment is not None and payment.status is not PaymentStatus.IN_FLIGHT:
                return payment
        await clock.sleep(pause)
        pause = min(pause * 1.5, patience.longest_poll)
