"""What `buy` and `extend` share: limits, the question before paying, progress, and what ^C leaves in flight."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lsps.cli import words
from lsps.cli.failures import UsageError
from lsps.cli.output import Waiting, note
from lsps.cli.shell import Shell
from lsps.protocol.payment import OnchainPayment, OrderState
from lsps.protocol.rules import MAX_INVOICE_LENGTH
from lsps.protocol.sanitize import sanitize
from lsps.store.journal import Entry, EntryState, OnchainTransaction
from lsps.units import MAX_UINT64, Sat

if TYPE_CHECKING:
    from lsps.client.buying import Bought
    from lsps.client.client import Client
    from lsps.client.extending import Extended
    from lsps.client.terms import Offer
    from lsps.node.contract import Channel, Payment
    from lsps.protocol.lsps1 import ChannelOrder
    from lsps.protocol.lsps7 import ExtensionOrder

NO_LIMIT = Sat(MAX_UINT64)
_YES = frozenset({"y", "yes"})
_NEWEST = 100


def check_consent(args: argparse.Namespace, shell: Shell) -> None:
    """Nothing is paid that nobody agreed to. Raises UsageError, before anything is ordered."""
    if args.no_pay:
        return
    if args.yes and args.max_fee_sat is None:
        raise UsageError("--yes needs --max-fee-sat: say what it may cost at most")
    if not args.yes and not shell.has_terminal:
        raise UsageError("there is no terminal to ask you at: give --yes and --max-fee-sat, or --no-pay to order only")


@dataclass(frozen=True)
class Till:
    """One purchase at the command line: what the person agrees to and is told."""

    shell: Shell
    args: argparse.Namespace
    client: Client
    what: str
    waiting: Waiting

    @property
    def max_fee(self) -> Sat:
        limit: Sat | None = self.args.max_fee_sat
        return NO_LIMIT if limit is None else limit

    async def confirm(self, offer: Offer) -> bool:
        with self.waiting.paused():
            await self._show(offer)
            return (await self.shell.ask("Pay this? Type yes: ")).lower() in _YES

    async def _show(self, offer: Offer) -> None:
        lines = [self.what, f"  fee           {words.sat(offer.fee)}"]
        if offer.order_total != offer.fee:
            yours = offer.order_total - offer.fee
            lines.append(f"  in all        {words.sat(offer.order_total)}, of which {words.sat(yours)} become yours")
        lines += [*_cost(offer), f"  blocks        {words.blocks(offer.blocks)}"]
        if offer.new_expiration is None:
            lines.append(f"  new expiry    {words.number(offer.blocks)} blocks after the channel confirms")
        else:
            tip = (await self.client.node.info()).height
            lines.append(f"  new expiry    {words.expiry(offer.new_expiration, tip)}")
        lines += [f"  LSP           {offer.lsp}", f"  order         {sanitize(offer.order_id, limit=64)}"]
        lines += [f"  ! {violation.text} ({violation.clause})" for violation in offer.violations]
        note(self.shell, "\n".join(lines))

    @asynccontextmanager
    async def interruptible(self) -> AsyncIterator[None]:
        """On ^C, say what is still in flight before going."""
        try:
            with self.waiting.spinning():
                yield
        except asyncio.CancelledError:
            await self._tell_in_flight()
            raise

    async def _tell_in_flight(self) -> None:
        entries = await self.client.journal.newest(_NEWEST)
        flying = [entry for entry in entries if entry.state is EntryState.PAYING]
        for entry in flying:
            note(self.shell, f"still in flight: {describe(entry)}")
        if flying:
            note(self.shell, "The payment goes on without this program; the same command again waits for its outcome.")
        else:
            note(self.shell, "Interrupted; nothing is being paid.")


def _cost(offer: Offer) -> Iterator[str]:
    """What comes on top of the total."""
    from lsps.client.terms import LightningCost

    cost = offer.cost
    if isinstance(cost, LightningCost):
        yield f"  routing fee   at most {words.msat(cost.max_routing_fee)}"
        if cost.payee != offer.lsp:
            yield f"  ! the payment goes to another node than the LSP: {cost.payee}"
        return
    yield f"  on-chain fee  {words.sat(cost.transaction_fee)}, {words.sat_per_vbyte(cost.sat_per_kw)}"
    yield f"  to            {cost.address}"
    # Without a confirmation it counts if the LSP sees its feerate; with one it does for certain.
    blocks = words.blocks(cost.confirmations) if cost.confirmations else "at once, or with the next block"
    yield f"  counts after  {blocks}"


def describe(entry: Entry) -> str:
    order_id = sanitize(entry.order_id or "without an id", limit=64)
    what = f"{entry.method} order {order_id} of {words.moment(entry.created_at)} at {entry.lsp}"
    return what if entry.transaction is None else f"{what}, paid in transaction {entry.transaction.txid}"


def payment_json(payment: Payment | None) -> dict[str, object] | None:
    if payment is None:
        return None
    return {"status": payment.status.value, "payment_hash": payment.payment_hash.hex(), "fee_msat": payment.fee}


def transaction_json(transaction: OnchainTransaction | None) -> dict[str, object] | None:
    if transaction is None:
        return None
    return {"txid": transaction.txid, "paid_sat": transaction.paid, "fee_sat": transaction.fee}


def channel_json(channel: Channel | None) -> dict[str, object] | None:
    if channel is None:
        return None
    return {
        "funding_outpoint": channel.funding,
        "short_channel_id": channel.scid,
        "state": channel.state.value,
        "capacity_sat": channel.capacity,
        "local_balance_sat": channel.local_balance,
        "private": channel.private,
        "zero_conf": channel.zero_conf,
    }


def paid_rows(order: ChannelOrder | ExtensionOrder, outcome: Bought | Extended, pay: str) -> Iterator[tuple[str, str]]:
    """What it cost, or how to pay it: as an earlier run paid it, else by `pay`."""
    yield "order", f"{sanitize(order.order_id, limit=64)}, {order.order_state.value}"
    onchain = outcome.transaction is not None or (outcome.payment is None and pay == "onchain")
    option = order.payment.onchain if onchain else order.payment.bolt11
    if option is None:
        yield "fee", "free"
        return
    yield "fee", words.sat(option.fee_total_sat)
    if outcome.transaction is not None:
        paid, fee = outcome.transaction.paid, outcome.transaction.fee
        yield "paid", f"{words.sat(paid)}, and {words.sat(fee)} for the transaction"
        yield "transaction", outcome.transaction.txid
    elif outcome.payment is not None:
        yield "paid", f"{words.sat(option.order_total_sat)}, and {words.msat(outcome.payment.fee)} for the route"
    elif order.order_state is OrderState.CREATED:
        yield "to pay", f"{words.sat(option.order_total_sat)} until {words.moment(option.expires_at)}"
        if isinstance(option, OnchainPayment):
            yield "address", sanitize(option.address)
        else:
            yield "invoice", sanitize(option.invoice, limit=MAX_INVOICE_LENGTH)
