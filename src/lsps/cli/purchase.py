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
from lsps.protocol.payment import OrderState
from lsps.protocol.rules import MAX_INVOICE_LENGTH
from lsps.protocol.sanitize import sanitize
from lsps.store.journal import Entry, EntryState
from lsps.units import MAX_UINT64, Sat

if TYPE_CHECKING:
    from lsps.client.client import Client
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
        lines += [
            f"  routing fee   at most {words.msat(offer.max_routing_fee)}",
            f"  blocks        {words.blocks(offer.blocks)}",
        ]
        if offer.new_expiration is None:
            lines.append(f"  new expiry    {words.number(offer.blocks)} blocks after the channel confirms")
        else:
            tip = (await self.client.node.info()).height
            lines.append(f"  new expiry    {words.expiry(offer.new_expiration, tip)}")
        lines += [f"  LSP           {offer.lsp}", f"  order         {sanitize(offer.order_id, limit=64)}"]
        if offer.payee != offer.lsp:
            lines.append(f"  ! the payment goes to another node than the LSP: {offer.payee}")
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


def describe(entry: Entry) -> str:
    order_id = sanitize(entry.order_id or "without an id", limit=64)
    return f"{entry.method} order {order_id} of {words.moment(entry.created_at)} at {entry.lsp}"


def payment_json(payment: Payment | None) -> dict[str, object] | None:
    if payment is None:
        return None
    return {"status": payment.status.value, "payment_hash": payment.payment_hash.hex(), "fee_msat": payment.fee}


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


def paid_rows(order: ChannelOrder | ExtensionOrder, payment: Payment | None) -> Iterator[tuple[str, str]]:
    """What it cost, or how to pay it."""
    yield "order", f"{sanitize(order.order_id, limit=64)}, {order.order_state.value}"
    option = order.payment.bolt11
    if option is None:
        yield "fee", "free"
        return
    yield "fee", words.sat(option.fee_total_sat)
    if payment is not None:
        yield "paid", f"{words.sat(option.order_total_sat)}, and {words.msat(payment.fee)} for the route"
    elif order.order_state is OrderState.CREATED:
        yield "to pay", f"{words.sat(option.order_total_sat)} until {words.moment(option.expires_at)}"
        yield "invoice", sanitize(option.invoice, limit=MAX_INVOICE_LENGTH)
