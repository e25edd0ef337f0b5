"""Hold invoices, against a fake lnd."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from hashlib import sha256
from typing import Any

import grpc
import pytest

from lsps.node.contract import (
    InvoiceAlreadySettled,
    InvoiceNotHeld,
    InvoiceState,
    InvoiceStatus,
    NodeUnreachable,
    Refused,
    Resumed,
)
from lsps.node.lnd import lnd_pb2 as pb
from lsps.node.lnd import rpc
from lsps.node.lnd.invoice_watch import InvoiceWatch
from lsps.node.lnd.invoices import status
from lsps.units import BlockHeight, Msat
from tests.node.contract.environment import Listener, eventually, listening
from tests.node.lnd.fake import LndError, Running, running

PREIMAGE = b"\x05" * 32
HASH = sha256(PREIMAGE).digest()
UNKNOWN = "unable to locate invoice"
HTLC = pb.InvoiceHTLC


def invoice(state: pb.Invoice.InvoiceState, payment_hash: bytes = HASH) -> pb.Invoice:
    return pb.Invoice(r_hash=payment_hash, state=state, payment_request="lnbcrt1there")


async def test_an_invoice_asks_for_what_was_said() -> None:
    """Hash, msat, description, expiry and final CLTV reach lnd, and private channels are hinted."""
    async with running() as at:
        at.lnd.answer(rpc.ADD_HOLD_INVOICE, pb.AddHoldInvoiceResp(payment_request="lnbcrt1new"))
        assert await at.node.invoices.add_hold(HASH, Msat(1_500), "for you", 600, 144) == "lnbcrt1new"
        assert at.lnd.requests(rpc.ADD_HOLD_INVOICE) == [
            pb.AddHoldInvoiceRequest(
                hash=HASH, value_msat=1_500, memo="for you", expiry=600, cltv_expiry=144, private=True
            )
        ]


async def test_a_repeat_gives_the_invoice_that_is_there() -> None:
    """When lnd has an invoice for the hash, its text is returned; another refusal is one."""
    async with running() as at:
        at.lnd.refuse(rpc.ADD_HOLD_INVOICE, "invoice with payment hash already exists")
        at.lnd.answer(rpc.LOOKUP_INVOICE, invoice(pb.Invoice.OPEN))
        assert await at.node.invoices.add_hold(HASH, Msat(1), "", 600, 144) == "lnbcrt1there"
        at.lnd.refuse(rpc.ADD_HOLD_INVOICE, "memo too large")
        with pytest.raises(Refused, match="memo too large"):
            await at.node.invoices.add_hold(HASH, Msat(1), "", 600, 144)


@pytest.mark.parametrize(
    ("state", "kind"),
    [
        (pb.Invoice.OPEN, InvoiceNotHeld),
        (pb.Invoice.CANCELED, InvoiceNotHeld),
        (None, InvoiceNotHeld),
        (pb.Invoice.ACCEPTED, NodeUnreachable),
        (pb.Invoice.SETTLED, None),
    ],
)
async def test_settling_fails_for_certain_only_when_nothing_is_held(
    state: pb.Invoice.InvoiceState | None, kind: type[Exception] | None
) -> None:
    """A refused settlement is judged by the invoice's state, not by lnd's words: held still, it may be tried again."""
    async with running() as at:
        at.lnd.refuse(rpc.SETTLE_INVOICE, "some words")
        if state is None:
            at.lnd.refuse(rpc.LOOKUP_INVOICE, UNKNOWN, grpc.StatusCode.NOT_FOUND)
        else:
            at.lnd.answer(rpc.LOOKUP_INVOICE, invoice(state))
        if kind is None:
            await at.node.invoices.settle(PREIMAGE)
        else:
            with pytest.raises(kind) as failed:
                await at.node.invoices.settle(PREIMAGE)
            assert PREIMAGE.hex() not in str(failed.value)


async def test_cancelling() -> None:
    """An unknown invoice is as good as cancelled; a settled one cannot be."""
    async with running() as at:
        at.lnd.refuse(rpc.CANCEL_INVOICE, UNKNOWN)
        await at.node.invoices.cancel(HASH)
        at.lnd.refuse(rpc.CANCEL_INVOICE, "invoice already settled")
        with pytest.raises(InvoiceAlreadySettled):
            await at.node.invoices.cancel(HASH)


@pytest.mark.parametrize("detail", ["invoice registry shutting down", "database not open", "some trouble"])
async def test_a_stopping_node_has_neither_settled_nor_cancelled(detail: str) -> None:
    """While lnd stops, nothing is known of an invoice: neither settling nor cancelling has an outcome, and nobody is
    told that the invoice does not exist."""
    async with running() as at:
        for method in (rpc.SETTLE_INVOICE, rpc.CANCEL_INVOICE, rpc.LOOKUP_INVOICE):
            at.lnd.refuse(method, detail)
        with pytest.raises(NodeUnreachable):
            await at.node.invoices.settle(PREIMAGE)
        with pytest.raises(NodeUnreachable):
            await at.node.invoices.cancel(HASH)
        with pytest.raises(NodeUnreachable):
            await at.node.invoices.lookup(HASH)


async def test_an_lnd_that_never_made_an_invoice() -> None:
    """A new lnd, or one whose database was lost, has words of its own for an unknown invoice."""
    async with running() as at:
        at.lnd.refuse(rpc.LOOKUP_INVOICE, "there are no existing invoices")
        assert await at.node.invoices.lookup(HASH) is None
        at.lnd.refuse(rpc.CANCEL_INVOICE, "there are no existing invoices")
        await at.node.invoices.cancel(HASH)


def test_what_is_held_is_the_sum_of_its_htlcs() -> None:
    """`held` counts the HTLCs that are held, not those given back; `earliest_expiry` is the lowest of them."""
    htlcs = [
        HTLC(amt_msat=700, expiry_height=500, state=HTLC.ACCEPTED),
        HTLC(amt_msat=300, expiry_height=490, state=HTLC.ACCEPTED),
        HTLC(amt_msat=999, expiry_height=100, state=HTLC.CANCELED),
    ]
    held = pb.Invoice(r_hash=HASH, state=pb.Invoice.ACCEPTED, htlcs=htlcs)
    assert status(held) == InvoiceStatus(HASH, InvoiceState.HELD, Msat(1_000), BlockHeight(490))
    settled = pb.Invoice(
        r_hash=HASH, state=pb.Invoice.SETTLED, htlcs=[HTLC(amt_msat=5, expiry_height=9, state=HTLC.SETTLED)]
    )
    assert status(settled) == InvoiceStatus(HASH, InvoiceState.SETTLED, Msat(5), None)


class Book:
    """Invoices that the fake lnd follows and looks up."""

    def __init__(self, at: Running) -> None:
        self.states: dict[bytes, pb.Invoice.InvoiceState] = {}
        self.changed = asyncio.Condition()
        self.streams = 0
        at.lnd.handle(rpc.SINGLE_INVOICE, self._stream)
        at.lnd.handle(rpc.LOOKUP_INVOICE, self._look_up)

    async def put(self, payment_hash: bytes, state: pb.Invoice.InvoiceState) -> None:
        async with self.changed:
            self.states[payment_hash] = state
            self.changed.notify_all()

    async def _look_up(self, request: Any) -> Any:
        if request.payment_hash not in self.states:
            raise LndError(UNKNOWN, grpc.StatusCode.NOT_FOUND)
        return invoice(self.states[request.payment_hash], request.payment_hash)

    async def _stream(self, request: Any) -> AsyncIterator[Any]:
        self.streams += 1
        try:
            told = None
            while told not in (pb.Invoice.SETTLED, pb.Invoice.CANCELED):
                async with self.changed:
                    while self.states.get(request.r_hash) == told:
                        await self.changed.wait()
                told = self.states[request.r_hash]
                yield invoice(told, request.r_hash)
        finally:
            self.streams -= 1


def states(heard: Listener[Resumed | InvoiceStatus], payment_hash: bytes) -> list[InvoiceState]:
    return [one.state for one in heard.heard if isinstance(one, InvoiceStatus) and one.payment_hash == payment_hash]


async def test_few_streams_serve_many_invoices() -> None:
    """With more invoices than streams the newest have them; the changes of the others come by looking them up, and an
    older one gets a stream when a newer one ends."""
    async with running() as at:
        book = Book(at)
        hashes = [bytes([number]) * 32 for number in range(5)]
        for payment_hash in hashes:
            await book.put(payment_hash, pb.Invoice.OPEN)
        watch = InvoiceWatch(at.connection, at.clock, at.node.invoices.lookup, status, max_streams=2)
        for payment_hash in hashes:
            watch.add(payment_hash)
        async with listening(at.node._streams.endless("test", watch.session)) as heard:
            await heard.until(lambda events: len(events) == 1 + 5)
            assert book.streams == 2
            await book.put(hashes[0], pb.Invoice.ACCEPTED)
            await heard.until(lambda _: states(heard, hashes[0]) == [InvoiceState.OPEN, InvoiceState.HELD])
            newest = at.lnd.requests(rpc.SINGLE_INVOICE)
            assert {request.r_hash for request in newest} == set(hashes[3:])
            await book.put(hashes[4], pb.Invoice.SETTLED)

            async def promoted() -> bool:
                return {request.r_hash for request in at.lnd.requests(rpc.SINGLE_INVOICE)} == set(hashes[2:])

            await eventually("an older one is followed", promoted)
            assert states(heard, hashes[4]) == [InvoiceState.OPEN, InvoiceState.SETTLED]
            watch.add(b"\x09" * 32)
            await heard.until(lambda _: states(heard, b"\x09" * 32) == [InvoiceState.CANCELLED])

            async def swept_often() -> bool:
                return len([one for one in at.lnd.requests(rpc.LOOKUP_INVOICE) if one.payment_hash == hashes[1]]) >= 3

            await eventually("an unchanged one was looked up again and again", swept_often)
            assert states(heard, hashes[1]) == [InvoiceState.OPEN]


async def test_nothing_is_missed_while_lnd_is_away() -> None:
    """After Resumed the present state of every watched invoice is told, changed meanwhile or not."""
    async with running() as at:
        book, unchanged = Book(at), b"\x08" * 32
        for payment_hash in (HASH, unchanged):
            await book.put(payment_hash, pb.Invoice.OPEN)
            at.node.invoices.watch(payment_hash)
        async with listening(at.node.invoices.updates()) as heard:
            await heard.until(lambda events: len(events) == 3)
            await at.stop()
            book.states[HASH] = pb.Invoice.ACCEPTED
            await at.start()
            await heard.until(lambda events: events.count(Resumed()) >= 2 and len(events) >= 6)
            assert states(heard, HASH) == [InvoiceState.OPEN, InvoiceState.HELD]
            assert states(heard, unchanged) == [InvoiceState.OPEN, InvoiceState.OPEN]
