"""Hold invoices (node contract: Invoices). The watching is in invoice_watch.py."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from lsps.clock import Clock
from lsps.node.contract import (
    InvoiceAlreadySettled,
    InvoiceNotHeld,
    InvoiceState,
    InvoiceStatus,
    NodeUnreachable,
    Resumed,
)
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.connection import Connection
from lsps.node.lnd.errors import NO_INVOICES, NOT_FOUND, LndRefused
from lsps.node.lnd.invoice_watch import InvoiceWatch
from lsps.node.lnd.streams import Reconnecting
from lsps.units import BlockHeight, Msat

UNKNOWN_INVOICE = "unable to locate invoice"

_STATES = {
    pb.Invoice.OPEN: InvoiceState.OPEN,
    pb.Invoice.ACCEPTED: InvoiceState.HELD,
    pb.Invoice.SETTLED: InvoiceState.SETTLED,
    pb.Invoice.CANCELED: InvoiceState.CANCELLED,
}


class LndInvoices:
    def __init__(self, connection: Connection, streams: Reconnecting, clock: Clock) -> None:
        self._connection = connection
        self._watch = InvoiceWatch(connection, clock, self.lookup, status)
        self._streams = streams

    async def add_hold(
        self, payment_hash: bytes, amount: Msat, description: str, expiry_seconds: int, min_final_cltv_expiry: int
    ) -> str:
        request = pb.AddHoldInvoiceRequest(
            hash=payment_hash,
            value_msat=int(amount),
            memo=description,
            expiry=expiry_seconds,
            cltv_expiry=min_final_cltv_expiry,
            private=True,  # lnd adds hints only for private channels, and to a payer elsewhere they may be the only way
        )
        try:
            reply = await self._connection.call(rpc.ADD_HOLD_INVOICE, request)
        except LndRefused as refusal:
            if "already exists" not in refusal.detail:
                raise
            return await self._payment_request(payment_hash)
        return reply.payment_request

    async def settle(self, preimage: bytes) -> None:
        try:
            await self._connection.call(rpc.SETTLE_INVOICE, pb.SettleInvoiceMsg(preimage=preimage))
        except LndRefused as refusal:
            found = await self.lookup(hashlib.sha256(preimage).digest())
            if found is not None and found.state is InvoiceState.SETTLED:
                return
            if found is None or found.state is not InvoiceState.HELD:
                state = "unknown to lnd" if found is None else found.state.value
                raise InvoiceNotHeld(f"nothing is held for this invoice, it is {state}: {refusal}") from None
            raise NodeUnreachable(f"lnd could not settle a held invoice now, try again: {refusal}") from None

    async def cancel(self, payment_hash: bytes) -> None:
        try:
            await self._connection.call(rpc.CANCEL_INVOICE, pb.CancelInvoiceMsg(payment_hash=payment_hash))
        except LndRefused as refusal:
            if _is_unknown(refusal):
                return
            if "already settled" in refusal.detail:
                raise InvoiceAlreadySettled("the invoice is settled: its payment can only be paid back") from None
            raise NodeUnreachable(f"lnd could not cancel the invoice now, try again: {refusal}") from None

    async def lookup(self, payment_hash: bytes) -> InvoiceStatus | None:
        invoice = await self._find(payment_hash)
        return None if invoice is None else status(invoice)

    def watch(self, payment_hash: bytes) -> None:
        self._watch.add(payment_hash)

    def unwatch(self, payment_hash: bytes) -> None:
        self._watch.discard(payment_hash)

    def updates(self) -> AsyncIterator[Resumed | InvoiceStatus]:
        return self._streams.endless("invoices", self._watch.session)

    async def _payment_request(self, payment_hash: bytes) -> str:
        invoice = await self._find(payment_hash)
        if invoice is None:
            raise NodeUnreachable("lnd says that the invoice exists, and does not find it: try again")
        return invoice.payment_request

    async def _find(self, payment_hash: bytes) -> pb.Invoice | None:
        try:
            return await self._connection.call(rpc.LOOKUP_INVOICE, pb.LookupInvoiceMsg(payment_hash=payment_hash))
        except LndRefused as refusal:
            if _is_unknown(refusal):
                return None
            raise


def _is_unknown(refusal: LndRefused) -> bool:
    """No such invoice, or none at all."""
    return refusal.code is NOT_FOUND or UNKNOWN_INVOICE in refusal.detail or NO_INVOICES in refusal.detail


def status(invoice: pb.Invoice) -> InvoiceStatus:
    """The contract's view. An HTLC set that lnd is still collecting counts as held money too."""
    held = [htlc for htlc in invoice.htlcs if htlc.state == pb.InvoiceHTLC.ACCEPTED]
    settled = [htlc for htlc in invoice.htlcs if htlc.state == pb.InvoiceHTLC.SETTLED]
    return InvoiceStatus(
        payment_hash=invoice.r_hash,
        state=_STATES[invoice.state],
        held=Msat(sum(htlc.amt_msat for htlc in held + settled)),
        earliest_expiry=BlockHeight(min(htlc.expiry_height for htlc in held)) if held else None,
    )
